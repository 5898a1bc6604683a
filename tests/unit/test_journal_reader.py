"""Reading the journal back, with a stand-in for journalctl that checks what it is asked and prints what it would."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from stayon.errors import NotPermittedError, UnavailableError
from stayon.platforms.journal_reader import JournalReader, line_of, may_read

RECORD = '{"time":"2026-01-31T08:00:05.123Z","level":"INFO","logger":"price","service":"price","pid":7,"message":"m"}'

# Prints its entries, in the order that was asked for, and stays, where it was told to follow.
JOURNALCTL = """
import json, sys, time
words, entries = sys.argv[1:], json.load(open({entries!r}))
with open({asked!r}, "a") as file:
    file.write(json.dumps(words) + "\\n")
after = [word.partition("=")[2] for word in words if word.startswith("--after-cursor=")]
if "--reverse" in words:
    entries.reverse()
elif after:
    entries = entries[int(after[0]) + 1:]
for entry in entries:
    print(json.dumps(entry), flush=True)
while "--follow" in words:
    time.sleep(1)
if {error!r}:
    sys.exit({error!r})
"""


def everything(_line: str) -> bool:
    return True


class Journalctl:
    """The stand-in; ``entries`` is what the journal has, ``asked`` the words of each call."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.error = ""
        self.entries: list[dict] = []

    def reader(self, *, user: bool = False, directories: tuple[str, ...] = ()) -> JournalReader:
        entries = self._directory / "entries.json"
        entries.write_text(json.dumps([{**one, "__CURSOR": str(place)} for place, one in enumerate(self.entries)]))
        script = self._directory / "journalctl.py"
        asked = str(self._directory / "asked")
        script.write_text(JOURNALCTL.format(entries=str(entries), asked=asked, error=self.error))
        return JournalReader(user=user, command=(sys.executable, "-S", str(script)), directories=directories)

    @property
    def asked(self) -> list[list[str]]:
        return [json.loads(line) for line in (self._directory / "asked").read_text().splitlines()]


@pytest.fixture
def journalctl(tmp_path: Path) -> Journalctl:
    return Journalctl(tmp_path)


def test_a_record_of_ours_comes_back_as_it_was() -> None:
    """To the byte: what a log file would have."""
    assert line_of("price", {"STAYON_RECORD": RECORD, "MESSAGE": "m", "PRIORITY": "6"}) == RECORD


@pytest.mark.parametrize(
    ("entry", "made"),
    [
        (
            {"MESSAGE": "printed", "_TRANSPORT": "stdout", "_PID": "7", "PRIORITY": "6"},
            {"level": "INFO", "logger": "stderr", "service": "price", "instance": "east", "pid": 7},
        ),
        (
            {"MESSAGE": "Main process exited", "_PID": "1", "PRIORITY": "5", "SYSLOG_IDENTIFIER": "systemd"},
            {"level": "NOTICE", "logger": "systemd", "service": "price", "instance": "east", "pid": 1},
        ),
        (
            {"MESSAGE": "m", "_PID": "9", "PRIORITY": "0", "SYSLOG_IDENTIFIER": "helper", "_TRANSPORT": "syslog"},
            {"level": "CRITICAL", "logger": "helper", "service": "price", "instance": "east", "pid": 9},
        ),
        ({"MESSAGE": None}, {"level": "INFO", "logger": "journal", "service": "price", "instance": "east", "pid": 0}),
    ],
)
def test_what_others_say_becomes_a_record(entry: dict, made: dict) -> None:
    """What was printed, what systemd says of the service, what its children log: each under a name of its own."""
    stamped = {**entry, "__REALTIME_TIMESTAMP": "1769846405123456"}
    message = entry["MESSAGE"] or ""
    assert json.loads(line_of("price@east", stamped)) == {
        "time": "2026-01-31T08:00:05.123Z",
        **made,
        "message": message,
    }


def test_bytes_and_several_values_are_read() -> None:
    """journalctl prints what isn't plain text as a list of bytes, and of a field that is there twice both values."""
    assert json.loads(line_of("s", {"MESSAGE": [101, 27, 255]}))["message"] == "e\x1b\\xff"
    assert line_of("s", {"STAYON_RECORD": [RECORD, "other"]}) == RECORD


def test_a_line_of_json_on_standard_error_is_the_record_that_it_is() -> None:
    """As a service of which standard error is the journal has logged it."""
    assert line_of("price", {"MESSAGE": RECORD, "_TRANSPORT": "stdout"}) == RECORD


def test_the_last_ones_that_are_wanted_come_in_their_order(journalctl: Journalctl) -> None:
    """However far back they are; journalctl is asked for the unit, backwards, in full, and since when."""
    journalctl.entries = [{"STAYON_RECORD": f'{{"message":{number}}}'} for number in range(1000)]
    found = journalctl.reader().last("price@east", 2, lambda line: line.endswith("1}"), 5.5)
    assert found == ['{"message":981}', '{"message":991}']
    (words,) = journalctl.asked
    assert words[0] == "--unit=price@east.service"
    assert {"--output=json", "--all", "--no-pager", "--reverse", "--since=@5.500000"} <= set(words)
    assert journalctl.reader().last("price", 0, everything) == []


def test_following_goes_on_behind_what_was_shown(journalctl: Journalctl) -> None:
    """From the place that was seen last, wanted or not; ending it ends journalctl."""
    journalctl.entries = [{"STAYON_RECORD": f'{{"message":{number}}}'} for number in range(3)]
    lines = journalctl.reader().follow("price", 1, lambda line: not line.endswith("2}"))
    assert next(lines) == '{"message":1}'
    journalctl.entries += [{"STAYON_RECORD": '{"message":3}'}]
    journalctl.reader()
    assert next(lines) == '{"message":3}'
    lines.close()
    assert {"--follow", "--no-tail", "--after-cursor=2"} <= set(journalctl.asked[1])


def test_a_users_service_is_read_as_such(journalctl: Journalctl) -> None:
    """By its own name for the unit, wherever the journal keeps it."""
    journalctl.reader(user=True).last("price", 1, everything)
    assert journalctl.asked[0][0] == "--user-unit=price.service"


def test_what_journalctl_says_is_told(journalctl: Journalctl) -> None:
    """Its last line is why; and it may not be there at all."""
    journalctl.error = "hint\nno such unit"
    with pytest.raises(UnavailableError, match="no such unit") as caught:
        journalctl.reader().last("price", 1, everything)
    assert caught.value.code == "logs.unreadable"
    with pytest.raises(UnavailableError, match="/no/such/journalctl"):
        JournalReader(command=["/no/such/journalctl"], directories=()).last("price", 1, everything)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="an account of Windows has no such files")
def test_who_may_not_read_it_is_told_what_to_do(
    journalctl: Journalctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before journalctl is asked, which would show what little there is; a user's own services are his to read."""
    journal = tmp_path / "machine" / "system.journal"
    journal.parent.mkdir()
    journal.touch()
    assert may_read([str(tmp_path), "/no/such"])
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert not may_read([str(tmp_path)])
    with pytest.raises(NotPermittedError, match="systemd-journal") as caught:
        journalctl.reader(directories=(str(tmp_path),)).last("price", 1, everything)
    assert caught.value.code == "logs.not-permitted"
    assert journalctl.reader(user=True, directories=(str(tmp_path),)).last("price", 1, everything) == []
    journal.unlink()
    assert may_read([str(tmp_path)])
