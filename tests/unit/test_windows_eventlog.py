"""The Event Log without Windows: what is written, how long anybody waits for it, and whose sources are touched."""

from __future__ import annotations

import threading

import pytest

from stayon.core import levels
from stayon.core.entry import Entry
from stayon.errors import NotPermittedError, UsageError
from stayon.platforms.windows import event_source, eventlog
from stayon.platforms.windows.eventlog import TEXT_LIMIT, EventLog, event_number, fitted

SOURCE = "price-collector"
KEY = rf"{event_source.EVENT_LOGS}\Application\{SOURCE}"
PATIENCE_S = 10.0


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def entry(level: int = levels.INFO, event_id: int = 0) -> Entry:
    return Entry(1000.0, level, SOURCE, "", "told elsewhere", event_id, {}, None)


class Service:
    """The service EventLog: it keeps what it gets, can be told to fail, and to answer only when ``let_go`` is set."""

    def __init__(self) -> None:
        self.events: list[tuple[int, int, str]] = []
        self.failures: list[str] = []
        self.opened = self.closed = 0
        self.called, self.let_go, self.all_there = threading.Event(), threading.Event(), threading.Semaphore(0)
        self.let_go.set()

    def open(self, source: str) -> tuple[int, str]:
        assert source == SOURCE
        self.opened += 1
        return self.opened, ""

    def report(self, handle: int, kind: int, number: int, text: str) -> str:
        assert handle == self.opened
        self.called.set()
        assert self.let_go.wait(PATIENCE_S)
        if self.failures:
            return self.failures.pop(0)
        self.events.append((kind, number, text))
        self.all_there.release()
        return ""

    def close(self, handle: int) -> None:
        self.closed += 1


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def log(service: Service) -> EventLog:
    return EventLog(SOURCE, r"C:\logs\price-collector.log", service)


def test_each_level_has_its_type_and_each_number_its_place(log: EventLog, service: Service) -> None:
    """Errors, warnings and information; a number that the message file lacks goes under the general one."""
    for level, number in ((levels.NOTICE, 10), (levels.WARNING, 0), (levels.ERROR, 1000), (levels.CRITICAL, 4711)):
        log.write(entry(level, number), "text")
    log.close()

    assert [event[:2] for event in service.events] == [(4, 10), (2, 1), (1, 1000), (1, 1)]
    assert (event_number(-1), event_number(1), event_number(1001)) == (1, 1, 1)


def test_a_text_is_shown_as_it_is() -> None:
    """Lines stay lines; what isn't a character of a text becomes visible; what looks like a code stays what it is."""
    assert fitted("a\nb\r\nc\td", "") == "a\r\nb\r\nc\td"
    assert fitted("a\0b\x1b\x7f", "") == "a\u2400b\u241b\u2421"
    assert fitted("\ud83d\ude00 \ud800", "") == "\U0001f600 \ufffd"
    shown = fitted("%1 %%2 %{a} 100% 5%x %", "")
    assert shown.replace("\u200b", "") == "%1 %%2 %{a} 100% 5%x %"
    assert shown == "%\u200b1 %\u200b%\u200b2 %\u200b{a} 100% 5%x %"


@pytest.mark.parametrize("one", ["x", "\U0001f600", "\n", "%1", "\0"])
def test_a_text_is_cut_at_what_fits_and_says_so(one: str) -> None:
    """At most 31,839 code units, no half character, and where the rest is."""
    most = fitted(one * 40_000, r"C:\s.log")

    assert TEXT_LIMIT - 4 <= units(most) <= TEXT_LIMIT or one == "\n"
    assert "\ufffd" not in most
    assert most.endswith(f"\r\n... C:\\s.log has the rest, of {len(one) * 40_000:,} characters in all")


def test_what_just_fits_is_whole() -> None:
    """The limit itself is not yet too long."""
    assert fitted("x" * TEXT_LIMIT, "") == "x" * TEXT_LIMIT
    assert fitted("x" * (TEXT_LIMIT + 1), "").count("x") < TEXT_LIMIT


def test_an_error_is_there_when_the_call_returns(log: EventLog, service: Service) -> None:
    """So that it is before anybody is told that the service has stopped."""
    log.write(entry(levels.ERROR), "failed")
    assert service.events == [(1, 1, "failed")]


def test_nobody_waits_for_what_is_no_error(log: EventLog, service: Service) -> None:
    """While the Event Log doesn't answer, other records are handed over at once; when it does, they are all there."""
    service.let_go.clear()
    for number in range(10):
        log.write(entry(), str(number))
    assert service.called.wait(PATIENCE_S)
    assert service.events == []
    service.let_go.set()
    log.close()
    assert [text for _kind, _number, text in service.events] == [str(number) for number in range(10)]


def test_a_log_that_does_not_answer_is_waited_for_once(log: EventLog, service: Service, monkeypatch) -> None:
    """An error waits its time, the next one and the end don't; after it has answered, errors are waited for again."""
    monkeypatch.setattr(eventlog, "PATIENCE_S", 0.02)
    monkeypatch.setattr(eventlog, "CLOSE_PATIENCE_S", 1e6)
    service.let_go.clear()
    log.write(entry(levels.ERROR), "first")
    monkeypatch.setattr(eventlog, "PATIENCE_S", 1e6)
    log.write(entry(levels.ERROR), "second")
    log.close()
    assert service.events == []
    service.let_go.set()
    assert all(service.all_there.acquire(timeout=PATIENCE_S) for _ in range(2))
    log.write(entry(levels.ERROR), "third")
    assert [text for _kind, _number, text in service.events] == ["first", "second", "third"]


