"""Every example does what it says, as a reader would run it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import stayon

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PATIENCE_S = 20.0

TESTED = {"collector.py", "disk_guard.py", "monitor.toml", "demo.py", "demo_screen.py", "demo_servers.py"}
TESTED |= {"tariffs.py", "tariffs.yaml"}

BUILD_S = 300.0


class Run:
    """A program that was started; its log as it comes."""

    def __init__(self, environment: dict[str, str], words: tuple[str, ...]) -> None:
        self.process = subprocess.Popen(
            list(words), env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        self._told = threading.Condition()
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                with self._told:
                    self._lines.append(line)
                    self._told.notify_all()

    def wait_log(self, message: str) -> dict[str, Any]:
        """Wait for a record with *message* in its message, and give it."""

        def found() -> list[dict[str, Any]]:
            records = [json.loads(line) for line in self._lines if line.startswith("{")]
            return [record for record in records if message in record["message"]]

        with self._told:
            assert self._told.wait_for(found, PATIENCE_S), f"no {message!r} in:\n{''.join(self._lines)}"
            return found()[0]

    def stop(self) -> int:
        """Ask it to stop; gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code


@pytest.fixture
def home(short_tmp: Path) -> Path:
    """STAYON_HOME."""
    return short_tmp


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., Run]]:
    """``start("examples/collector.py", "run")`` runs it, a program of its own as it is; what is left is ended after the
    test.
    """
    source = str(Path(stayon.__file__).parents[1])
    places = {"STAYON_HOME": str(home), "STAYON_RUNTIME": str(home / "runtime")}
    environment = {**os.environ, "PYTHONPATH": source, "PYTHONDONTWRITEBYTECODE": "1", **places}
    runs: list[Run] = []

    def begin(*words: str) -> Run:
        is_script = words[0].endswith(".py") or words[0] == "-m"
        runs.append(Run(environment, (sys.executable, *words) if is_script else words))
        return runs[-1]

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
        run.stop()


def test_every_example_is_tested() -> None:
    """Whoever adds an example adds its test to this file."""
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == TESTED


def test_the_first_service_collects(start) -> None:
    """The program of the first page runs as it is, and stops as it should."""
    run = start(str(EXAMPLES / "collector.py"))

    assert run.wait_log("collected")["fields"] == {"prices": 3}
    assert run.stop() == 0


def test_the_long_form_looks_reloads_and_checks(start, home, free_port) -> None:
    """It looks by its configuration, refuses a bad change, takes a good one, and is not ready when its check fails."""
    file = home / "disk-guard" / "config" / "disk-guard.toml"
    file.parent.mkdir(parents=True)

    def configure(text: str) -> None:
        file.with_suffix(".new").write_text(text)
        file.with_suffix(".new").replace(file)

    configure('every = "20ms"\nleast_percent = 0.000001\n')
    port = free_port()
    run = start(str(EXAMPLES / "disk_guard.py"), "run", "--set", f"stayon.probes.listen=127.0.0.1:{port}")
    assert run.wait_log("looked")["fields"]["directory"] == "/"
    configure('directory = "/no/such/directory"\n')
    assert "/no/such/directory" in run.wait_log("configuration not applied")["fields"]["why"]
    configure(f'every = "20ms"\nleast_percent = 99.999999\ndirectory = {json.dumps(str(home))}\n')
    run.wait_log("configuration applied")
    assert run.stop() == 0


def test_the_long_form_is_not_ready_on_a_full_disk(start, free_port) -> None:
    """The health check's reason is in the answer of ``/readyz``."""
    port = free_port()
    words = ("--set", f"stayon.probes.listen=127.0.0.1:{port}", "--set", "least_percent=99.999999")
    run = start(str(EXAMPLES / "disk_guard.py"), "run", *words)
    run.wait_log("health check")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz?verbose", timeout=PATIENCE_S)
    with caught.value as answer:
        assert answer.code == 503
    assert run.stop() == 0


