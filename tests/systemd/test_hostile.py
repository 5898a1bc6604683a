"""A service that was taken over lies to root, who asks after it: it gains nothing, and root's verbs end."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.systemd.lab import InstalledService, Lab

pytestmark = [pytest.mark.slow, pytest.mark.linux]

ACCOUNT = "taken"

# Runs as the account: a page that says what it is told to, and the lock held, so that it counts.
LIAR = """
import fcntl, json, os, sys, time
from stayon.platforms.identity import process_identity
from stayon.runtime.status import Status, page_bytes
name, said = sys.argv[1], json.loads(sys.argv[2])
os.chdir(f"/run/{name}")
lock = open(f"{name}.lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
lock.write(str(os.getpid()).ljust(10) + chr(10))
lock.flush()
fields = dict(service=name, instance="", pid=os.getpid(), state="STOPPED", since="", started_at="",
              beat_s=0.0, beat_every_s=1.0) | said
fields.setdefault("process", process_identity(fields["pid"]) if fields["pid"] != "1" else "")
with open(f"{name}.status", "wb") as page:
    page.write(page_bytes(Status(**fields), 1))
print("lying", flush=True)
time.sleep(600)
"""


@pytest.fixture
def service(systemd: Lab) -> InstalledService:
    """One that is not running, whose run directory is the account's, as a daemon's is."""
    made = systemd.service()
    systemd.run("useradd", "--system", ACCOUNT)
    systemd.check("install", "-d", "-o", ACCOUNT, "-m", "750", f"/run/{made.name}")
    systemd.write("/opt/liar.py", LIAR)
    return made


def lying(service: InstalledService, **said: Any) -> Any:
    """A process of the account that says so, while the ``with`` lasts."""
    words = ("setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups", "--")
    return service.lab.running(*words, service.lab.python, "/opt/liar.py", service.name, json.dumps(said))


def test_root_ends_nothing_that_a_page_names(service: InstalledService, until: Callable[..., Any]) -> None:
    """A page that names a process of root's, waiting to be started again, does not have ``stop`` end it."""
    with service.lab.running("sleep", "600") as victim:
        pid = int(until(lambda: service.lab.run("pgrep", "-nx", "sleep").out, "sleep"))
        with lying(service, pid=pid, exit_code=75) as liar:
            assert liar.stdout.readline() == "lying\n"
            stopped = service.verb("stop", "--timeout", "2s")
        assert victim.poll() is None
    assert stopped.code == 77, stopped
    assert "[status.foreign-process]" in stopped.err


def test_root_ends_what_is_the_accounts(service: InstalledService) -> None:
    """What waits to be started again, and is its own, is ended."""
    with lying(service, exit_code=75) as waiting:
        assert waiting.stdout.readline() == "lying\n"
        stopped = service.verb("stop", "--timeout", "5s")
        assert waiting.wait(5) != 0
    assert stopped.code == 0, stopped


NONE: dict[str, dict[str, Any]] = {
    "all processes": {"pid": -1, "exit_code": 75},
    "a group": {"pid": 0, "exit_code": 75},
    "a text": {"pid": "1"},
    "a time that is none": {"beat_s": "now"},
}


@pytest.mark.parametrize("what", NONE)
def test_a_page_that_is_none(service: InstalledService, what: str) -> None:
    """A number that means all processes, or another kind of value, makes it no page: ``stop`` and ``status`` say so."""
    with lying(service, **NONE[what]) as liar:
        assert liar.stdout.readline() == "lying\n"
        for verb in ("status", "stop"):
            answered = service.verb(verb, "--timeout", "1s") if verb == "stop" else service.verb(verb)
            assert "Traceback" not in answered.err, answered
            assert answered.code in (0, 3, 69, 75), answered
        assert service.lab.run("systemctl", "is-system-running").out.strip() in ("running", "degraded")


@pytest.mark.parametrize("ending", ["status", "lock", "sock"])
@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_what_lies_in_the_run_directory_keeps_no_verb(service: InstalledService, ending: str, kind: str) -> None:
    """A pipe or a link to an endless device in the place of page, lock or socket: every verb ends soon."""
    path = f"/run/{service.name}/{service.name}.{ending}"
    service.lab.check(*(("mkfifo", path) if kind == "pipe" else ("ln", "-s", "/dev/zero", path)))
    for verb in ("status", "stop", "reload", "doctor"):
        began = time.monotonic()
        answered = service.verb(verb)
        assert "Traceback" not in answered.err, answered
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_what_lies_in_the_log_directory_keeps_no_verb(service: InstalledService, kind: str) -> None:
    """Nor does such a thing in the place of the log keep ``logs``."""
    directory = f"/var/log/{service.name}"
    service.lab.check("install", "-d", "-o", ACCOUNT, directory)
    path = f"{directory}/{service.name}.log"
    service.lab.check(*(("mkfifo", path) if kind == "pipe" else ("ln", "-s", "/dev/zero", path)))
    answered = service.verb("logs")
    assert answered.code == 69, answered
    assert "[logs.unreadable]" in answered.err


def test_a_page_moves_no_cursor(service: InstalledService) -> None:
    """Its texts are shown with their control characters escaped, each on its line."""
    with lying(service, state="RUNNING", status="fine\x1b[2J\nhealth ok", why="\x9b31m", exit_code=70) as liar:
        assert liar.stdout.readline() == "lying\n"
        answered = service.verb("status")
    assert "\x1b" not in answered.out
    assert "\x9b" not in answered.out
    assert "\nhealth" not in answered.out


def test_root_talks_to_no_other_service(systemd: Lab, service: InstalledService) -> None:
    """A control socket that leads to another service's has root ask that for nothing."""
    other = systemd.service()
    other.install()
    systemd.check("ln", "-s", f"/run/{other.name}/{other.name}.sock", f"/run/{service.name}/{service.name}.sock")
    answered = service.verb("reload")
    assert answered.code == 77, answered
    assert "[control.foreign]" in answered.err
    assert not other.records("reload")
