"""The endpoint monitor at work: real servers on this computer, one of which flaps, and what the monitor makes of them.

    python3 dev.py demo [URL ...] [--seconds N]

Starts the monitor as a user would, follows its log, gives it a new endpoint while it runs, and stops it. URLs that are
given are watched as well. Ends by itself, or with Ctrl-C; nothing is left behind.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from demo_screen import BOLD, COLOURS, CYAN, DIM, Board, Paint
from demo_servers import Neighbourhood, configuration, table

MONITOR = [sys.executable, "-m", "stayon.services.monitor"]
FRAME_S = 0.1
PATIENCE_S = 20.0


class DemoError(Exception):
    """It cannot go on. The text is one line that says why."""


class Monitor:
    """The monitor, used through its verbs alone, with everything of it in a temporary directory."""

    def __init__(self, home: Path) -> None:
        self._environment = {**os.environ, "STAYON_HOME": str(home)}
        self.file = home / "monitor" / "config" / "monitor.toml"
        self.file.parent.mkdir(parents=True)
        self._log = home / "monitor" / "logs" / "monitor.log"
        self._complaints = home / "stderr"
        self.records: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._children: list[subprocess.Popen[str]] = []

    def configure(self, text: str) -> None:
        """Write its file as an editor does: beside, then renamed."""
        beside = self.file.with_suffix(".new")
        beside.write_text(text)
        beside.replace(self.file)

    def start(self) -> subprocess.Popen[str]:
        """``run``, and ``logs -f --json`` once there is a log. Raises ``DemoError`` with what it says if it ends."""
        with self._complaints.open("w") as complaints:
            process = self._begin("run", stdout=subprocess.DEVNULL, stderr=complaints)
        deadline = time.monotonic() + PATIENCE_S
        while not self._log.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        follower = self._begin("logs", "-f", "-n", "1000", "--json", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        threading.Thread(target=self._follow, args=(follower,), daemon=True).start()
        return process

    def why(self) -> str:
        """The last thing it has complained of."""
        lines = [line for line in self._complaints.read_text().splitlines() if not line.startswith("{")]
        return lines[-1] if lines else "it did not say why"

    def verb(self, *words: str) -> str:
        """What a verb prints."""
        done = subprocess.run(
            [*MONITOR, *words], env=self._environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        return done.stdout.strip()

    def close(self) -> None:
        """End what is left of it."""
        for child in self._children:
            if child.poll() is None:
                child.terminate()
        for child in self._children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(PATIENCE_S)
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()

    def _begin(self, *words: str, **streams: Any) -> subprocess.Popen[str]:
        # A session of its own: Ctrl-C is for the demo, which stops the monitor in its own time.
        child = subprocess.Popen(
            [*MONITOR, *words], env=self._environment, text=True, start_new_session=True, **streams
        )
        self._children.append(child)
        return child

    def _follow(self, follower: subprocess.Popen[str]) -> None:
        with contextlib.suppress(ValueError):  # closed at the end
            for line in follower.stdout or ():
                self.records.put(json.loads(line))


class Demo:
    """What happens, in order. Every wait shows what goes on meanwhile."""

    def __init__(self, urls: list[str], seconds: float, home: Path) -> None:
        self._urls, self._seconds = urls, seconds
        self._near = Neighbourhood()
        self._monitor = Monitor(home)
        self._board = Board()
        self._marks: dict[str, float] = {}
        self._alerts: list[tuple[str, str]] = []
        self._figures: dict[str, float] = {}

    def close(self) -> None:
        """Leave nothing behind."""
        self._monitor.close()
        self._near.close()

    def run(self) -> None:
        """All of it. Raises ``DemoError``."""
        say = self._board.say
        self._monitor.configure(configuration(self._near, self._urls))
        say("$ python -m stayon.services.monitor run", CYAN)
        asked = time.time()
        process = self._monitor.start()
        running_s = self._wait_mark("START_PENDING -> RUNNING", process) - asked
        say(f"RUNNING, process {process.pid}, {running_s * 1000:.0f} ms after the command", BOLD)
        self._watch(0.2)
        say("now the flaky one breaks", CYAN)
        self._near.flaky.status = 503
        self._wait_so(lambda: ("flaky", "down") in self._alerts, "an alert")
        self._watch(0.15)
        say("... and is repaired", CYAN)
        self._near.flaky.status = 200
        self._wait_so(lambda: ("flaky", "up") in self._alerts, "the alert of the recovery")
        self._watch(0.1)
        reload_s = self._reload(process)
        self._watch(0.15)
        say("it breaks again: too soon for another alert", CYAN)
        self._near.flaky.status = 503
        self._wait_so(lambda: self._board.rows["flaky"].state == "down", "the second breakdown")
        self._watch(0.1)
        self._show_status()
        self._watch(0.15)
        stop_s, code = self._stop(process)
        self._summary(running_s, reload_s, stop_s, code)

    def _reload(self, process: subprocess.Popen[str]) -> float:
        self._board.say("monitor.toml gets one endpoint more, while it runs", CYAN)
        text = configuration(self._near, self._urls)
        newcomer = table("newcomer", self._near.newcomer.url, 'every = "400ms"')
        changed = time.time()
        self._monitor.configure(newcomer + text)
        took_s = self._wait_mark("configuration applied", process) - changed
        self._board.say(
            f"applied {took_s * 1000:.0f} ms after the file was written; the others kept their rhythm", BOLD
        )
        self._wait_mark("newcomer is up", process)
        return took_s

    def _show_status(self) -> None:
        self._board.say("$ python -m stayon.services.monitor status", CYAN)
        for line in self._monitor.verb("status").splitlines()[:4]:
            self._board.say(f"    {line}")
        address = json.loads(self._monitor.verb("status", "--json")).get("probes", "")
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=PATIENCE_S) as answer:
            for line in answer.read().decode().splitlines():
                name, _, figure = line.partition(" ")
                if name in ("process_resident_memory_bytes", "process_cpu_seconds_total"):
                    self._figures[name] = float(figure)

    def _stop(self, process: subprocess.Popen[str]) -> tuple[float, int]:
        self._board.say("$ python -m stayon.services.monitor stop", CYAN)
        threading.Thread(target=self._monitor.verb, args=("stop",), daemon=True).start()
        code = self._until(process.poll, "the monitor's end")
        ended = self._wait_mark("stopped", None)
        stop_s = ended - self._wait_mark("RUNNING -> STOP_PENDING", None)
        self._board.say(f"stopped with exit code {code}, {stop_s * 1000:.0f} ms after it was asked", BOLD)
        self._watch(0)
        return stop_s, code

    def _summary(self, running_s: float, reload_s: float, stop_s: float, code: int) -> None:
        memory = self._figures.get("process_resident_memory_bytes", 0.0) / 1e6
        processor = self._figures.get("process_cpu_seconds_total", 0.0)
        facts = {
            "running": f"{running_s * 1000:.0f} ms after the command",
            "memory": f"{memory:.1f} MB resident; {processor:.2f} s of processor time",
            "checks": f"{self._board.checks}, of {len(self._board.rows)} endpoints",
            "alerts": f"{len(self._alerts)} arrived",
            "reload": f"applied {reload_s * 1000:.0f} ms after the file was written",
            "stop": f"{stop_s * 1000:.0f} ms, exit code {code}",
        }
        print()
        for name, fact in facts.items():
            print(f"  {self._board.paint(f'{name:<8}', DIM)} {fact}")

    # -- waiting, and showing what goes on meanwhile

    def _watch(self, share: float) -> None:
        """Watch for a *share* of the demo's time."""
        deadline = time.monotonic() + share * self._seconds
        self._look()
        while time.monotonic() < deadline:
            time.sleep(FRAME_S)
            self._look()

    def _wait_mark(self, message: str, process: subprocess.Popen[str] | None) -> float:
        """The moment at which the log said *message*, by the wall clock. Raises ``DemoError`` if *process* ended."""

        def found() -> float | None:
            if process is not None and process.poll() is not None:
                raise DemoError(f"the monitor ended with exit code {process.returncode}: {self._monitor.why()}")
            return self._marks.get(message)

        moment: float = self._until(found, f"{message!r} in the log")
        return moment

    def _wait_so(self, is_so: Callable[[], bool], what: str) -> None:
        self._until(lambda: is_so() or None, what)

    def _until(self, is_so: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while (found := is_so()) is None:
            if time.monotonic() > deadline:
                raise DemoError(f"{what} did not come within {PATIENCE_S:g} s")
            time.sleep(0.02)
            self._look()
        return found

    def _look(self) -> None:
        """Take in what has happened, and draw."""
        with contextlib.suppress(Empty):
            while True:
                record = self._monitor.records.get_nowait()
                self._marks[record["message"]] = datetime.fromisoformat(record["time"]).timestamp()
                self._board.note(record)
        with contextlib.suppress(Empty):
            while True:
                alert = self._near.pager.alerts.get_nowait()
                self._alerts.append((alert["endpoint"], alert["state"]))
                self._board.say(f"alert arrived: {alert['text']}", COLOURS[alert["state"]])
        self._board.draw()


def main() -> int:
    """Run the demo; gives the exit code."""
    parser = argparse.ArgumentParser(prog="dev.py demo", description="The endpoint monitor at work.")
    parser.add_argument(
        "urls", nargs="*", metavar="URL", help="watched as well: http, https, tcp://host:port, tls://host"
    )
    parser.add_argument("--seconds", type=float, default=18.0, help="about how long it takes (default: 18)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us that way wants us to clean up, too
    hide, show = ("\x1b[?25l", "\x1b[?25h") if Paint().live else ("", "")
    print(hide, end="", flush=True)
    with tempfile.TemporaryDirectory(prefix="stayon-demo-", ignore_cleanup_errors=True) as home:
        demo = None
        try:
            demo = Demo(options.urls, max(options.seconds, 1.0), Path(home))
            demo.run()
        except BrokenPipeError:  # whoever read our output has left (head, less), which is their right
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except (DemoError, OSError) as error:
            print(f"demo: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\ndemo: interrupted; everything is being stopped", file=sys.stderr)
            return 130
        finally:
            if demo is not None:
                demo.close()
            print(show, end="", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
