"""The peer with the standard library alone: logging, threads, http.server."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from _plain import POLL_S, PORT, Live, get_stuck, log, set_up_logging

INTERVAL_S = 5.0

stopping = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """The probes and the metrics."""

    protocol_version = "HTTP/1.1"
    live: Live

    def do_GET(self) -> None:
        """Answer."""
        known = self.path in ("/livez", "/readyz", "/startupz", "/metrics")
        body = (self.live.metrics() if self.path == "/metrics" else "ok\n").encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002  # its name
        """Say nothing."""


def repeat(function: Callable[[], None], interval_s: float) -> None:
    """Call *function* at a fixed rate until it is time to stop."""
    due = time.monotonic()
    while not stopping.wait(max(0.0, due - time.monotonic())):
        function()
        due += interval_s


def main() -> None:
    """Run until SIGTERM."""
    set_up_logging()
    live = Handler.live = Live()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Thread(target=repeat, args=(live.look, POLL_S), daemon=True).start()
    get_stuck()
    log.info("running")
    repeat(live.collect, INTERVAL_S)
    log.info("stopped")


if __name__ == "__main__":
    main()
