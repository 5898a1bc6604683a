"""The lab itself: what the other tests stand on is there, and nothing of it stays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.systemd import lab as laboratory

if TYPE_CHECKING:
    from tests.systemd.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.linux]


def test_any_account_may_use_its_python(systemd: Lab) -> None:
    """An account that owns nothing, and sees no home, runs the interpreter with the stayon that is tested."""
    words = ["systemd-run", "--wait", "--pipe", "--quiet", "-pDynamicUser=yes", "-pProtectHome=yes"]
    done = systemd.run(*words, systemd.python, "-c", "import os, ssl, stayon; print(os.getuid() > 0, stayon.__file__)")
    assert done.code == 0, done
    assert done.out.startswith(f"True {laboratory.VENV}/"), done


def test_a_user_has_a_manager(systemd: Lab) -> None:
    """An account that lingers has a systemd of its own, which runs what it is asked."""
    user = systemd.user_manager()
    done = systemd.run("systemd-run", "--user", "--wait", "--pipe", "--quiet", "id", "-un", user=user)
    assert done == (0, f"{user}\n", "")


@pytest.mark.usefixtures("systemd")
def test_it_boots_and_nothing_of_it_stays() -> None:
    """A second lab boots beside the first, with nothing failed; closed, it leaves no process, mount, group or file."""
    groups = Path(laboratory.control_groups())
    before = set(groups.glob("stayon-lab-*"))
    with laboratory.opened() as lab:
        assert lab.run("systemctl", "is-system-running") == (0, "running\n", "")
        lab.check("systemd-run", "--unit=left-alone", "sleep", "1000")
        (group,) = set(groups.glob("stayon-lab-*")) - before
        sleeper = int((group / "system.slice/left-alone.service/cgroup.procs").read_text("ascii"))
        assert (group / "cgroup.procs").read_text("ascii") == ""  # or systemd could control nothing
        mounts = lab.check("cat", "/proc/self/mounts")
    upper = mounts.partition("upperdir=")[2].partition(",")[0]
    assert Path(upper).name == "upper"
    assert not Path(f"/proc/{lab.init}").exists()
    assert not Path(f"/proc/{sleeper}").exists()
    assert not group.exists()
    assert not Path(upper).parents[1].exists()
    assert upper not in Path("/proc/self/mounts").read_text("utf-8")
