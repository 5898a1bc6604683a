"""The example's Dockerfile: what it says is there, and runs as PID 1. (No engine is needed: its words are read.)"""

from __future__ import annotations

import fnmatch
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from stayon.cli import words

if TYPE_CHECKING:
    from tests.platform.conftest import Program

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "examples" / "container" / "Dockerfile"

# Instructions that take a list of words (the exec form) or a line for a shell.
COMMANDS = ("RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK")


class Instruction(NamedTuple):
    """One line: its word, its options, and what follows."""

    word: str
    options: tuple[str, ...]
    rest: str


def _instructions() -> list[Instruction]:
    found = []
    for line in FILE.read_text("utf-8").replace("\\\n", " ").splitlines():
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        options = []
        while rest.startswith("--"):
            option, _, rest = rest.partition(" ")
            options.append(option)
            rest = rest.lstrip()
        found.append(Instruction(word, tuple(options), rest))
    return found


INSTRUCTIONS = _instructions()
STAGES = [number for number, each in enumerate(INSTRUCTIONS) if each.word == "FROM"]
LAST = {each.word: each for each in INSTRUCTIONS[STAGES[-1] :]}


def _words(instruction: Instruction) -> list[str]:
    listed = json.loads(instruction.rest.removeprefix("CMD").lstrip())
    assert all(isinstance(word, str) for word in listed)
    return listed


def test_no_shell_stands_between() -> None:
    """Every command is a list, so signals reach the service, and nothing is expanded."""
    commands = [each for each in INSTRUCTIONS if each.word in COMMANDS]
    assert [each.word for each in commands if not _words(each)] == []
    assert LAST["STOPSIGNAL"].rest == "SIGTERM"


def test_it_is_not_root() -> None:
    """Its account is a number, as Kubernetes can't see what a name means, and the data are that account's."""
    uid, _, gid = LAST["USER"].rest.partition(":")
    assert int(uid) > 0
    assert int(gid) > 0
    home = dict(variable.split("=") for variable in shlex.split(LAST["ENV"].rest))["STAYON_HOME"]
    assert json.loads(LAST["VOLUME"].rest) == [home]
    made = [_words(each) for each in INSTRUCTIONS if each.word == "RUN" and home in each.rest]
    assert made == [["install", "--directory", f"--owner={uid}", f"--group={gid}", home]]


def test_what_it_copies_is_there() -> None:
    """In the repository, and let through by what the build is kept from."""
    ignored = (FILE.parent / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source for each in INSTRUCTIONS if each.word == "COPY" and not each.options for source in each.rest.split()[:-1]
    }
    assert {source.removeprefix("./") for source in copied} == let_through
    assert all((ROOT / source).exists() for source in copied)
    assert ignored[0] == "*"
    assert not any(fnmatch.fnmatch(".git", pattern) for pattern in let_through)


def test_what_it_needs_from_an_earlier_stage_was_made_there() -> None:
    """A mount's or a copy's stage has a name, and comes before."""
    names = [INSTRUCTIONS[number].rest.partition(" AS ")[2] for number in STAGES]
    parts = [part for each in INSTRUCTIONS for part in ",".join(each.options).split(",")]
    asked = {part.partition("from=")[2] for part in parts if part.startswith(("from=", "--from="))}
    assert asked
    assert asked <= set(names[:-1])


@pytest.mark.linux
@pytest.mark.needs_root
def test_it_runs_and_is_well(program: Program, free_port: Callable[[], int], until: Callable[..., Any]) -> None:
    """Its entry point with its words, as PID 1 and as its account: RUNNING, well by its own health check, and gone at
    SIGTERM.
    """
    uid = LAST["USER"].rest.partition(":")[0]
    program.folder.chmod(0o755)
    data = program.folder / "data"
    data.mkdir()
    os.chown(data, int(uid), int(uid))
    port = free_port()
    entry = [word.replace("/app/", f"{ROOT}/examples/") for word in _words(LAST["ENTRYPOINT"])]
    said = [word.replace(":9100", f":{port}") for word in _words(LAST["CMD"])]
    account = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--inh-caps=-all,+dac_read_search"]
    account += ["--ambient-caps=-all,+dac_read_search", "--bounding-set=-all,+dac_read_search"]
    inside = {"STAYON_HOME": str(data)}
    container = program.start(
        None, *said, command=[sys.executable, *entry[1:]], environment=inside,
        prefix=["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *account],
    )  # fmt: skip
    container.wait_running()
    init = until(lambda: _children(container.pid), "PID 1")[0]
    check = [sys.executable, *_words(LAST["HEALTHCHECK"])[1:]]
    asked = subprocess.run(
        ["nsenter", "--target", str(init), "--pid", "--mount", *account, *check],
        env={**program.environment, **inside}, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert (asked.returncode, "RUNNING" in asked.stdout) == (0, True), asked
    os.kill(init, signal.SIGTERM)
    assert container.wait() == 0
    assert not list(data.rglob("*.log"))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_its_words_are_understood() -> None:
    """By the program, and by ``python -m stayon``."""
    assert words.parse(_words(LAST["CMD"]), with_target=False).verb.name == "run"
    check = _words(LAST["HEALTHCHECK"])
    understood = words.parse(check[check.index("stayon") + 1 :], with_target=True)
    assert understood.verb.name == "status"
    assert f'Service("{understood.target}"' in (ROOT / "examples" / "collector.py").read_text("utf-8")
