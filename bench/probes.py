"""How long a probe takes while the user's worker is stuck: stayon's endpoint beside the standard ``http.server``.

Each server runs in a process of its own, beside a worker that is stuck in one of these ways, and is asked from here:

- ``lock``: waiting for a lock that nobody opens;
- ``system call``: in a read that never returns;
- ``python loop``: computing without end, so that each step of the server has to get the interpreter lock back first.
  How long that takes is up to ``sys.setswitchinterval``, 5 ms by default; the second figure is with a tenth of it.

``python bench/probes.py [--json]``
"""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

PROBES = 500
OURS, OURS_QUICK, STDLIB = "stayon", "stayon, switching every 0.5 ms", "http.server (threading)"
STUCK = ("lock", "system call", "python loop")


def get_stuck(way: str) -> None:
    """Be stuck for good, as *way* says."""
    if way == "lock":
        threading.Event().wait()
    elif way == "system call":
        os.read(os.pipe()[0], 1)
    while True:
        pass


def serve_stayon(switch_interval_s: float) -> None:
    """Answer probes as a service's host does, on this thread, for ever."""
    from stayon.platforms import current
    from stayon.runtime.loop import Loop
    from stayon.runtime.metrics import Metrics
    from stayon.runtime.probe_visit import Answer, Answers
    from stayon.runtime.probes import ProbeServer

    def fail(error: BaseException) -> None:
        raise error

    def live() -> Answer:
        return Answer(200, "ok", {})

    machine = current()
    sys.setswitchinterval(switch_interval_s)
    loop = Loop(machine.clock, machine.poller(), fail)
    server = ProbeServer(loop, "127.0.0.1:0", Answers(live, live, live, Metrics(fail).scrape))
    server.open()
    print(server.address.port, flush=True)
    loop.run()


def serve_stdlib() -> None:
    """The same with what people use who want no dependency."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", "3")
            self.end_headers()
            self.wfile.write(b"ok\n")

        def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002  # its name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def serve(name: str, way: str) -> None:
    """Be the process that is measured."""
    threading.Thread(target=get_stuck, args=(way,), daemon=True).start()
    if name == STDLIB:
        serve_stdlib()
    serve_stayon(0.0005 if name == OURS_QUICK else 0.005)


def probe(port: int) -> float:
    """Ask once as a kubelet does, with a connection of its own; the time it took in ms."""
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b""
        while part := connection.recv(4096):
            answer += part
    if not (answer.startswith(b"HTTP/1.") and b" 200 OK\r\n" in answer and answer.endswith(b"ok\n")):
        raise RuntimeError(f"this is no answer: {answer!r}")
    return (time.perf_counter() - began) * 1000


def resident_mb(pid: int) -> float:
    """Resident memory of a process, from Linux's ``/proc``; 0 elsewhere."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def measure(name: str, way: str) -> dict[str, float]:
    """Percentiles of ``PROBES`` probes in ms, and the resident memory of the server in MB."""
    command = [sys.executable, __file__, "serve", name, way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = int(server.stdout.readline() if server.stdout else "")
            for _ in range(20):
                probe(port)
            taken = sorted(probe(port) for _ in range(PROBES))
            return {
                "p50_ms": taken[PROBES // 2],
                "p99_ms": taken[PROBES * 99 // 100],
                "max_ms": taken[-1],
                "rss_mb": resident_mb(server.pid),
            }
        finally:
            server.kill()


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:4])
    figures = {way: {name: measure(name, way) for name in (OURS, OURS_QUICK, STDLIB)} for way in STUCK}
    if "--json" in sys.argv[1:]:
        print(json.dumps({"python": platform.python_version(), "probes": PROBES, "figures": figures}))
        return
    print(f"{PROBES} probes, one connection each, Python {platform.python_version()}")
    for way, by_name in figures.items():
        for name, figure in by_name.items():
            print(
                f"worker stuck in a {way:12} {name:30} p50 {figure['p50_ms']:7.2f}  p99 {figure['p99_ms']:7.2f}"
                f"  max {figure['max_ms']:7.2f} ms  RSS {figure['rss_mb']:5.1f} MB"
            )


if __name__ == "__main__":
    main()
