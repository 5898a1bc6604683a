"""A service's life under systemd, asked for by systemctl, which knows nothing of us, and by our own verbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.systemd import lab as laboratory

if TYPE_CHECKING:
    from tests.systemd.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.linux]

NOT_RUNNING = 3  # systemctl status, and ours

COLLECTOR = """
    service = Service("{name}", description="Collects prices")

    @service.every("20ms")
    def collect(ctx):
        ctx.status("collecting prices")
    """

SLOW_TO_START = """
    import os
    service = Service("{name}", start_timeout="20s")

    @service.run
    def main(ctx):
        ctx.log.info("connecting")
        ctx.status("connecting to the database")
        while not os.path.exists(os.path.join(ctx.state_dir, "go")):
            if ctx.stopping.wait(0.01):
                return
        ctx.ready()
        ctx.stopping.wait()
    """

CONFIGURED = """
    service = Service("{name}")

    @service.on_reload
    def reload(ctx, new, old):
        import os, time
        ctx.log.info("reloading")
        while os.path.exists(os.path.join(ctx.state_dir, "wait")):
            time.sleep(0.01)
        if new.get("answer") == 13:
            raise RuntimeError("not that one")
        ctx.log.info(f"the answer is {new.get('answer')}")

    @service.run
    def main(ctx):
        ctx.log.info(f"the answer is {ctx.config.get('answer')}")
        ctx.ready()
        ctx.stopping.wait()
    """

ONE, TWO, THIRTEEN = (f'answer = {answer}\n[stayon]\nreload = "manual"\n' for answer in (1, 2, 13))


def test_it_starts_and_stops(systemd: Lab) -> None:
    """systemctl starts it and stops it; in between it is active, with words of its own; the stop is no failure."""
    service = systemd.service(COLLECTOR)
    assert service.verb("install").code == 0
    assert service.show("ActiveState") == "inactive"
    started = service.systemctl("start", service.unit)
    assert started.code == 0, service.story()
    shown = service.show("ActiveState", "SubState", "MainPID", "NotifyAccess", "Type")
    assert (shown["ActiveState"], shown["SubState"], shown["Type"]) == ("active", "running", "notify")
    laboratory.wait_until(lambda: service.show("StatusText") == "collecting prices", "its own words")
    assert "Collects prices" in service.systemctl("status", service.unit).out

    assert service.systemctl("stop", service.unit).code == 0
    shown = service.show("ActiveState", "Result", "ExecMainStatus", "ExecMainCode")
    assert (shown["ActiveState"], shown["Result"], shown["ExecMainStatus"]) == ("inactive", "success", "0")
    assert service.record("stopped")["fields"]["exit_code"] == 0


def test_our_verbs_do_the_same(systemd: Lab) -> None:
    """start, status, restart and stop go through systemd, and tell what it says; a second start changes nothing."""
    service = systemd.service(COLLECTOR)
    service.install()
    first = service.status()
    assert (first["state"], first["pid"], first["verdict"]) == ("RUNNING", service.pid, "running")
    again = service.verb("start")
    assert (again.code, service.pid) == (0, first["pid"]), again
    restarted = service.verb("restart")
    assert restarted.code == 0, f"{restarted}\n{service.story()}"
    assert service.pid not in (0, first["pid"])
    stopped = service.verb("stop")
    assert stopped.code == 0, stopped
    assert service.show("ActiveState") == "inactive"
    assert service.verb("status").code == NOT_RUNNING
    assert service.verb("stop").code == 0  # what is so already is no error


def test_systemctl_start_returns_when_it_is_ready(systemd: Lab) -> None:
    """A start takes until ``ctx.ready()``: so long it is activating, and says what it waits for."""
    service = systemd.service(SLOW_TO_START)
    assert service.verb("install").code == 0
    with service.lab.popen("systemctl", "start", service.unit) as starting:
        service.wait_journal("connecting")
        laboratory.wait_until(lambda: "connecting to the database" in service.show("StatusText"), "its own words")
        assert service.show("ActiveState") == "activating"
        assert starting.poll() is None
        service.touch("go")
        assert starting.wait(laboratory.PATIENCE_S) == 0
    assert service.show("ActiveState") == "active"


def test_a_slow_start_is_waited_for(systemd: Lab) -> None:
    """Longer than systemd would wait: it hears that the start goes on (EXTEND_TIMEOUT_USEC), and waits on."""
    service = systemd.service(SLOW_TO_START)
    assert service.verb("install").code == 0
    service.drop_in("[Service]\nTimeoutStartSec=1s\n")
    systemd.check("systemctl", "start", "--no-block", service.unit)
    began = float(service.wait_journal("connecting")["__MONOTONIC_TIMESTAMP"])

    def is_late() -> bool:
        return float(systemd.read("/proc/uptime").split()[0]) * 1e6 > began + 2.5e6

    laboratory.wait_until(is_late, "more than its limit")
    assert service.show("ActiveState") == "activating", service.story()
    service.touch("go")
    service.wait("active")


def test_a_stop_while_it_starts(systemd: Lab) -> None:
    """A stop ends a start that is under way, is no failure, and nothing is in the way of the next start."""
    service = systemd.service(SLOW_TO_START)
    assert service.verb("install").code == 0
    with systemd.popen("systemctl", "start", service.unit) as starting:
        service.wait_journal("connecting")
        assert service.systemctl("stop", service.unit).code == 0
        assert starting.wait(laboratory.PATIENCE_S) != 0
    assert service.show("ActiveState", "NRestarts") == {"ActiveState": "inactive", "NRestarts": "0"}, service.story()
    service.touch("go")
    assert service.systemctl("start", service.unit).code == 0


def test_only_it_speaks_for_itself(systemd: Lab) -> None:
    """What it starts knows nothing of systemd's socket, and systemd would not hear it."""
    service = systemd.service("""
        import os, subprocess
        service = Service("{name}")

        @service.run
        def main(ctx):
            ctx.log.info("environment", names=subprocess.check_output(["env"], text=True).split())
            address = {"NOTIFY_SOCKET": "/run/systemd/notify"}
            subprocess.run(["systemd-notify", "--ready", "--status=hijacked"], env={**os.environ, **address})
            ctx.log.info("tried")
            ctx.status("my own words")
            while not os.path.exists(os.path.join(ctx.state_dir, "go")):
                assert not ctx.stopping.wait(0.01)
            ctx.ready()
            ctx.stopping.wait()
        """)
    assert service.verb("install").code == 0
    systemd.check("systemctl", "start", "--no-block", service.unit)
    service.wait_journal("tried")
    laboratory.wait_until(lambda: "my own words" in service.show("StatusText"), "its own words")
    assert service.show("ActiveState") == "activating"
    names = {each.partition("=")[0] for each in service.record("environment")["fields"]["names"]}
    assert not names & {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"}
    service.touch("go")
    service.wait("active")


def test_it_lives_without_the_notify_socket(systemd: Lab) -> None:
    """Where the way to systemd is gone, it says so once, and works on; when it is back, it is heard again."""
    service = systemd.service("""
        import os
        service = Service("{name}", hang_timeout=None)

        @service.every("20ms")
        def tell(ctx):
            files = len(os.listdir(ctx.state_dir))
            ctx.status(f"seen {files}")
        """)
    service.install()
    inside = ["nsenter", "-t", str(service.pid), "-m"]
    socket_path = "/run/systemd/notify"
    systemd.check(*inside, "mount", "--bind", "/dev/null", socket_path)
    heard = service.show("StatusText")
    service.touch("a")
    laboratory.wait_until(lambda: any(r.get("STAYON_EVENT") == "36" for r in service.journal()), "the warning")
    service.touch("b")
    assert service.status()["state"] == "RUNNING"
    assert service.show("StatusText") == heard
    systemd.check(*inside, "umount", socket_path)
    service.touch("c")
    laboratory.wait_until(lambda: service.show("StatusText") != heard, "words again")
    told = [record for record in service.journal() if record.get("STAYON_EVENT") == "36"]
    assert len(told) == 1, service.story()


def test_it_can_end_by_itself(systemd: Lab) -> None:
    """``run`` that returns is a service that has done its work: inactive, a success, and not started again."""
    service = systemd.service("""
        service = Service("{name}")

        @service.run
        def main(ctx):
            ctx.ready()
        """)
    service.verb("install", "--now")
    service.wait("inactive")
    assert service.show("Result", "NRestarts") == {"Result": "success", "NRestarts": "0"}


def test_pause_and_resume(systemd: Lab) -> None:
    """pause and resume reach it through its control socket; systemd goes on calling it active, and shows the word."""
    service = systemd.service(COLLECTOR)
    service.install()
    paused = service.verb("pause")
    assert paused.code == 0, paused
    assert service.status()["state"] == "PAUSED"
    laboratory.wait_until(lambda: "paused" in service.show("StatusText"), "the word")
    assert service.show("ActiveState") == "active"
    resumed = service.verb("resume")
    assert resumed.code == 0, resumed
    assert service.status()["state"] == "RUNNING"


def test_a_good_reload(systemd: Lab) -> None:
    """``systemctl reload`` applies a good configuration, and returns when it holds; so long it is reloading."""
    service = systemd.service(CONFIGURED)
    assert service.verb("install").code == 0
    service.write_config(ONE)
    assert service.systemctl("start", service.unit).code == 0, service.story()
    service.write_config(TWO)
    service.touch("wait")
    pid = service.pid
    with systemd.popen("systemctl", "reload", service.unit) as reloading:
        service.wait_journal("reloading")
        assert service.show("ActiveState") == "reloading"
        assert reloading.poll() is None
        systemd.path(f"/var/lib/{service.name}/wait").unlink()
        assert reloading.wait(laboratory.PATIENCE_S) == 0, service.story()
    assert service.records("the answer is 2")
    assert service.show("ActiveState", "MainPID") == {"ActiveState": "active", "MainPID": str(pid)}


@pytest.mark.parametrize("config", ["answer = [\n", THIRTEEN], ids=["no TOML", "refused by the hook"])
def test_a_bad_reload(systemd: Lab, config: str) -> None:
    """A configuration that can't be applied makes ``systemctl reload``, and ours, fail; it runs on with the old one."""
    service = systemd.service(CONFIGURED)
    assert service.verb("install").code == 0
    service.write_config(ONE)
    assert service.systemctl("start", service.unit).code == 0, service.story()
    pid = service.pid
    service.write_config(config)
    assert service.systemctl("reload", service.unit).code != 0
    ours = service.verb("reload")
    assert ours.code != 0
    assert f"{service.name}.toml" in ours.err or "not that one" in ours.err, ours
    assert service.record("configuration not applied")["event"] == 31
    assert service.show("ActiveState", "MainPID") == {"ActiveState": "active", "MainPID": str(pid)}
    service.write_config(TWO)
    assert service.systemctl("reload", service.unit).code == 0, service.story()
    assert service.records("the answer is 2")


def test_two_starts_at_once(systemd: Lab, until: Callable[..., Any]) -> None:
    """Of two starts at the same moment both succeed, and there is one process."""
    service = systemd.service(COLLECTOR)
    assert service.verb("install").code == 0
    both = [systemd.popen(systemd.python, service.file, "start") for _ in range(2)]
    for each in both:
        out, err = each.communicate(timeout=laboratory.PATIENCE_S)
        assert each.returncode == 0, out + err
    assert len(service.records("START_PENDING -> RUNNING")) == 1


def test_a_run_beside_it_is_refused(systemd: Lab) -> None:
    """Who runs the program in a terminal while systemd keeps it is told so (75), and spoils nothing."""
    service = systemd.service(COLLECTOR)
    service.install("--account", "root")
    pid = service.pid
    done = service.verb("run")
    assert done.code == 75, done
    assert str(pid) in done.err
    assert service.pid == pid


def test_words_of_its_state_are_systemds(systemd: Lab) -> None:
    """An async service is notified like any other: ready, stopping, and out."""
    service = systemd.service("""
        service = Service("{name}")

        @service.run
        async def main(ctx):
            ctx.ready()
            await ctx.stopping.wait_async()
            ctx.log.info("left")
        """)
    service.install()
    assert service.show("ActiveState") == "active"
    assert service.systemctl("stop", service.unit).code == 0
    assert service.records("left")
    assert service.show("Result") == "success"
