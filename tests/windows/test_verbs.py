"""Our own verbs, on a service that the SCM runs: they find it, and it answers through its named pipe."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.windows.lab import Lab

pytestmark = pytest.mark.slow

NO_SUCH_SERVICE = 1060

WITH_PROBES = """
    service = Service("{name}", probes={port})

    @service.every("20ms")
    def collect(ctx):
        ctx.status("collecting prices")

    @service.check
    def well(ctx):
        return True
    """

WAITER = """
    service = Service("{name}")

    @service.run
    def main(ctx):
        import sys
        ctx.log.info("here", prefix=sys.prefix, base=sys.base_prefix, extra=__import__("{extra}").__name__)
        ctx.ready()
        ctx.stopping.wait()
    """


def test_they_reach_a_running_service(lab: Lab, free_port: Callable[[], int]) -> None:
    """status, pause, resume, dump, logs and stop work on it, and its probes answer."""
    port = free_port()
    service = lab.service(WITH_PROBES.replace("{port}", str(port)))
    pid = service.start()["pid"]
    assert get(port, "livez")[0] == 200
    assert "stayon_state" in get(port, "metrics")[1]

    status = service.verb("status", "--json")
    assert (status.code, status.json["pid"], status.json["state"]) == (0, pid, "RUNNING"), status
    paused = service.verb("pause")
    assert (paused.code, service.status()["state"]) == (0, "PAUSED"), paused
    assert get(port, "readyz")[0] == 503
    resumed = service.verb("resume")
    assert (resumed.code, service.status()["state"]) == (0, "RUNNING"), resumed
    dump = service.verb("dump")
    assert dump.code == 0, dump
    assert "thread MainThread" in dump.out
    logs = service.verb("logs", "-n", "50")
    assert "START_PENDING -> RUNNING" in logs.out, logs
    stopped = service.verb("stop")
    assert stopped.code == 0, stopped
    assert service.wait("STOPPED")["exit_code"] == 0
    after = service.verb("status", "--json")
    assert (after.code, after.json["verdict"]) == (3, "ended"), after


def get(port: int, path: str) -> tuple[int, str]:
    """What a probe answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_it_is_installed_and_taken_away(lab: Lab) -> None:
    """install puts it into the SCM as a foreign client sees it; again it changes nothing; uninstall leaves nothing."""
    service = lab.program("""
        from stayon import backoff
        service = Service("{name}", description="Collects prices", restart=backoff())

        @service.every("20ms")
        def collect(ctx):
            pass
        """)
    dry = service.verb("install", "--dry-run", "--json")
    assert (dry.code, bool(dry.json["changes"])) == (0, True), dry
    with pytest.raises(Exception, match=str(NO_SUCH_SERVICE)):
        service.status()

    installed = service.verb("install", "--json")
    assert installed.code == 0, installed
    again = service.verb("install", "--json")
    assert (again.code, again.json["changes"]) == (0, []), again
    assert "STOPPED" in lab.exe("sc.exe", "query", service.name).out
    image = lab.ask("registry", f"SYSTEM\\CurrentControlSet\\Services\\{service.name}", "ImagePath")
    assert image.startswith(f'"{lab.named(lab.python / "python.exe")}" ')
    listed = service.verb("list", "--json")
    assert service.name in listed.out, listed

    started = service.verb("start")
    assert (started.code, service.status()["state"]) == (0, "RUNNING"), started
    first = service.status()["pid"]
    restarted = service.verb("restart")
    assert restarted.code == 0, restarted
    assert service.wait("RUNNING")["pid"] != first
    gone = service.verb("uninstall")
    assert gone.code == 0, gone
    with pytest.raises(Exception, match=str(NO_SUCH_SERVICE)):
        service.status()
    nothing = service.verb("uninstall")
    assert nothing.code != 0
    assert service.name in nothing.err


def test_a_name_of_somebody_elses_is_not_touched(lab: Lab) -> None:
    """install and uninstall leave alone a service of that name that is not ours, and say so."""
    service = lab.program('service = Service("{name}")\n@service.every("1s")\ndef work(ctx):\n    pass')
    command = "C:\\Windows\\notepad.exe"
    lab.ask("create", service.name, command)
    for verb in ("install", "uninstall"):
        answer = service.verb(verb)
        assert answer.code != 0, answer
        assert service.name in answer.err
    assert lab.ask("registry", f"SYSTEM\\CurrentControlSet\\Services\\{service.name}", "ImagePath") == command


def test_it_runs_in_a_venv(lab: Lab) -> None:
    """A service of a venv runs with the base interpreter, so that the SCM watches the right process, and has the venv's
    packages.
    """
    venv = lab.folder / "venv"
    python = lab.make_venv(venv)
    (venv / "Lib" / "site-packages" / "only_in_the_venv.py").touch()
    service = lab.program(WAITER.replace("{extra}", "only_in_the_venv"))
    installed = lab.exe(python, service.file, "install")
    assert installed.code == 0, installed
    pid = service.start()["pid"]
    assert lab.ask("children", pid) == []
    here = service.wait_log("here")["fields"]
    assert (here["prefix"], here["base"]) == (lab.named(venv), lab.named(lab.python))
    assert service.stop()["exit_code"] == 0


def test_it_runs_on_an_embeddable_python(lab: Lab) -> None:
    """An embeddable Python, as it is, will do: its ._pth file knows nothing of stayon, and need not."""
    service = lab.program(WAITER.replace("{extra}", "json"))
    packages = lab.python / "Lib" / "site-packages"
    lab.ask("create", service.name, service.command(python=lab.embeddable, packages=packages))
    service.start()
    assert service.wait_log("here")["fields"]["prefix"] == lab.named(lab.embeddable)
    assert service.stop()["exit_code"] == 0