def test_the_one_with_a_dependency_says_a_tariff(start) -> None:
    """As a script it finds its data beside itself."""
    run = start(str(EXAMPLES / "tariffs.py"))

    assert run.wait_log("tariff")["fields"]["cents"] in {24, 27, 31}
    assert run.stop() == 0


@pytest.mark.slow
@pytest.mark.linux
@pytest.mark.timeout(BUILD_S)
def test_it_says_the_same_as_one_file(start, tmp_path, refuse) -> None:
    """Built from its own first lines and with its data, it needs neither Python nor what is installed here."""
    if importlib.util.find_spec("uv") is None and shutil.which("uv") is None:
        refuse("there is no uv, which finds what the example depends on (pip install uv)")
    words = ["build", EXAMPLES / "tariffs.py", "--data", EXAMPLES / "tariffs.yaml", "--output", tmp_path]
    built = subprocess.run(
        [sys.executable, "-m", "stayon", *words], capture_output=True, text=True, timeout=BUILD_S, check=False
    )
    assert built.returncode == 0, built.stderr
    run = start(str(tmp_path / "tariffs"))

    assert run.wait_log("tariff")["fields"]["cents"] in {24, 27, 31}
    assert run.stop() == 0


def test_the_monitors_file_is_a_valid_one(start) -> None:
    """All of ``monitor.toml`` is understood; only the addresses are other ones here, where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"127.0.0.1:{listener.getsockname()[1]}"
    settings = {
        "endpoints.website.url": f"https://{nobody}/",
        "endpoints.intranet.url": f"https://{nobody}/",
        "endpoints.database.url": f"tcp://{nobody}",
        "endpoints.mail.url": f"tls://{nobody}",
        "alerts.command": json.dumps([sys.executable, "-c", ""]),
        "stayon.probes.listen": "127.0.0.1:0",
    }
    said = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    run = start("-m", "stayon.services.monitor", "run", "--config", str(EXAMPLES / "monitor.toml"), *said)
    for _ in ("website", "intranet", "database", "mail"):
        run.wait_log("checked: down")

    assert run.stop() == 0


@pytest.mark.slow
def test_the_demo_tells_its_story_and_leaves_nothing(home) -> None:
    """Each of its scenes is there, it ends with 0, and its temporary directory is gone."""
    source = str(Path(stayon.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source, "TMPDIR": str(home)}
    with socket.create_server(("127.0.0.1", 0)) as given:
        url = f"tcp://127.0.0.1:{given.getsockname()[1]}"
        command = [sys.executable, str(EXAMPLES / "demo.py"), url, "--seconds", "2"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=3 * PATIENCE_S, check=False
        )

    assert (done.returncode, done.stderr) == (0, "")
    scenes = (
        "RUNNING, process", "alert arrived: archive is degraded", "flaky is down: status 503",
        "alert arrived: flaky is down", "alert arrived: flaky is up again", "newcomer is up", "applied", "1 degraded",
        "stopped with exit code 0", "MB resident",
    )  # fmt: skip
    assert [scene for scene in scenes if scene not in done.stdout] == []
    assert list(home.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_can_be_interrupted(home, number) -> None:
    """Ctrl-C ends it with 130, and everything that it had started with it."""
    source = str(Path(stayon.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source, "TMPDIR": str(home)}
    command = [sys.executable, str(EXAMPLES / "demo.py")]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "RUNNING, process" in line:
                pid = int(line.partition("process ")[2].partition(",")[0])
                break
        process.send_signal(number)
        _, complaint = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 130
    assert complaint.strip() == "demo: interrupted; everything is being stopped"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert list(home.iterdir()) == []


def test_the_demo_says_in_one_line_what_is_wrong(home) -> None:
    """A URL that cannot be watched is told by the monitor itself."""
    source = str(Path(stayon.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source, "TMPDIR": str(home)}
    command = [sys.executable, str(EXAMPLES / "demo.py"), "gopher://host"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "url must begin with" in done.stderr
