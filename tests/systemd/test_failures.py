"""A failure never looks like a clean stop, and what follows is what the policy says, timed by the journal's clock."""

from __future__ import annotations

import errno
import itertools
from typing import TYPE_CHECKING

import pytest

from tests.systemd import lab as laboratory

if TYPE_CHECKING:
    from tests.systemd.lab import InstalledService, Lab

pytestmark = [pytest.mark.slow, pytest.mark.linux]

HANG = 86
SIGABRT = "6"
LATE_S = 0.6  # how much later than planned a busy machine may start something

AT_START = {
    "run raises": (70, "no luck today", 'raise RuntimeError("no luck today")'),
    "an error of ours": (69, "the database is away", 'raise UnavailableError("the database is away")'),
    "SystemExit": (42, "42", "raise SystemExit(42)"),
    "never ready": (70, "host.too-long", "ctx.stopping.wait()"),
}


@pytest.mark.parametrize("how", AT_START)
def test_a_failed_start(systemd: Lab, how: str) -> None:
    """systemd says "failed" with the exit code of what happened, ``start`` answers with it and the reason, and the
    journal has the report.
    """
    code, why, source = AT_START[how]
    service = systemd.service(f"""
        from stayon import UnavailableError, never
        service = Service("{{name}}", start_timeout="1s", restart=never())

        @service.run
        def main(ctx):
            {source}
        """)
    assert service.verb("install").code == 0
    started = service.verb("start")
    assert started.code == code, f"{started}\n{service.story()}"
    assert why in started.err, started
    shown = service.show("ActiveState", "Result", "ExecMainStatus")
    assert shown == {"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": str(code)}
    assert why in str([record.get("MESSAGE") for record in service.journal()])
    assert not service.records("START_PENDING -> RUNNING")


def test_systemd_hears_which_error_it_was(systemd: Lab) -> None:
    """The number of the system's error that ended it is with systemd, for those who ask it (ERRNO)."""
    service = systemd.service("""
        from stayon import never
        service = Service("{name}", restart=never())

        @service.run
        def main(ctx):
            open("/nowhere/prices")
        """)
    assert service.verb("install").code == 0
    assert service.systemctl("start", service.unit).code != 0
    shown = service.show("StatusErrno", "StatusText")
    assert shown["StatusErrno"] == str(errno.ENOENT), shown
    assert "/nowhere/prices" in shown["StatusText"]


def test_a_program_that_cannot_be_imported(systemd: Lab) -> None:
    """An import error of the user's module is told with its place, by systemd's own words of exit codes as well."""
    service = systemd.service('service = Service("{name}")\n@service.every("1s")\ndef work(ctx):\n    pass')
    assert service.verb("install").code == 0
    service.write("import nothing_of_this_name\nservice = Service('{name}')")
    started = service.systemctl("start", service.unit)
    assert started.code != 0
    told = str([record.get("MESSAGE") for record in service.journal()])
    assert "nothing_of_this_name" in told
    assert service.file in told


def test_bad_configuration_is_not_tried_again(systemd: Lab) -> None:
    """A configuration that cannot be read ends the start with 78, and systemd doesn't start it again; why stands in the
    journal, once.
    """
    service = systemd.service('service = Service("{name}")\n@service.every("1s")\ndef work(ctx):\n    pass')
    assert service.verb("install").code == 0
    service.write_config("answer = [\n")
    started = service.verb("start")
    assert started.code == 78, f"{started}\n{service.story()}"
    assert f"{service.name}.toml" in started.err
    shown = service.show("ActiveState", "ExecMainStatus", "NRestarts")
    assert shown == {"ActiveState": "failed", "ExecMainStatus": "78", "NRestarts": "0"}
    said = [entry for entry in service.journal() if f"{service.name}.toml" in entry["MESSAGE"]]
    assert [entry["PRIORITY"] for entry in said] == ["2"], service.story()


FAILS_AFTER_READY = """
    from stayon import {policies}
    service = Service("{name}", restart={policy})

    @service.run
    def main(ctx):
        ctx.log.info("here I am")
        ctx.ready()
        raise RuntimeError("no luck today")
    """


def failing(lab: Lab, policy: str) -> InstalledService:
    """A service that fails once it runs, with *policy*, started."""
    source = FAILS_AFTER_READY.replace("{policy}", policy).replace("{policies}", policy.partition("(")[0])
    service = lab.service(source)
    assert service.verb("install").code == 0
    service.systemctl("start", "--no-block", service.unit)
    return service


def starts_s(service: InstalledService, count: int) -> list[float]:
    """When it was there, by the journal's monotonic clock: *count* times."""
    service.wait_journal("here I am", count)
    return [int(record["__MONOTONIC_TIMESTAMP"]) / 1e6 for record in service.records("here I am")]


