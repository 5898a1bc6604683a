"""The words by which managers, multiprocessing and people call a program that is one file."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from stayon.cli.command import Call
from stayon.cli.inside import called, is_program
from stayon.errors import UsageError
from stayon.machine import Program
from stayon.platforms.onefile import entry
from stayon.platforms.onefile.command import Line, is_ours, reload_command, run_options, service_command, understood
from stayon.platforms.onefile.program import LAUNCHER, here

EXE = "/opt/a b/collector"
ABOUT = b'{"entry": "collector", "name": "collector", "python": "3.13.0", "size": 1.5}'


@pytest.fixture
def one_file(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What Python sees of a program that is one file, for this process."""
    launcher = SimpleNamespace(
        executable=EXE, sets=("/var/lib/stayon/runtime/" + "0" * 32,), payload=EXE, was_registered=False, about=ABOUT
    )
    monkeypatch.setitem(sys.modules, LAUNCHER, launcher)
    monkeypatch.setattr(sys, "executable", EXE)
    return launcher


PROGRAMS = [
    (Program("s", EXE), (EXE, "--service", "s"), Line("s")),
    (Program("s", EXE, instance="eu"), (EXE, "--service", "s@eu"), Line("s", "eu")),
    (
        Program("s", EXE, options=("--config", "a b.toml")),
        (EXE, "--service", "s", "--", "--config", "a b.toml"),
        Line("s", options=("--config", "a b.toml")),
    ),
]


@pytest.mark.parametrize(("program", "words", "line"), PROGRAMS)
def test_what_is_written_is_understood(program: Program, words: tuple[str, ...], line: Line) -> None:
    """A manager's line names the service, its instance, and the options of ``run``."""
    assert service_command(program, EXE) == words
    assert understood(words[1:]) == line
    assert is_ours(words)
    assert run_options(words) == program.options


def test_windows_is_told_how_long_a_start_may_take() -> None:
    """There the launcher itself tells the SCM that it starts."""
    words = service_command(Program("s", EXE, options=("--set", "a=b"), start_timeout_s=7.5), EXE, tells_timeout=True)
    assert words == (EXE, "--service", "s", "--start-timeout", "7.5", "--", "--set", "a=b")
    assert understood(words[1:]) == Line("s", "", 7.5, ("--set", "a=b"))


def test_an_option_may_be_added_behind() -> None:
    """A timer adds ``--once JOB`` to whatever the command is."""
    assert understood(["--service", "s", "--once", "clean up"]).options == ("--once", "clean up")
    assert understood(["--service", "s", "--", "--set", "a=b", "--once", "j"]).options == (
        "--set",
        "a=b",
        "--once",
        "j",
    )


def test_a_reload_is_asked_for_by_the_same_program() -> None:
    """By name only; a command of another kind has no such words."""
    assert reload_command((EXE, "--service", "s@eu", "--", "--set", "a=b")) == (EXE, "--reload", "s@eu")
    assert reload_command(("/usr/bin/python3", "-P", "unix_entry.py", "s")) == ()
    assert reload_command(()) == ()


@pytest.mark.parametrize("words", [["status", "s"], ["--service", ""]])
def test_what_is_no_such_line_is_refused(words: list[str]) -> None:
    """It is not taken for a service without a name."""
    with pytest.raises(ValueError, match=words[0]):
        understood(words)


def test_managers_get_the_programs_own_words(one_file: SimpleNamespace) -> None:
    """Both command rooms name the program alone: there is no interpreter, no entry, no script."""
    from stayon.platforms import unix_command
    from stayon.platforms.windows import command

    assert unix_command.service_command(Program("s", "ignored.py")) == (EXE, "--service", "s")
    assert command.service_command(Program("s", "ignored.py")) == (EXE, "--service", "s", "--start-timeout", "60")
    assert unix_command.reload_command((EXE, "--service", "s")) == (EXE, "--reload", "s")
    one_file.executable = r"C:\%a%\collector.exe"
    with pytest.raises(UsageError) as refused:
        command.service_command(Program("s", "ignored.py"))
    assert refused.value.code == "scm.percent"


def test_what_is_known_of_it_is_read_without_json(one_file: SimpleNamespace) -> None:
    """The notes of the builder are read as they are asked for; a service without a name is the only one."""
    found = here()
    assert found is not None
    assert found.about == {"entry": "collector", "name": "collector", "python": "3.13.0", "size": 1.5}
    assert found.entry == "collector:"
    one_file.about = b'{"entry": "shop.prices:daily"}'
    again = here()
    assert again is not None
    assert again.entry == "shop.prices:daily"


def test_elsewhere_there_is_none() -> None:
    """An interpreter that runs a script is no program of one file."""
    assert here() is None


def test_hints_say_what_can_be_typed(one_file: SimpleNamespace) -> None:
    """With quotes where the program's name has a space; as root by its whole path, which root's own path may lack."""
    call = Call("s", program="./my collector")
    assert call.command("status") == '"./my collector" status'
    assert call.sudo("install") == f'sudo "{EXE}" install'
    assert (
        Call("s", program="./collector", given={"instance": "eu"}).command("stop") == "./collector stop --instance eu"
    )


@pytest.mark.parametrize(
    ("word", "executable", "wanted"),
    [
        ("./collector", "/opt/collector", "./collector"),
        ("collector", "/opt/collector", "collector"),
        ("", "/opt/collector", "collector"),
        (r"C:\Programs\collector", r"C:\Programs\collector.exe", "collector.exe"),
    ],
)
def test_it_calls_itself_as_people_do(word: str, executable: str, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was called; on Windows by its name, without the folder."""
    if "\\" in executable:
        import ntpath

        monkeypatch.setattr("stayon.cli.inside.os.path", ntpath)
    assert called(word, executable) == wanted


@pytest.mark.parametrize(
    ("line", "executable", "is_it"),
    [
        ("/opt/c --service s", "/opt/c", True),
        ('"/opt/a b/c" --service s', "/opt/a b/c", True),
        ("/opt/cc --service s", "/opt/c", False),
        ("", "/opt/c", False),
    ],
)
def test_a_managers_line_tells_whose_it_is(line: str, executable: str, is_it: bool) -> None:
    """Its first word, with or without quotes, is the program."""
    assert is_program(line, executable) is is_it


def test_multiprocessings_own_programs_are_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that it starts by ``-c`` run with their arguments."""
    got: list[object] = []
    tool = ModuleType("multiprocessing.forkserver")
    tool.main = lambda *plain, **named: got.append((plain, named))  # type: ignore[attr-defined]  # a stand-in
    monkeypatch.setitem(sys.modules, "multiprocessing.forkserver", tool)
    told = "from multiprocessing.forkserver import main; main(3, 4, ['a.b'], **{'sys_path': ['/x']})"
    assert entry.is_tool(["-I", "-c", told])
    assert got == [((3, 4, ["a.b"]), {"sys_path": ["/x"]})]


@pytest.mark.parametrize(
    "words",
    [
        ["-c", "print(1)"],
        ["-c", "from multiprocessing.forkserver import main; print(1)"],
        ["from multiprocessing.resource_tracker import main;main(3)"],
        ["status"],
        [],
    ],
)
def test_nothing_else_is_run(words: list[str]) -> None:
    """It is no interpreter: any other text behind ``-c`` is no program to it."""
    assert not entry.is_tool(words)


def test_code_in_the_arguments_is_not_run() -> None:
    """Only plain values are read from them."""
    with pytest.raises(ValueError, match="print"):
        entry.is_tool(["-c", "from multiprocessing.resource_tracker import main;main(print(1))"])
