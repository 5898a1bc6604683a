"""What users get wrong in their file or around it: one line with what, where, why and what to do, and no half start."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.platform.conftest import Program

WORK = """
@service.every("5s")
def work(ctx):
    print("working")
"""

# (the file after its first line, the line of the mistake, what is said, its code)
MISTAKES = {
    "an interval": (
        "service = Service('s')\n@service.every('5 parsecs')\ndef work(ctx): ...\n", 3, "parsecs", "spec.duration",
    ),
    "a negative interval": (
        "service = Service('s')\n@service.every(-1)\ndef work(ctx): ...\n", 3, "-1", "spec.duration",
    ),
    "an option": (
        "service = Service('s')\n@service.every('5s', timout='1s')\ndef work(ctx): ...\n", 3,
        'the job \'work\' has no option \'timout\'. Did you mean "timeout"?', "spec.unknown-option",
    ),
    "an option of the service": (
        f"service = Service('s', stop_timeot='1s')\n{WORK}", 2,
        'a service has no option \'stop_timeot\'. Did you mean "stop_timeout"?', "spec.unknown-option",
    ),
    "two jobs of one name": (
        "service = Service('s')\n@service.every('5s')\ndef work(ctx): ...\n@service.every('6s')\ndef work(ctx): ...\n",
        5,
        "there is a second 'job work'", "spec.duplicate",
    ),
    "two runs": (
        "service = Service('s')\n@service.run\ndef one(ctx): ...\n@service.run\ndef two(ctx): ...\n", 5,
        "there is a second @service.run", "spec.duplicate",
    ),
    "a name with a slash": (f"service = Service('a/b')\n{WORK}", 2, "the name 'a/b' of a service has '/'", "spec.name"),
    "no name": (f"service = Service('')\n{WORK}", 2, "a service needs a name", "spec.name"),
    "nothing to do": ("service = Service('s')\n", 2, "the service 's' does nothing", "spec.empty"),
    "a choice": (
        "service = Service('s')\n@service.every('5s', on_failure='panic')\ndef work(ctx): ...\n", 3,
        "on_failure='panic' is not known", "spec.choice",
    ),
    "a port": (f"service = Service('s', probes='localhost:port')\n{WORK}", 2, "localhost:port", ""),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_the_users_file(program: Program, mistake: str) -> None:
    """The file's name and line, what is wrong, and what to do: 64; nothing is made, nothing of the user's called."""
    text, line, what, code = MISTAKES[mistake]
    program.write(text)
    for answer in (program.verb("run"), program.stayon("run", "p.py")):
        first, *rest = answer.err.splitlines()
        assert (answer.code, answer.out) == (64, ""), answer
        assert f"{program.file}:{line}: " in first or f"p.py:{line}: " in first, answer.err
        assert what in first
        assert code in first
        assert len(rest) == 1
        assert rest[0].startswith("Help: ")
    assert not program.home.exists()


def test_two_services_of_one_name(program: Program) -> None:
    """Two in a file that would share their lock and log: 64, with the places of both."""
    program.write(f"service = Service('s')\nother = Service('s')\n{WORK}")
    for answer in (program.stayon("run", "p.py:service"), program.stayon("status", "p.py:other")):
        assert answer.code == 64
        assert "there are two services named 's'" in answer.err
        assert f"{program.file}:3: " in answer.err
        assert f"the first is at {program.file}:2" in answer.err
    assert not program.home.exists()


def test_home_must_be_absolute(program: Program) -> None:
    """A STAYON_HOME that is relative would be another one in each directory: 64, one line; nothing is made."""
    program.write(program.eight_lines)
    for verb in ("run", "status", "stop", "logs"):
        answer = program.verb(verb, environment={"STAYON_HOME": "relative"})
        assert (answer.code, answer.out) == (64, ""), answer
        assert "relative: STAYON_HOME must be an absolute path" in answer.err
    assert sorted(os.listdir(program.folder)) == ["p.py"]


def test_a_home_that_is_a_file(program: Program) -> None:
    """Where a file is in the way of the directories: 69, one line that names it."""
    program.home.write_text("in the way")
    program.write(program.eight_lines)
    answer = program.verb("run")
    assert (answer.code, answer.out, answer.err.count("\n")) == (69, "", 1)
    assert str(program.home) in answer.err
    assert program.verb("status").code == 3


def test_a_directory_that_everybody_may_write(program: Program) -> None:
    """Where others could change a service's things it does not start: 77, one line that says why."""
    program.place("state").mkdir(parents=True)
    program.place("state").chmod(0o777)
    program.write(program.eight_lines)
    answer = program.verb("run")
    assert (answer.code, answer.out, answer.err.count("\n")) == (77, "", 1)
    assert f"{program.place('state')}: " in answer.err
    assert "everybody may write to it" in answer.err


def test_an_instance_with_a_slash(program: Program) -> None:
    """An instance's name is part of a path, so it is checked as one: 64."""
    program.write(program.eight_lines)
    answer = program.verb("run", "--instance", "../b")
    assert (answer.code, answer.out) == (64, "")
    assert "../b" in answer.err
    assert not program.home.exists()


@pytest.mark.needs_root
def test_another_account_may_not_command_it(program: Program, as_nobody: list[str]) -> None:
    """The control socket is for the service's own account and root: 77, one line; the service does not notice."""
    started = program.run(program.eight_lines)
    for verb in ("pause", "stop", "reload", "dump", "restart"):
        answer = program.verb(verb, prefix=as_nobody)
        assert (answer.code, answer.out, answer.err.count("\n")) == (77, "", 1), answer
        assert "Use the account that runs the service, or root" in answer.err
    assert program.verb("status", "--json").json["state"] == "RUNNING"
    assert started.stop() == 0


@pytest.mark.needs_root
def test_the_lock_of_another_account(program: Program, as_nobody: list[str]) -> None:
    """A start by an account that does not own the service's things: 77, one line that names the first of them."""
    started = program.run(program.eight_lines)
    program.home.chmod(0o755)
    answer = program.verb("run", prefix=as_nobody)
    assert (answer.code, answer.out, answer.err.count("\n")) == (77, "", 1), answer
    assert str(program.place("state")) in answer.err
    assert started.stop() == 0


def test_a_service_on_another_thread(program: Program) -> None:
    """Signals are the main thread's: a service that is run elsewhere says so in one line: 64."""
    program.write(program.eight_lines)
    answer = program.call(
        sys.executable, "-c",
        "import threading, p; one = threading.Thread(target=p.service.main, args=(['run'],)); one.start(); one.join()",
    )  # fmt: skip
    assert (answer.code, answer.out) == (64, "")
    assert "only the main thread can take signals" in answer.err
    assert "Traceback" not in answer.err


def test_a_file_without_a_service(program: Program) -> None:
    """It is told what the file lacks, with the line to write: 64."""
    program.file.write_text("x = 1\n")
    answer = program.stayon("run", "p.py")
    assert (answer.code, answer.out) == (64, "")
    assert 'p.py: it has no service. It needs one, at its top level: service = Service("price-collector")' in answer.err
    assert sorted(os.listdir(program.folder)) == ["p.py"]