def test_what_waits_is_bounded(log: EventLog, service: Service) -> None:
    """Beyond 256, a record is refused, and so counted as lost; nothing that was taken is."""
    service.let_go.clear()
    for number in range(eventlog.WAITING_LIMIT):
        log.write(entry(), str(number))
    with pytest.raises(OSError, match="does not answer"):
        log.write(entry(), "one more")
    service.let_go.set()
    log.close()
    assert len(service.events) == eventlog.WAITING_LIMIT


def test_a_service_that_came_again_gets_a_new_handle(log: EventLog, service: Service) -> None:
    """A handle dies with the service EventLog: the event is tried once more, by a new one, and is not lost."""
    log.write(entry(levels.ERROR), "before")
    service.failures = ["The handle is invalid"]
    log.write(entry(levels.ERROR), "after")
    assert [text for _kind, _number, text in service.events] == ["before", "after"]
    assert (service.opened, service.closed) == (2, 1)
    log.close()
    log.close()
    assert service.closed == 2


def test_each_event_that_was_not_taken_is_told_once(log: EventLog, service: Service) -> None:
    """An error's own call says so; what came without waiting is told by the next call."""
    service.failures = ["The RPC server is unavailable"]
    with pytest.raises(OSError, match="the Event Log: The RPC server is unavailable"):
        log.write(entry(levels.ERROR), "lost")
    log.write(entry(levels.ERROR), "taken")
    assert len(service.events) == 1


def test_many_threads_lose_nothing(log: EventLog, service: Service) -> None:
    """Whoever writes at the same time: every event is delivered once, those of a thread in their order."""

    def write(name: str) -> None:
        for number in range(50):
            log.write(entry(levels.ERROR if number % 7 == 0 else levels.INFO), f"{name} {number}")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    log.close()
    for name in "abcd":
        assert [text for *_, text in service.events if text[0] == name] == [f"{name} {n}" for n in range(50)]


class Keys:
    """A registry: a dictionary. ``closed`` are paths that this account may not touch."""

    def __init__(self, **keys: dict) -> None:
        self.keys: dict[str, dict] = keys
        self.closed: set[str] = set()

    def _check(self, path: str) -> None:
        if path in self.closed:
            raise PermissionError(13, "Access is denied")

    def read(self, path: str) -> dict | None:
        self._check(path)
        return self.keys.get(path)

    def subkeys(self, path: str) -> list[str]:
        return ["Application", "Security", "System"]

    def write(self, path: str, values: dict) -> None:
        self._check(path)
        self.keys.setdefault(path, {}).update(values)

    def delete(self, path: str) -> None:
        self._check(path)
        del self.keys[path]


def test_a_source_is_made_once_and_taken_away_once() -> None:
    """Registering and unregistering say whether they did something; a second time they have nothing to do."""
    keys = Keys()
    planned = event_source.source_change(SOURCE, wanted=True, registry=keys)
    assert planned is not None
    assert (planned.name, planned.old, planned.new) == ("event source", "", SOURCE)
    assert keys.keys == {}
    assert [event_source.register_source(SOURCE, keys) for _ in range(2)] == [True, False]
    assert keys.keys[KEY]["EventMessageFile"].endswith("EventCreate.exe")
    assert keys.keys[KEY]["TypesSupported"] == 7
    assert event_source.source_change(SOURCE, wanted=True, registry=keys) is None
    assert [event_source.unregister_source(SOURCE, keys) for _ in range(2)] == [True, False]
    assert keys.keys == {}


def test_a_source_of_ours_is_mended() -> None:
    """One that is ours and not as it has to be is put right; that is a change, but not a new source."""
    keys = Keys(**{KEY: {event_source.MARK: 1, "EventMessageFile": r"C:\old.dll"}})
    assert event_source.source_change(SOURCE, wanted=True, registry=keys) is not None
    assert event_source.register_source(SOURCE, keys) is False
    assert keys.keys[KEY] == event_source.WANTED


@pytest.mark.parametrize("log_name", ["Application", "System"])
def test_a_source_of_somebody_else_is_not_touched(log_name: str) -> None:
    """Neither made ours nor removed, in whichever log it is."""
    path = rf"{event_source.EVENT_LOGS}\{log_name}\{SOURCE}"
    keys = Keys(**{path: {"EventMessageFile": r"C:\theirs.dll"}})
    with pytest.raises(UsageError) as caught:
        event_source.register_source(SOURCE, keys)
    assert caught.value.code == "eventlog.foreign-source"
    assert f"{log_name}\\{SOURCE}" in str(caught.value)
    assert event_source.unregister_source(SOURCE, keys) is False
    assert keys.keys == {path: {"EventMessageFile": r"C:\theirs.dll"}}


def test_who_is_no_administrator_is_told() -> None:
    """A key that may not be written is our error; one of another log that may not be read is passed over."""
    keys = Keys()
    keys.closed.add(rf"{event_source.EVENT_LOGS}\Security\{SOURCE}")
    assert event_source.register_source(SOURCE, keys)
    keys.closed.add(KEY)
    with pytest.raises(NotPermittedError) as caught:
        event_source.unregister_source(SOURCE, keys)
    assert caught.value.code == "eventlog.access-denied"
