"""What only a real Windows does with our services: it starts them again, by accounts, SIDs, delays and triggers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.windows.lab import InstalledService, Lab

pytestmark = [pytest.mark.windows, pytest.mark.slow]

FAILS_ONCE = """
    import os
    from stayon import immediate
    service = Service("{name}", restart=immediate(max_attempts=3))

    @service.run
    def main(ctx):
        ctx.ready()
        ctx.log.info("at work")
        marker = os.path.join(ctx.state_dir, "failed")
        if {fails} and not os.path.exists(marker):
            open(marker, "w").close()
            raise RuntimeError("no luck today")
        ctx.stopping.wait()
    """

DECLARED = """
    import os
    from stayon import backoff
    service = Service("{name}", description="Collects prices", restart=backoff(first="1s", max_attempts=5))
    service.installation(
        start="delayed", triggers=["network-up"], privileges=["SeChangeNotifyPrivilege"], environment={"ANSWER": "42"}
    )

    @service.run
    def main(ctx):
        ctx.log.info("here", account=os.environ["USERNAME"], answer=os.environ["ANSWER"])
        ctx.ready()
        ctx.stopping.wait()
    """


def installed(service: InstalledService) -> InstalledService:
    """*service*, put into the SCM by the verb."""
    answer = service.verb("install")
    assert answer.code == 0, answer
    return service


def test_recovery_starts_it_again_after_a_failure(lab: Lab) -> None:
    """STOPPED with 1066 and our exit code is a failure to the SCM, and its recovery starts the service again."""
    service = installed(lab.program(FAILS_ONCE.replace("{fails}", "True")))
    service.begin_start()
    service.wait_log("at work", 2)
    assert service.wait("RUNNING")["pid"]
    assert service.stop()["exit_code"] == 0


def test_recovery_starts_it_again_after_a_crash(lab: Lab) -> None:
    """A process that was ended from outside is started again; one that was asked to stop is not."""
    service = installed(lab.program(FAILS_ONCE.replace("{fails}", "False")))
    lab.ask("terminate", service.start()["pid"], 1)
    service.wait_log("at work", 2)
    service.wait("RUNNING")
    assert service.stop()["exit_code"] == 0
    assert len(service.records("at work")) == 2


@pytest.mark.parametrize(
    ("question", "answers"),
    [
        ("qc", ["AUTO_START", "(DELAYED)", "NT AUTHORITY\\LocalService"]),
        ("qsidtype", ["UNRESTRICTED"]),
        ("qtriggerinfo", ["IP ADDRESS AVAILABILITY"]),
        ("qprivs", ["SeChangeNotifyPrivilege"]),
        ("qfailure", ["RESTART -- Delay = 1000 milliseconds"]),
        ("qfailureflag", ["TRUE"]),
        ("qdescription", ["Collects prices"]),
    ],
)
def test_what_was_declared_is_kept(lab: Lab, declared: InstalledService, question: str, answers: list[str]) -> None:
    """sc.exe finds everything that the service has declared."""
    told = lab.exe("sc.exe", question, declared.name)
    assert [answer for answer in answers if answer not in told.out] == [], told


@pytest.fixture(scope="module")
def declared(lab: Lab) -> InstalledService:
    """A service that declares much."""
    return installed(lab.program(DECLARED))


def test_it_runs_as_declared(declared: InstalledService) -> None:
    """By the account with the fewest rights, which can reach its folders, and with its environment."""
    declared.start()
    told = declared.wait_log("here")["fields"]
    assert (told["account"], told["answer"]) == ("LOCAL SERVICE", "42")
    assert declared.stop()["exit_code"] == 0


def test_an_import_error_is_in_the_event_log(lab: Lab, until: Callable[..., Any]) -> None:
    """Who looks into the Event Viewer finds the traceback, under the service's name."""
    service = installed(lab.program('service = Service("{name}")\n@service.every("1s")\ndef work(ctx):\n    pass'))
    service.write("import nothing_of_this_name")
    service.begin_start()
    service.wait("STOPPED")
    query = f"/query:*[System[Provider[@Name='{service.name}']]]"

    def told() -> bool:
        found = lab.exe("wevtutil.exe", "query-events", "Application", query, "/format:text")
        return "nothing_of_this_name" in found.out

    until(told, "an event with the traceback")
