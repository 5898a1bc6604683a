"""Events as an operator of real Windows sees them: wevtutil is asked for what was written."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from stayon.core import levels
from stayon.core.entry import Entry
from stayon.platforms.windows.event_source import register_source, source_change, unregister_source
from stayon.platforms.windows.eventlog import TEXT_LIMIT, EventLog, report_event

pytestmark = pytest.mark.windows  # Wine's Event Log takes events and keeps none

SPACE = "{http://schemas.microsoft.com/win/2004/08/events/event}"


@pytest.fixture
def source() -> Iterator[str]:
    """The name of an event source that is registered, and gone afterwards. (The workflow's account may do that.)"""
    name = f"stayon-tests-{uuid.uuid4().hex[:12]}"
    assert register_source(name)
    yield name
    assert unregister_source(name)
    assert not unregister_source(name)


def shown(source: str) -> list[dict[str, str]]:
    """The events of *source*, oldest first: level and number, and the message as Event Viewer renders it."""
    query = f"*[System[Provider[@Name='{source}']]]"
    command = ["wevtutil", "query-events", "Application", f"/query:{query}", "/format:RenderedXml", "/element:Events"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    events = ElementTree.fromstring(done.stdout.decode("utf-8", "replace"))  # noqa: S314  # the system's own answer
    return [
        {
            "level": event.findtext(f"{SPACE}System/{SPACE}Level", ""),
            "number": event.findtext(f"{SPACE}System/{SPACE}EventID", ""),
            "text": event.findtext(f"{SPACE}RenderingInfo/{SPACE}Message", ""),
        }
        for event in events
    ]


def lines_of(text: str) -> str:
    return "\n".join(text.splitlines())


def test_an_event_is_shown_as_clean_text(source: str, until) -> None:
    """No "the description cannot be found": the message is the text, with the type of its level and its number."""
    log = EventLog(source, "s.log")
    for level, number in ((levels.NOTICE, 10), (levels.WARNING, 0), (levels.ERROR, 23)):
        log.write(Entry(0.0, level, "s", "", "m", number, {}, None), f"at {levels.name_of(level)}\nprices: 3")
    log.close()

    until(lambda: len(shown(source)) == 3, "three events")
    assert [(event["level"], event["number"]) for event in shown(source)] == [("4", "10"), ("3", "1"), ("2", "23")]
    assert lines_of(shown(source)[0]["text"]) == "at NOTICE\nprices: 3"


def test_a_text_is_shown_as_it_was_written(source: str, until) -> None:
    """What would be taken for an insertion code, characters that XML can't have, and other alphabets."""
    assert report_event(source, 12, levels.CRITICAL, "100%1 %%2 a%20b \0 prix \u20ac \U0001f600")

    until(lambda: shown(source), "the event")
    assert shown(source)[0]["text"].replace("\u200b", "") == "100%1 %%2 a%20b \u2400 prix \u20ac \U0001f600"


def test_the_longest_text_is_taken(source: str, until) -> None:
    """As long as the Event Log allows, and one that had to be cut to that."""
    assert report_event(source, 12, levels.ERROR, "x" * TEXT_LIMIT)
    assert report_event(source, 12, levels.ERROR, "y" * 100_000)

    until(lambda: len(shown(source)) == 2, "two events")
    assert [len(event["text"]) for event in shown(source)] == [TEXT_LIMIT, len(shown(source)[1]["text"])]
    assert shown(source)[1]["text"].endswith("the log file has the rest, of 100,000 characters in all")


def test_a_source_is_there_as_it_has_to_be(source: str) -> None:
    """Registering twice changes nothing; Windows' own sources are nobody else's."""
    assert source_change(source, wanted=True) is None
    assert register_source(source) is False
