"""What a service says is in the journal, field by field, as journalctl shows it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.systemd import lab as laboratory

if TYPE_CHECKING:
    from tests.systemd.lab import InstalledService, Lab

pytestmark = [pytest.mark.slow, pytest.mark.linux]

LARGE = 300_000  # more than a datagram takes: it goes as a sealed memfd

TELLER = """
    import os, sys
    service = Service("{name}", version="1.2.3")

    @service.run
    def main(ctx):
        ctx.log.info("first\\nsecond", prices=3, exchange="Wien")
        ctx.log.warning("careful")
        try:
            raise ValueError("no such price")
        except ValueError:
            ctx.log.exception("not collected")
        ctx.log.info("large", blob="x" * {large})
        print("printed on stdout", flush=True)
        print("printed on stderr", file=sys.stderr, flush=True)
        ctx.ready()
        ctx.stopping.wait()
    """

TICKER = """
    service = Service("{name}")
    ticks = []

    @service.every("10ms")
    def tick(ctx):
        ticks.append(1)
        ctx.log.info(f"tick {len(ticks)}")
    """


def test_the_fields_of_a_record(systemd: Lab) -> None:
    """MESSAGE may have several lines; level, service, the user's own fields and the event have fields of their own."""
    service = systemd.service(TELLER.replace("{large}", str(LARGE)))
    service.install()
    (told,) = service.records("first")
    assert told["MESSAGE"].startswith("first\nsecond"), told
    assert (told["PRIORITY"], told["SYSLOG_IDENTIFIER"]) == ("6", service.name)
    assert (told["STAYON_SERVICE"], told["PRICES"], told["EXCHANGE"]) == (service.name, "3", "Wien")
    assert told["_TRANSPORT"] == "journal"
    assert json.loads(told["STAYON_RECORD"])["fields"] == {"prices": 3, "exchange": "Wien"}
    (careful,) = service.records("careful")
    assert careful["PRIORITY"] == "4"
    (failed,) = service.records("not collected")
    assert "ValueError: no such price" in failed["MESSAGE"]
    assert failed["PRIORITY"] == "3"
    (ready,) = service.records("START_PENDING -> RUNNING")
    assert len(ready["MESSAGE_ID"]) == 32
    assert ready["STAYON_EVENT"] == "10"
    assert service.journal(f"MESSAGE_ID={ready['MESSAGE_ID']}")


def test_nothing_is_said_twice(systemd: Lab) -> None:
    """What it prints is in the journal as it is; its records are there once, and not on stderr as well."""
    service = systemd.service(TELLER.replace("{large}", "1"))
    service.install()
    service.wait_journal("printed on stderr")
    for text in ("first", "careful", "printed on stdout", "printed on stderr"):
        assert len(service.records(text)) == 1, service.story()
    assert not systemd.path(f"/var/log/{service.name}/{service.name}.log").exists()


def test_a_large_record(systemd: Lab) -> None:
    """A record that no datagram takes arrives whole."""
    service = systemd.service(TELLER.replace("{large}", str(LARGE)))
    service.install()
    told = service.wait_journal("large")
    assert told["BLOB"] == "x" * LARGE or len(told["BLOB"]) >= 200_000, len(told["BLOB"])


def test_logs_reads_them_back(systemd: Lab) -> None:
    """``logs`` shows the last records, by level and number, from the journal, and ``-f`` goes on with what comes."""
    service = systemd.service(TICKER)
    service.install()
    service.wait_journal("tick", 3)
    last = service.verb("logs", "-n", "2", "--json")
    assert last.code == 0, last
    assert [json.loads(line)["service"] for line in last.out.splitlines()] == [service.name] * 2
    warnings = service.verb("logs", "--level", "error")
    assert (warnings.code, warnings.out.strip()) == (0, ""), warnings
    with systemd.running(systemd.python, service.file, "logs", "-f", "-n", "1") as following:
        seen = [following.stdout.readline() for _ in range(5)]
    assert all("tick" in line for line in seen), seen


def test_journald_may_be_started_again(systemd: Lab) -> None:
    """A restart of journald costs no record: the socket that they wait in is systemd's."""
    service = systemd.service(TICKER)
    service.install()
    service.wait_journal("tick 3")
    pid = service.pid
    systemd.check("systemctl", "restart", "systemd-journald.service")
    count = len(service.records("tick"))
    service.wait_journal("tick", count + 10)
    assert service.pid == pid
    assert missing(service) == set()


def test_journald_may_be_away(systemd: Lab) -> None:
    """With journald stopped, and its socket gone, the service goes on; what isn't in the journal is in its log file."""
    service = systemd.service(TICKER)
    service.install()
    service.wait_journal("tick 3")
    pid = service.pid
    away = ["systemd-journald.socket", "systemd-journald-dev-log.socket", "systemd-journald.service"]
    systemd.check("systemctl", "stop", *away)
    try:
        before = service.status()
        laboratory.wait_until(lambda: service.status() != before, "a sign of life")
        assert service.status()["pid"] == pid
    finally:
        systemd.check("systemctl", "start", *away)
    service.wait_journal("takes records again")
    gap = missing(service)
    assert gap, service.story()
    log = systemd.read(f"/var/log/{service.name}/{service.name}.log")
    kept = {int(json.loads(line)["message"].split()[1]) for line in log.splitlines() if '"tick ' in line}
    # (What was in the socket when it was closed is nobody's any more.)
    assert gap & kept
    assert gap - kept <= {min(gap), min(gap) + 1}, (gap, kept)
    assert service.pid == pid
    assert service.systemctl("stop", service.unit).code == 0
    assert service.show("Result") == "success"


def missing(service: InstalledService) -> set[int]:
    """The numbers of ticks up to the last that the journal has, and that it hasn't."""
    numbers = {int(str(record["MESSAGE"]).split()[1]) for record in service.records("tick ")}
    return set(range(1, max(numbers) + 1)) - numbers
