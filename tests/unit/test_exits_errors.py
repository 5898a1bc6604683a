"""Exit codes are a contract, and an error says what, where, why and what to do."""

from __future__ import annotations

import pytest

from stayon import errors, exits

OURS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.StayonError)]


def test_exit_codes_are_those_of_the_design() -> None:
    """Managers are configured with these numbers, so they never change."""
    codes = {name: value for name, value in vars(exits).items() if isinstance(value, int) and name.isupper()}

    assert codes == {
        "DONE": 0,
        "USAGE": 64,
        "UNAVAILABLE": 69,
        "FAILED": 70,
        "TEMPORARY": 75,
        "NOT_PERMITTED": 77,
        "BAD_CONFIG": 78,
        "HANG": 86,
        "INTERRUPTED": 130,
        "TERMINATED": 143,
    }


def test_every_exit_code_has_a_meaning() -> None:
    """Each code of ours says something of its own to a person."""
    codes = [value for name, value in vars(exits).items() if isinstance(value, int) and name.isupper()]

    assert sorted(exits.MEANINGS) == sorted(codes)
    assert len({exits.meaning(code) for code in codes}) == len(codes)


def test_a_signal_and_a_foreign_code_have_a_meaning_too() -> None:
    """Any number a process can end with is explained."""
    assert exits.meaning(-9) == "killed by signal 9"
    assert exits.meaning(3) == "ended with a code of its own"


def test_final_codes_are_those_that_a_restart_cannot_help() -> None:
    """Wrong use, missing rights and bad configuration stay as they are, however often one tries."""
    assert exits.FINAL == (64, 77, 78)


def test_an_error_says_it_all_in_one_line() -> None:
    """Where, what, why, the hint and the code, in this order."""
    error = errors.ConfigError(
        "the key is unknown", where="app.toml:3", why="'prot'", hint='Did you mean "port"?', code="config.unknown-key"
    )

    assert str(error) == "app.toml:3: the key is unknown: 'prot'. Did you mean \"port\"? [config.unknown-key]"


def test_an_error_says_no_more_than_it_knows() -> None:
    """Parts that are not given leave no trace, and the code is the kind's."""
    assert str(errors.UsageError("there is no such verb")) == "there is no such verb [usage]"


@pytest.mark.parametrize("kind", OURS)
def test_every_error_has_an_exit_code_and_a_code_of_its_own(kind: type[errors.StayonError]) -> None:
    """A kind of error is known by both, whoever looks."""
    assert kind.exit_code in exits.MEANINGS
    assert [other for other in OURS if other.code == kind.code] == [kind]
    assert errors.exit_code_of(kind("it went wrong")) == kind.exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SystemExit(), exits.DONE),
        (SystemExit(None), exits.DONE),
        (SystemExit(3), 3),
        (SystemExit("it went wrong"), exits.FAILED),
        (ValueError("it went wrong"), exits.FAILED),
        (KeyboardInterrupt(), exits.FAILED),
    ],
)
def test_a_foreign_exception_asks_for_an_exit_code(error: BaseException, code: int) -> None:
    """``SystemExit`` means what Python makes of it, all else is a failure."""
    assert errors.exit_code_of(error) == code
