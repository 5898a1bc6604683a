"""How systemd sees a unit, in the words of every manager."""

from __future__ import annotations

import pytest

from stayon import exits
from stayon.core import states
from stayon.core.places import Places
from stayon.platforms.systemd import definition, sight, unit
from stayon.platforms.systemd.unit_file import understood
from tests.unit.systemd_desk import NAME, WANTED

FILE = understood(definition.files(WANTED, unit.Target(252))[f"{NAME}.service"])
WELL = dict.fromkeys(sight.PROPERTIES, "") | {
    "ActiveState": "inactive",
    "SubState": "dead",
    "Result": "success",
    "MainPID": "0",
    "UnitFileState": "enabled",
}
NOW = (1_700_000_000.0, 1_000.0)


@pytest.mark.parametrize(
    ("active", "sub", "status", "state"),
    [
        ("active", "running", "", states.RUNNING),
        ("active", "running", "paused", states.PAUSED),
        ("active", "running", "paused: until noon", states.PAUSED),
        ("active", "running", "all well", states.RUNNING),
        ("reloading", "reload", "", states.RUNNING),
        ("activating", "start", "", states.START_PENDING),
        ("activating", "auto-restart", "", states.STOPPED),
        ("deactivating", "stop-sigterm", "", states.STOP_PENDING),
        ("inactive", "dead", "", states.STOPPED),
        ("failed", "failed", "", states.STOPPED),
        ("maintenance", "", "", states.STOPPED),
    ],
)
def test_states(active: str, sub: str, status: str, state: str) -> None:
    """Every state of systemd's is one of the seven; one that waits to be started again is stopped."""
    shown = WELL | {"ActiveState": active, "SubState": sub, "StatusText": status}
    assert sight.managed(NAME, shown, (FILE,), NOW).state == state


@pytest.mark.parametrize(
    ("result", "code", "status", "expected", "why"),
    [
        ("success", "1", "0", 0, ""),
        ("exit-code", "1", "70", exits.FAILED, "failed"),
        ("exit-code", "1", "203", 203, "can't be started"),
        ("exit-code", "1", "42", 42, "a code of its own"),
        ("signal", "2", "9", -9, "killed by signal 9"),
        ("core-dump", "3", "11", -11, "killed by signal 11"),
        ("watchdog", "3", "6", -6, "no sign of life"),
        ("timeout", "2", "9", -9, "not ready, or had not stopped, in time"),
        ("oom-kill", "2", "9", -9, "more memory than it may"),
        ("protocol", "1", "0", exits.FAILED, "before it had said that it is ready"),
        ("start-limit-hit", "1", "70", exits.FAILED, "failed"),
        ("start-limit-hit", "2", "9", -9, "given up"),
        ("resources", "", "", exits.FAILED, "too little"),
        ("something-new", "", "", exits.FAILED, "something-new"),
    ],
)
def test_endings(result: str, code: str, status: str, expected: int, why: str) -> None:
    """A failure has an exit code, negative for a signal, and says in words what it was."""
    found = sight.ending(WELL | {"Result": result, "ExecMainCode": code, "ExecMainStatus": status})
    assert found[0] == expected
    assert why in found[1]
    assert bool(found[1]) == bool(expected)


def test_what_the_service_said_last_is_why() -> None:
    """Its own word is better than the meaning of its exit code."""
    shown = WELL | {
        "ActiveState": "failed",
        "Result": "exit-code",
        "ExecMainCode": "1",
        "ExecMainStatus": "70",
        "StatusText": "run: ValueError: no prices",
    }
    found = sight.managed(NAME, shown, (FILE,), NOW)
    assert (found.exit_code, found.why, found.status) == (70, "run: ValueError: no prices", "")


def test_when_it_is_started_again() -> None:
    """One that waits says for how long yet."""
    shown = WELL | {
        "ActiveState": "activating",
        "SubState": "auto-restart",
        "Result": "exit-code",
        "ExecMainCode": "1",
        "ExecMainStatus": "70",
        "RestartUSec": "1min 30s",
        "StateChangeTimestampMonotonic": str(970 * 10**6),
        "NRestarts": "4",
    }
    found = sight.managed(NAME, shown, (FILE,), NOW)
    assert found.why == "failed; it is started again in 1m"
    assert found.restarts == 4
    later = sight.managed(NAME, shown, (FILE,), (NOW[0], NOW[1] + 100))
    assert later.why == "failed; it is started again at once"


def test_the_rest_of_it() -> None:
    """Process, time of the start, places, version and command are systemd's and the unit's own words."""
    shown = WELL | {
        "ActiveState": "active",
        "MainPID": "4711",
        "ActiveEnterTimestampMonotonic": str(400 * 10**6),
        "User": "prices",
        "Description": "Collects prices",
    }
    found = sight.managed(NAME, shown, (FILE,), NOW)
    assert (found.pid, found.since, found.account) == (4711, NOW[0] - 600.0, "prices")
    assert found.places == Places(f"/etc/{NAME}", f"/var/log/{NAME}", f"/var/lib/{NAME}", f"/run/{NAME}")
    assert (found.mark, found.start) == ("stayon 0.1.0", "auto")
    assert found.command == " ".join(WANTED.command)


@pytest.mark.parametrize(
    ("said", "enabled", "word"),
    [
        ("auto", "enabled", "auto"),
        ("delayed", "enabled", "delayed"),
        ("manual", "enabled-runtime", "auto"),
        ("auto", "disabled", "manual"),
        ("disabled", "disabled", "disabled"),
    ],
)
def test_how_it_starts(said: str, enabled: str, word: str) -> None:
    """What is enabled now counts, as an administrator may have changed it."""
    file = understood(definition.files(WANTED.replace(start=said), unit.Target(252))[f"{NAME}.service"])
    assert sight.start_word(WELL | {"UnitFileState": enabled}, (file,)) == word


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("1min 30s", 90.0), ("100ms", 0.1), ("2h", 7200.0), ("infinity", 0.0), ("", 0.0), ("1.5s", 1.5)],
)
def test_times_as_systemd_writes_them(written: str, seconds: float) -> None:
    """Sums of numbers with units; what is none of that is nothing."""
    assert sight.seconds_of(written) == pytest.approx(seconds)
