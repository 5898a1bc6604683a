"""The verb ``level`` against a service that runs: more or less in its log, for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.platform.conftest import Program

TALKATIVE = """
service = Service("s")

@service.every("20ms")
def tick(ctx):
    ctx.log.debug("tick")
    ctx.log.info("tock")
"""


def test_a_level_holds_until_it_is_reset(program: Program) -> None:
    """What was too fine is logged from then on, the status says so, and ``-`` brings back what is configured."""
    started = program.run(TALKATIVE)
    started.wait_log("tock", 3)
    assert started.records("tick") == []
    assert program.verb("level").out == "s logs INFO and worse\n"

    answer = program.verb("level", "debug")
    assert (answer.code, answer.out) == (0, "s logs DEBUG and worse until reset\n")
    started.wait_log("tick", 3)
    told = started.wait_log("log level")
    assert (told["event"], told["fields"]["level"]) == (33, "DEBUG")
    assert program.stayon("level", "s", "--json").json == {"level": "DEBUG", "until": "reset"}

    assert program.verb("level", "-").out == "s logs INFO and worse\n"
    assert started.wait_log("log level", 2)["fields"]["level"] == "INFO"
    finest = len(started.records("tick"))
    started.wait_log("tock", len(started.records("tock")) + 3)
    assert len(started.records("tick")) <= finest + 1, "a tick that was under way, at most"
    assert started.stop() == 0


def test_a_level_ends_by_itself(program: Program, until) -> None:
    """With ``--for`` it says until when, the status has it, and afterwards the configured one holds again."""
    started = program.run(TALKATIVE)
    assert "s logs ERROR and worse until 20" in program.verb("level", "error", "--for", "1500ms").out
    until(lambda: program.verb("status", "--json").json["log_level"].startswith("ERROR until 20"), "it in status")
    assert "its time is over" in started.wait_log("log level", 2)["fields"]["why"]
    until(lambda: program.verb("status", "--json").json["log_level"] == "", "its end in status")
    started.wait_log("tock", len(started.records("tock")) + 2)


def test_a_later_level_is_not_ended_by_an_earlier_ones_time(program: Program) -> None:
    """The time of one that was replaced means nothing any more."""
    started = program.run(TALKATIVE)
    program.verb("level", "error", "--for", "300ms")
    program.verb("level", "debug")
    started.wait_log("tick", 30)
    assert program.verb("level", "--json").json == {"level": "DEBUG", "until": "reset"}
    assert len(started.records("log level")) == 2


def test_a_configured_level_replaces_it(program: Program) -> None:
    """A reload that changes something applies the settings whole: the level, too."""
    started = program.run(TALKATIVE)
    program.verb("level", "debug")
    program.config.write_text('[stayon.log]\nlevel = "notice"\n')
    started.wait_log("configuration applied")
    assert program.verb("level", "--json").json == {"level": "NOTICE", "until": ""}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("loud",), 64, 'level: no log level is called "loud"'),
        (("debug", "--for", "soon"), 64, "'soon' is not a usable duration"),
        (("--for", "10m"), 64, "--for needs a level"),
        (("debug", "info"), 64, "'info' is one word too many"),
        (("debug",), 69, "cannot level s"),
    ],
    ids=str,
)
def test_what_is_no_level_is_refused(program: Program, words: tuple[str, ...], code: int, said: str) -> None:
    """Wrong words are wrong use, and a service that doesn't run can't be asked: one line, and the right exit code."""
    program.write(TALKATIVE)
    answer = program.verb("level", *words)

    assert answer.code == code
    assert said in answer.err