def ends_s(service: InstalledService) -> list[float]:
    """When its main process had ended, as systemd noted it."""
    return [
        int(record["__MONOTONIC_TIMESTAMP"]) / 1e6
        for record in service.journal()
        if record.get("MESSAGE_ID") == "98e322203f7a4ed290d09fe03c09fe15"  # SD_MESSAGE_UNIT_PROCESS_EXIT
    ]


def test_it_starts_again_after_the_wait(systemd: Lab) -> None:
    """After a failure it starts again, each time after the wait that its policy names (what a policy can't have on this
    systemd, install has said), and at last systemd gives up.
    """
    service = failing(systemd, 'backoff("300ms", 1, jitter=False, max_attempts=3)')
    began = starts_s(service, 4)
    service.wait("failed")
    ended = ends_s(service)
    waits = [start - end for start, end in zip(began[1:], ended, strict=False)]
    assert all(0.3 <= wait < 0.3 + LATE_S for wait in waits), f"{waits}\n{service.story()}"
    assert service.show("Result", "NRestarts")["Result"] in ("start-limit-hit", "exit-code")
    assert len(starts_s(service, 4)) == 4
    status = service.status()
    assert (status["exit_code"], status["state"]) == (70, "STOPPED"), status


def test_waits_that_grow(systemd: Lab) -> None:
    """Where systemd can (254 and later), the waits grow from the first to the longest; before that, install says that
    it can't, and each is the first.
    """
    policy = 'backoff("200ms", 2, "800ms", jitter=False, max_attempts=4)'
    service = systemd.service(FAILS_AFTER_READY.replace("{policy}", policy).replace("{policies}", "backoff"))
    installed = service.verb("install")
    version = int(systemd.check("systemctl", "--version").split()[1])
    assert ("can't make the wait grow" in installed.out) == (version < 254), installed
    service.systemctl("start", "--no-block", service.unit)
    began, ended = starts_s(service, 4), ends_s(service)
    waits = [start - end for start, end in zip(began[1:], ended, strict=False)]
    wanted = [0.2, 0.4, 0.8] if version >= 254 else [0.2, 0.2, 0.2]
    for wait, full in zip(waits, wanted, strict=True):
        assert full <= wait < full + LATE_S, f"{waits}\n{service.story()}"
    service.systemctl("stop", service.unit)


def test_it_is_never_started_again(systemd: Lab) -> None:
    """With ``never`` it fails once, and stays down."""
    service = failing(systemd, "never()")
    service.wait("failed")
    assert service.show("NRestarts", "ExecMainStatus") == {"NRestarts": "0", "ExecMainStatus": "70"}
    (report,) = [record for record in service.records("failed") if record.get("STAYON_EVENT") == "13"]
    assert "no luck today" in report["MESSAGE"]


def test_after_kill_it_starts_again(systemd: Lab) -> None:
    """A process that was killed is in nobody's way: the next is there after the wait, and says what happened."""
    service = systemd.service("""
        from stayon import immediate
        service = Service("{name}", restart=immediate())

        @service.every("1s")
        def work(ctx):
            pass
        """)
    service.install()
    service.kill("KILL")
    service.wait_journal("START_PENDING -> RUNNING", 2)
    assert service.show("NRestarts") == "1"


# What holds the GIL, and doesn't let go of it: a C function through PyDLL.
STUCK = {
    "the GIL is held": "ctypes.PyDLL(None).sleep(600)",
    "the host's loop is stuck": "ctx._host.loop.post(time.sleep, 600)",
}

HANGS = """
    import ctypes, os, time
    from stayon import immediate
    service = Service("{name}", hang_timeout="1s", restart=immediate())

    # A job: it runs only when the service is RUNNING.
    @service.every("50ms")
    def hang_once(ctx):
        mark = os.path.join(ctx.state_dir, "hung")
        if not os.path.exists(mark):
            open(mark, "w").close()
            {stuck}
    """


@pytest.mark.parametrize("how", STUCK)
def test_a_hang_ends_it(systemd: Lab, how: str) -> None:
    """When the host does not come round, also as C code holds the GIL, the process ends with 86, its stacks are in the
    journal, and systemd starts it again.
    """
    service = systemd.service(HANGS.replace("{stuck}", STUCK[how]))
    service.install()
    told = service.wait_journal("crashed or hung")
    service.wait("active")
    exits = [record["EXIT_STATUS"] for record in service.journal() if "EXIT_STATUS" in record]
    assert exits == [str(HANG)], service.story()
    where = "hang_once" if "GIL" in how else "in turn"
    assert where in told["MESSAGE"], told


