"""Limits of a service are in force, and what it may not do it can't."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.systemd.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.linux]

MEMORY = 64 * 1024**2

LIMITED = """
    import resource
    service = Service("{name}")

    @service.run
    def main(ctx):
        ctx.log.info("limits", files=resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        ctx.ready()
        ctx.stopping.wait()
    """

CURIOUS = """
    import os, socket, sys
    service = Service("{name}")

    def tried(what):
        try:
            what()
        except (OSError, RuntimeError) as error:
            return type(error).__name__
        return "done"

    @service.run
    def main(ctx):
        ctx.log.info(
            "tried",
            usr=tried(lambda: open("/usr/new", "w")),
            etc=tried(lambda: open("/etc/new", "w")),
            home=tried(lambda: os.listdir("/root")),
            raw=tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
            name=tried(lambda: socket.sethostname("mine")),
            tmp=tried(lambda: open("/tmp/new", "w")),
            state=tried(lambda: open(ctx.state_dir + "/new", "w")),
        )
        ctx.ready()
        ctx.stopping.wait()
    """


def test_limits_are_in_force(systemd: Lab) -> None:
    """--memory, --cpu, --tasks and --limit reach systemd, and the process."""
    service = systemd.service(LIMITED)
    service.install("--memory", "64M", "--cpu", "50%", "--tasks", "20", "--limit", "nofile=333")
    assert service.show("MemoryMax", "TasksMax", "CPUQuotaPerSecUSec", "LimitNOFILE") == {
        "MemoryMax": str(MEMORY),
        "TasksMax": "20",
        "CPUQuotaPerSecUSec": "500ms",
        "LimitNOFILE": "333",
    }
    assert service.record("limits")["fields"]["files"] == 333


def test_limits_of_the_control_group(systemd: Lab, request: pytest.FixtureRequest) -> None:
    """The kernel's own files of the service's control group have the limits."""
    controllers = systemd.read("/sys/fs/cgroup/cgroup.controllers").split()
    if not {"memory", "pids", "cpu"} <= set(controllers):
        had = " ".join(controllers) or "no controllers"
        pytest.skip(f"{request.node.name}: the kernel's cgroup2 has {had} here (those of version 1 are in use)")
    service = systemd.service(LIMITED)
    service.install("--memory", "64M", "--cpu", "50%", "--tasks", "20")
    group = f"/sys/fs/cgroup{service.show('ControlGroup')}"
    assert systemd.read(f"{group}/memory.max").strip() == str(MEMORY)
    assert systemd.read(f"{group}/pids.max").strip() == "20"
    assert systemd.read(f"{group}/cpu.max").split()[0] != "max"


def test_what_it_may_not_do(systemd: Lab) -> None:
    """A plain service writes to its own directories and its own /tmp, and nowhere else; it sees no homes."""
    service = systemd.service(CURIOUS)
    service.install()
    told = service.record("tried")["fields"]
    denied = {name for name, how in told.items() if how != "done"}
    assert denied == {"usr", "etc", "home", "raw", "name"}, told
    assert not systemd.path("/tmp/new").exists()


def test_what_it_is_allowed(systemd: Lab) -> None:
    """--allow and --write give what they name, and nothing besides."""
    systemd.path("/srv/exchange").mkdir(parents=True)
    systemd.path("/srv/exchange").chmod(0o777)
    service = systemd.service("""
        service = Service("{name}")

        @service.run
        def main(ctx):
            open("/srv/exchange/new", "w").close()
            import ctypes, mmap
            mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
            ctx.ready()
            ctx.stopping.wait()
        """)
    service.install("--write", "/srv/exchange", "--allow", "jit")
    assert systemd.path("/srv/exchange/new").exists()
    assert service.show("MemoryDenyWriteExecute") == "no"
