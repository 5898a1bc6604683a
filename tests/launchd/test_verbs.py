"""The verbs with launchd, on an agent of the user who runs the tests: on macOS its own launchd, with launchctl as a
foreign eye; and on any Unix the fake one, with the same eye.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
from stayon import Service

service = Service("{name}", description="A test of stayon's")

@service.every("1h")
def collect(ctx):
    ctx.log.info("collected")

if __name__ == "__main__":
    {wiring}
    service.main()
"""

# A fake's sites and launchctl are said by the program itself, as a computer has one launchd only.
WIRING = "import sys; sys.path.insert(0, {root!r}); from tests.launchd.desk import wire; wire({folder!r})"

BROKEN = PROGRAM.replace(
    "if __name__", '@service.on_start\ndef fail(ctx):\n    raise RuntimeError("no database")\n\nif __name__'
)
LIMIT_S = 60.0


class Agent:
    """A service of the user who runs this. *name* is one that nobody has; *launchctl* and *agents* are the computer's,
    or a fake's.
    """

    def __init__(self, folder: Path, launchctl: str, agents: Path, wiring: str) -> None:
        self.name = f"stayon-test-{uuid.uuid4().hex[:8]}"
        self.file = folder / "program.py"
        self.home = folder / "home"
        self.list = agents / f"{self.name}.plist"
        self._launchctl, self._wiring = launchctl, wiring
        self.write(PROGRAM)

    def write(self, text: str) -> None:
        self.file.write_text(text.replace("{name}", self.name).replace("{wiring}", self._wiring), "utf-8")

    def verb(self, *words: str, code: int | None = 0) -> Any:
        """``python program.py WORDS --json``; what it answered."""
        done = subprocess.run(
            [sys.executable, str(self.file), *words, "--json"],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            env={**os.environ, "STAYON_HOME": str(self.home)},
        )
        assert code in (None, done.returncode), f"{words}: {done}"
        return json.loads(done.stdout) if done.stdout.startswith("{") else done

    def printed(self) -> str:
        """What launchctl says of it; "" if it isn't loaded."""
        for domain in ("gui", "user"):
            words = [self._launchctl, "print", f"{domain}/{os.getuid()}/{self.name}"]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return done.stdout
        return ""

    def remove(self) -> None:
        self.verb("uninstall", code=None)
        for domain in ("gui", "user"):
            words = [self._launchctl, "bootout", f"{domain}/{os.getuid()}/{self.name}"]
            subprocess.run(words, capture_output=True, check=False)
        self.list.unlink(missing_ok=True)


@pytest.fixture(
    params=[
        pytest.param("fake", marks=[pytest.mark.linux, pytest.mark.macos]),
        pytest.param("real", marks=pytest.mark.macos),
    ]
)
def agent(request, tmp_path: Path) -> Iterator[Agent]:
    """A program, not installed yet; nothing of it is left afterwards."""
    if request.param == "real":
        made = Agent(tmp_path, "/bin/launchctl", Path.home() / "Library" / "LaunchAgents", "pass")
        yield made
        made.remove()
        return
    from tests.launchd.desk import opened

    with opened() as desk:
        wiring = WIRING.format(root=str(Path(__file__).parents[2]), folder=str(desk.folder))
        made = Agent(desk.folder, str(desk.folder / "launchctl"), Path(desk.sites.loaded), wiring)
        yield made
        made.remove()


def test_an_agent_from_install_to_uninstall(agent) -> None:
    """launchd has it, runs it, and forgets it; and says the same as we do."""
    agent.verb("install")
    assert agent.list.exists()
    if sys.platform == "darwin":
        assert subprocess.run(["plutil", "-lint", str(agent.list)], check=False).returncode == 0
    assert agent.printed() == ""

    agent.verb("start")
    status = agent.verb("status")
    assert status["state"] == "RUNNING"
    assert f"pid = {status['pid']}" in agent.printed()
    assert "state = running" in agent.printed()

    agent.verb("restart")
    again = agent.verb("status")
    assert again["state"] == "RUNNING"
    assert again["pid"] != status["pid"]

    agent.verb("stop")
    assert agent.printed() == ""
    assert agent.verb("install")["changes"] == []

    agent.verb("uninstall")
    assert not agent.list.exists()


def test_pause_and_resume_by_signals(agent) -> None:
    """launchctl kill sends them."""
    agent.verb("install", "--now")

    assert agent.verb("pause")["state"] == "PAUSED"
    assert agent.verb("resume")["state"] == "RUNNING"


def test_a_start_that_fails_tells_how(agent) -> None:
    """The exit code is the service's, and launchd's last one."""
    agent.write(BROKEN)
    agent.verb("install")

    agent.verb("start", code=70)
    assert "last exit code = 70" in agent.printed()


def test_a_crash_is_started_again(agent) -> None:
    """By launchd, after the interval that its list has."""
    agent.verb("install", "--now")
    pid = agent.verb("status")["pid"]
    os.kill(pid, 9)

    deadline = time.monotonic() + LIMIT_S
    while agent.verb("status", code=None)["pid"] in (pid, None, 0):
        assert time.monotonic() < deadline, agent.printed()
        time.sleep(0.5)
