"""``--help`` shows, for the command and for each verb, how it is used, with an example that works."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from stayon import exits
from stayon.cli import words
from stayon.cli.command import execute
from stayon.core.installation import ALLOWANCES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "commands.md").read_text("utf-8")


def _help(capsys, *said: str) -> str:
    assert execute([*said, "--help"], program="stayon") == exits.DONE
    printed: str = capsys.readouterr().out
    return printed


def _example(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if line.startswith("example: stayon ")]
    assert len(lines) == 1
    return shlex.split(lines[0].removeprefix("example: stayon "))


@pytest.mark.parametrize("verb", words.VERBS, ids=lambda verb: verb.name)
def test_the_help_of_a_verb_has_an_example_that_is_understood(verb: words.Verb, capsys) -> None:
    """``stayon VERB --help`` says what it does, has every option, and an example of it; the page has it all."""
    text = _help(capsys, verb.name)

    assert words.parse(_example(text), with_target=True).verb == verb
    assert verb.summary in text
    assert all(f"--{option.name}" in text and option.summary in text for option in verb.options)
    assert f"```text\n{text}```" in PAGE


def test_many_options_stand_below_headings(capsys) -> None:
    """``install --help`` has what is told by heading, and what ``--allow`` may name with its meaning."""
    text = _help(capsys, "install")

    for heading, option in ((words.WHEN, "--after"), (words.RIGHTS, "--allow"), (words.BOUNDS, "--memory")):
        assert option in text.partition(f"\n{heading}:\n")[2].partition("\n\n")[0]
    listed = text.partition("\nwhat may be allowed:\n")[2]
    assert all(f"  {name} " in listed and meaning in listed for name, meaning in ALLOWANCES.items())


def test_the_help_of_the_command_has_every_verb_and_an_example(capsys) -> None:
    """``stayon --help`` lists each verb with what it does, and shows how to begin; the page has it all."""
    text = _help(capsys)

    assert words.parse(_example(text), with_target=True).verb == words.VERBS[0]
    assert all(f"  {verb.name}" in text and verb.summary in text for verb in words.VERBS)
    assert f"```text\n{text}```" in PAGE


def test_a_program_has_the_same_help_without_a_target(capsys) -> None:
    """``python3 collector.py --help`` speaks of verbs alone: the program is the service."""
    from stayon.runtime.service import Service

    assert execute(["status", "--help"], program="collector.py", service=Service("help")) == exits.DONE
    assert capsys.readouterr().out.startswith("usage: collector.py status [OPTIONS]\n")
