"""The launcher on Windows: a program's start, from its command line to its end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.build.windows_programs import LIBRARY, Programs, launcher
from tests.windows.lab import Lab

pytestmark = pytest.mark.slow

# Prints what a program sees, as ASCII: JSON's package isn't there.
TOLD = """
import nt, sys, _stayon, _winapi
def main():
    handles = [_winapi.GetFileType(_winapi.GetStdHandle(number)) != 0 for number in (-10, -11, -12)]
    isolation = [sys.flags.isolated, sys.path]
    told = (sys.argv[1:], _stayon.executable, _stayon.payload, list(_stayon.sets), handles, isolation)
    text = ascii(told).encode()
    if "--to" in sys.argv:
        file = nt.open(sys.argv[sys.argv.index("--to") + 1], nt.O_WRONLY | nt.O_CREAT, 0o600)
        nt.write(file, text)
    else:
        nt.write(1, text)
    return 7
"""
# What a program without a console has: nothing at all.
DETACHED = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:], creationflags=8).wait(30))"


@pytest.fixture(scope="module")
def programs(lab: Lab) -> Programs:
    """Programs for the lab."""
    return Programs(lab)


def _read(text: str) -> list[object]:
    found: list[object] = list(eval(text, {"__builtins__": {}}))  # noqa: S307  # what our own program has printed
    return found


def test_words_are_taken_apart_as_windows_does(lab: Lab, programs: Programs) -> None:
    """Blanks, quotes, backslashes, empty words and any letters arrive; the exit code is what main() gave."""
    exe = programs.exe(lab.folder / "words" / "words.exe", TOLD)
    words = [
        "a b",
        'say "hi"',
        "\\",
        "C:\\dir\\",
        'C:\\a b\\"',
        "",
        "tab\there",
        "ü€😀",
        "%PATH%",
        "--",
        '""',
        "a\\\\b",
    ]
    answer = lab.exe(exe, *words)
    told, executable, payload, sets, handles, isolation = _read(answer.out)
    assert (told, answer.code) == (words, 7)
    assert executable == payload == lab.named(exe)
    assert isinstance(sets, list)
    assert handles == [True, True, True]
    assert isolation == [1, []]


def test_a_long_path_of_any_letters_is_a_place(lab: Lab, programs: Programs) -> None:
    """A program runs from beyond 260 characters, in one file as in a pair."""
    folder = lab.folder / ("ä" * 90) / ("й" * 90) / ("c" * 100)
    for exe, carrier in (
        (programs.exe(folder / "one€.exe", TOLD), ".exe"),
        (programs.pair(folder / "pair€.exe", TOLD), ".pkg"),
    ):
        answer = lab.exe(exe, "x")
        assert answer.code == 7, answer
        told = _read(answer.out)
        assert str(told[1]).endswith(lab.named(exe)[2:])
        assert str(told[2]).endswith(lab.named(exe.with_suffix(carrier))[2:])


def test_missing_standard_handles_lead_nowhere(lab: Lab, programs: Programs, tmp_path: Path) -> None:
    """Without any, there are three that are open, before Python is."""
    exe = programs.exe(lab.folder / "mute" / "mute.exe", TOLD)
    answer = lab.run_python("-c", DETACHED, exe, "--to", tmp_path / "told")
    assert answer.out.strip() == "7", answer
    assert _read((tmp_path / "told").read_text())[4] == [True, True, True]


def test_nothing_beside_the_program_is_loaded(lab: Lab, programs: Programs) -> None:
    """DLLs in the folder where it lies, which may be that of downloads, are none of ours."""
    exe = programs.exe(lab.folder / "planted" / "planted.exe", TOLD)
    for name in ("vcruntime140.dll", "version.dll", "bcrypt.dll", LIBRARY):
        (exe.parent / name).write_bytes(b"MZ: this is no library")
    answer = lab.exe(exe, "x")
    assert (answer.code, answer.err) == (7, "")


def test_the_interpreter_is_put_where_nobody_else_writes(lab: Lab, programs: Programs) -> None:
    """An administrator's start registers it under ProgramData, once; the second start writes nothing."""
    exe = programs.exe(lab.folder / "registered" / "registered.exe", TOLD)
    assert lab.exe(exe).code == 7
    root = lab.data / "stayon" / "runtime"
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert any(path.name == LIBRARY for path in before)
    assert not [path for path in before if path.name.startswith(".")]
    for path in (root, root.parent):
        if lab.is_wine:  # which keeps of the rights what a Unix mode can say
            assert not path.stat().st_mode & 0o22
        else:
            rights = lab.exe("icacls.exe", path).out
            assert "Users:(OI)(CI)(RX)" in rights
            assert rights.count("(F)") == 2  # SYSTEM and Administrators
    assert lab.exe(exe).code == 7
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def _make_open(lab: Lab, place: Path) -> None:
    """Make the directory *place*, where everybody may write."""
    place.mkdir()
    if lab.is_wine:
        place.chmod(0o777)
    else:
        assert not lab.exe("icacls.exe", place, "/grant", "*S-1-1-0:(OI)(CI)M").code


