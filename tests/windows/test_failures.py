"""A failure never looks like a clean stop: the SCM gets error 1066 with our exit code, and the log says why."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from tests.windows import lab as laboratory

if TYPE_CHECKING:
    from tests.windows.lab import InstalledService, Lab

pytestmark = pytest.mark.slow

SPECIFIC = 1066  # ERROR_SERVICE_SPECIFIC_ERROR

AT_START = {
    "run raises": (
        70,
        "no luck today",
        """
        @service.run
        def main(ctx):
            raise RuntimeError("no luck today")
        """,
    ),
    "on_start raises": (
        70,
        "no luck today",
        """
        @service.on_start
        def begin(ctx):
            raise RuntimeError("no luck today")
        @service.every("1s")
        def work(ctx):
            pass
        """,
    ),
    "an error of ours": (
        69,
        "the database is away",
        """
        from stayon import UnavailableError
        @service.run
        def main(ctx):
            raise UnavailableError("the database is away")
        """,
    ),
    "SystemExit": (
        42,
        "42",
        """
        @service.run
        def main(ctx):
            raise SystemExit(42)
        """,
    ),
    "never ready": (
        70,
        "host.too-long",
        """
        @service.run
        def main(ctx):
            ctx.stopping.wait()
        """,
    ),
}


@pytest.mark.parametrize("how", AT_START)
def test_a_failed_start(lab: Lab, how: str) -> None:
    """It goes from START_PENDING to STOPPED with the exit code of what happened, and the log has the reason."""
    code, why, source = AT_START[how]
    service = lab.service(f'service = Service("{{name}}", start_timeout="2s")\n{dedent(source)}')
    found = service.start_in_vain()
    assert (found["exit_code"], found["specific"]) == (SPECIFIC, code), service.log_text()
    assert "RUNNING" not in [seen["state"] for seen in found["seen"]]
    assert why in service.log_text()


AFTER_READY = {
    "run": """
        @service.run
        def main(ctx):
            ctx.ready()
            raise RuntimeError("no luck today")
        """,
    "a task": """
        @service.task
        def further(ctx):
            raise RuntimeError("no luck today")
        """,
    "a job": """
        @service.every("1s", on_failure="fail")
        def work(ctx):
            raise RuntimeError("no luck today")
        """,
}


@pytest.mark.parametrize("what", AFTER_READY)
def test_a_failure_while_running(lab: Lab, what: str) -> None:
    """What raises ends the service, with 1066 and 70, and one report with the exception."""
    service = lab.service(f'service = Service("{{name}}")\n{dedent(AFTER_READY[what])}')
    found = service.start_in_vain()
    assert (found["exit_code"], found["specific"]) == (SPECIFIC, 70), service.log_text()
    reports = [record for record in service.log() if record.get("event") == 13]
    assert [report["exception"]["message"] for report in reports] == ["no luck today"]


def test_a_stop_hook_that_fails(lab: Lab) -> None:
    """A crash in ``on_stop`` keeps nothing from stopping, and is in the log. The SCM is told no error, as it was asked:
    its recovery would start again what an operator has stopped.
    """
    service = lab.service("""
        service = Service("{name}")

        @service.on_stop
        def end(ctx):
            raise RuntimeError("no luck today")

        @service.every("1s")
        def work(ctx):
            pass
        """)
    service.start()
    assert service.stop()["exit_code"] == 0
    assert service.wait_log("stopped")["fields"]["exit_code"] == 70


HOOKS = """
    service = Service("{name}")
    pauses = []

    @service.on_pause
    def pause(ctx):
        pauses.append(1)
        if len(pauses) == 1:
            raise RuntimeError("pause: no luck today")

    @service.on_resume
    def resume(ctx):
        raise RuntimeError("resume: no luck today")

    @service.on_reload
    def reload(ctx, new, old):
        raise RuntimeError("reload: no luck today")

    @service.on_event
    def event(ctx, event):
        raise RuntimeError("event: no luck today")

    @service.every("1s")
    def work(ctx):
        pass
    """


def test_crashes_in_the_other_hooks(lab: Lab) -> None:
    """A hook for pausing, resuming, reloading or events that raises is told in the log, and the service goes on."""
    service = lab.service(HOOKS)
    service.write_config("answer = 1\n")
    service.start()
    service.control(laboratory.PAUSE)
    wait_for_text(service, "pause: no luck today")
    service.wait("RUNNING")
    service.control(201)
    wait_for_text(service, "event: no luck today")
    service.write_config("answer = 2\n")
    service.control(laboratory.PARAMCHANGE)
    wait_for_text(service, "reload: no luck today")
    service.control(laboratory.PAUSE)
    service.wait("PAUSED")
    service.control(laboratory.CONTINUE)
    wait_for_text(service, "resume: no luck today")
    service.wait("PAUSED")
    assert service.stop()["exit_code"] == 0


def wait_for_text(service: InstalledService, text: str) -> None:
    """Wait until *text* is in the log, wherever in a record."""
    laboratory.wait_until(lambda: text in service.log_text(), repr(text))


def test_a_program_that_cannot_be_imported(lab: Lab) -> None:
    """An import error of the user's module is told with its traceback, and is no bare 1053."""
    service = lab.service("import nothing_of_this_name\nservice = Service('{name}')")
    found = service.start_in_vain()
    assert found["exit_code"] == SPECIFIC
    assert found["specific"] in (70, 78)
    log = service.log_text()
    assert "nothing_of_this_name" in log
    assert "program.py" in log


def test_a_program_that_is_gone(lab: Lab) -> None:
    """A program that was moved is told by its path."""
    service = lab.service("service = Service('{name}')")
    service.file.rename(service.folder / "moved.py")
    found = service.start_in_vain()
    assert found["exit_code"] == SPECIFIC
    assert "program.py" in service.log_text()


def test_bad_configuration(lab: Lab) -> None:
    """A configuration that cannot be read ends the start with 78, of which managers know that restarting can't help."""
    service = lab.service("service = Service('{name}')\n@service.every('1s')\ndef work(ctx):\n    pass")
    service.write_config("answer = [\n")
    found = service.start_in_vain()
    assert (found["exit_code"], found["specific"]) == (SPECIFIC, 78)
    assert f"{service.name}.toml" in service.log_text()