def test_systemds_watchdog_is_the_second_net(systemd: Lab) -> None:
    """Where our own net isn't there, or is slower, systemd notices that no sign of life comes, aborts it, and starts it
    again.
    """
    service = systemd.service(HANGS.replace("{stuck}", STUCK["the GIL is held"]).replace('"1s"', '"60s"'))
    assert service.verb("install").code == 0
    service.drop_in("[Service]\nWatchdogSec=600ms\n")
    assert service.systemctl("start", service.unit).code == 0, service.story()
    laboratory.wait_until(lambda: service.show("NRestarts") == "1", "the restart")
    service.wait("active")
    assert [record["EXIT_STATUS"] for record in service.journal() if "EXIT_STATUS" in record] == [SIGABRT]
    assert any("Watchdog timeout" in str(record.get("MESSAGE")) for record in service.journal()), service.story()


def test_a_stopped_process_is_found(systemd: Lab) -> None:
    """A process that SIGSTOP holds can't notice that itself: systemd's watchdog does, and it is started again."""
    service = systemd.service("""
        from stayon import immediate
        service = Service("{name}", restart=immediate())

        @service.every("1s")
        def work(ctx):
            pass
        """)
    assert service.verb("install").code == 0
    service.drop_in("[Service]\nWatchdogSec=500ms\nTimeoutAbortSec=1s\n")
    assert service.systemctl("start", service.unit).code == 0, service.story()
    pid = service.pid
    service.kill("STOP")
    service.wait_journal("START_PENDING -> RUNNING", 2)
    assert service.pid != pid
    assert any("Watchdog timeout" in str(record.get("MESSAGE")) for record in service.journal()), service.story()


def test_signs_of_life_come_in_time(systemd: Lab) -> None:
    """An idle service feeds the watchdog in time, with some to spare."""
    service = systemd.service('service = Service("{name}")\n@service.every("1h")\ndef work(ctx):\n    pass')
    assert service.verb("install").code == 0
    service.drop_in("[Service]\nWatchdogSec=1s\n")
    assert service.systemctl("start", service.unit).code == 0, service.story()

    def fed_us() -> int:
        return int(service.show("WatchdogTimestampMonotonic"))

    seen = [fed_us()]
    while len(seen) < 4:
        seen.append(laboratory.wait_until(lambda: fed_us() if fed_us() != seen[-1] else 0, "a sign of life"))
    assert max(after - before for before, after in itertools.pairwise(seen)) < 900_000, seen
    assert service.show("NRestarts") == "0"


TREE = """
    import os, subprocess, sys, time
    from stayon import never
    service = Service("{name}", stop_timeout="600ms", restart=never())

    # Double-forked, in a session of its own, deaf to SIGTERM: what a stop leaves behind at other managers.
    LOST = '''
    import os, signal, time
    if os.fork(): os._exit(0)
    os.setsid()
    if os.fork(): os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(os.getpid(), flush=True)
    time.sleep(600)
    '''

    @service.run
    def main(ctx):
        import textwrap
        child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(LOST)], stdout=subprocess.PIPE)
        ctx.log.info("lost", number=int(child.stdout.readline()))
        ctx.ready()
        while not {ignores} or not ctx.stopping:
            if ctx.stopping.wait(0.05) and not {ignores}:
                return
        time.sleep(600)
    """


@pytest.mark.parametrize("ignores", [False, True], ids=["leaves", "ignores the stop"])
def test_the_whole_tree_ends(systemd: Lab, ignores: bool) -> None:
    """What the service has started is gone with it, also what forked away; who ignores the stop is told by name."""
    service = systemd.service(TREE.replace("{ignores}", str(ignores)))
    service.install()
    lost = service.record("lost")["fields"]["number"]
    assert systemd.run("kill", "-0", str(lost)).code == 0
    service.verb("stop")
    assert systemd.run("kill", "-0", str(lost)).code != 0, service.story()
    late = [record for record in service.records("these did not stop") if "STAYON_RECORD" in record]
    assert bool(late) == ignores
    assert service.record("stopped")["fields"]["exit_code"] == (70 if ignores else 0)
    assert service.show("ActiveState") in ("inactive", "failed")


def test_systemd_has_the_last_word(systemd: Lab) -> None:
    """A process that can't even hear the stop is killed by systemd when the time for it is over."""
    service = systemd.service(HANGS.replace("{stuck}", STUCK["the GIL is held"]).replace('"1s"', '"60s"'))
    service.install()
    service.drop_in("[Service]\nTimeoutStopSec=300ms\n")
    laboratory.wait_until(lambda: systemd.path(f"/var/lib/{service.name}/hung").exists(), "the hang")
    service.systemctl("stop", service.unit)
    assert service.show("ActiveState", "Result") == {"ActiveState": "failed", "Result": "timeout"}


def test_the_tree_of_a_killed_service_ends(systemd: Lab) -> None:
    """A service that was killed leaves no process behind: its control group is emptied."""
    service = systemd.service(TREE.replace("{ignores}", "False"))
    service.install()
    lost = service.record("lost")["fields"]["number"]
    service.kill("KILL")
    service.wait("failed")
    laboratory.wait_until(lambda: systemd.run("kill", "-0", str(lost)).code != 0, "its end")