@pytest.mark.parametrize("kind", ["it is open", "what it is in is open", "it is a link", "it is a file"])
def test_a_place_where_others_may_write_is_refused(lab: Lab, programs: Programs, tmp_path: Path, kind: str) -> None:
    """What somebody else could have put there is not run: exit code 77, one line that says why, and nothing written."""
    exe = programs.exe(lab.folder / "open" / "open.exe", TOLD)
    place, why = tmp_path / "stayon" / "runtime", "others may write to it"
    if kind == "what it is in is open":
        _make_open(lab, place.parent)
        place.mkdir(0o755)
    else:
        place.parent.mkdir(0o755)
    if kind == "it is open":
        _make_open(lab, place)
    elif kind == "it is a link":
        why = "it is a link"
        place.symlink_to(tmp_path, target_is_directory=True)
    elif kind == "it is a file":
        why = "it is not a directory"
        place.touch()
    before = sorted(tmp_path.rglob("*"))
    answer = lab.exe(exe, STAYON_RUNTIME=lab.named(place))
    assert answer.code == 77
    assert f"{place.name}: {why}. " in answer.err
    assert answer.err.rstrip().endswith("[launcher.no-place]")
    assert len(answer.err.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_given_place_is_made(lab: Lab, programs: Programs, tmp_path: Path) -> None:
    """STAYON_RUNTIME names another, which may be deep and long, and need not be there."""
    exe = programs.exe(lab.folder / "given" / "given.exe", TOLD)
    place = tmp_path / ("a" * 100) / ("ö" * 100) / "runtime"
    answer = lab.exe(exe, STAYON_RUNTIME=lab.named(place))
    assert answer.code == 7, answer
    assert [path.name for path in place.glob(f"*/{LIBRARY}")] == [LIBRARY]


def test_a_damaged_program_is_refused(lab: Lab, programs: Programs) -> None:
    """One bit is enough: exit code 78, and one line."""
    exe = programs.exe(lab.folder / "damaged" / "damaged.exe", TOLD)
    content = bytearray(exe.read_bytes())
    content[-100_000] ^= 1
    exe.write_bytes(content)
    answer = lab.exe(exe)
    assert (answer.code, answer.out) == (78, "")
    assert answer.err.rstrip().endswith("[launcher.damaged]")


def test_without_a_console_a_failure_is_an_event(lab: Lab) -> None:
    """The bare launcher has nothing to run; it says so, and where nobody could read that, in the Event Log."""
    exe = lab.folder / "bare" / "bare.exe"
    exe.parent.mkdir()
    exe.write_bytes(launcher())
    answer = lab.exe(exe)
    assert answer.code == 78
    assert answer.err.rstrip().endswith("[launcher.no-payload]")
    if not lab.is_wine:
        pytest.skip("only Wine shows what is handed over to its Event Log")
    detached = lab.run_python("-c", DETACHED, exe, WINEDEBUG="-all,warn+eventlog,err+eventlog,fixme+eventlog")
    assert detached.out.strip() == "78"
    assert "[launcher.no-payload]" in detached.err


def test_a_program_that_is_running_can_be_renamed(lab: Lab, programs: Programs) -> None:
    """As an update does it: the file that it holds open is in nobody's way."""
    waits = 'import nt\ndef main():\n    nt.write(1, b"here\\n")\n    nt.read(0, 1)\n    return 0\n'
    exe = programs.exe(lab.folder / "renamed" / "renamed.exe", waits)
    process = lab.popen(exe)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    rename = "import os, sys; os.rename(sys.argv[1], sys.argv[2])"
    moved = lab.run_python("-c", rename, exe, exe.with_name("renamed.old.exe"))
    process.communicate("x", timeout=20)
    assert (moved.code, process.returncode) == (0, 0), moved


def test_the_runtime_in_use_is_held(lab: Lab, programs: Programs) -> None:
    """While a program runs, one file of each of its sets can't be opened for removal; afterwards it can."""
    waits = """
import nt, _stayon
def main():
    nt.write(1, ascii(_stayon.sets[0]).encode() + b"\\n")
    nt.read(0, 1)
"""
    exe = programs.exe(lab.folder / "held" / "held.exe", waits)
    process = lab.popen(exe)
    assert process.stdout is not None
    place = str(eval(process.stdout.readline(), {"__builtins__": {}}))  # noqa: S307  # our own program's
    look = """
import _winapi, os, sys, json
found = []
for name in os.listdir(sys.argv[1]):
    try:
        _winapi.CloseHandle(_winapi.CreateFile(os.path.join(sys.argv[1], name), 0x10000, 0, 0, 3, 0, 0))
    except OSError as error:
        found.append(error.winerror)
print(json.dumps(found))
"""
    during = lab.run_python("-c", look, place)
    process.communicate("x", timeout=20)
    after = lab.run_python("-c", look, place)
    assert 32 in json.loads(during.out)
    assert json.loads(after.out) == []


def test_memory_that_is_given_back_comes_back(lab: Lab, programs: Programs) -> None:
    """After settle() all code is there as before: what was only in memory has stayed, the rest is in its file."""
    boot = """
import _stayon
def codes():
    return [_stayon.code(_stayon.find(name)[2]) for name in _stayon.names()]
def main():
    before = codes()
    _stayon.settle()
    _stayon.settle()
    return 7 if codes() == before and len(before) > 5 else 1
"""
    assert lab.exe(programs.exe(lab.folder / "settled" / "settled.exe", boot)).code == 7
