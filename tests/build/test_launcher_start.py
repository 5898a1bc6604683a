"""A program of one file on Linux, started: arguments, streams, exit codes, what it finds, what it says if it can't."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from stayon.build import payload
from tests.build import launcher_desk as desk

pytestmark = [pytest.mark.linux, pytest.mark.needs_gcc]


@pytest.fixture
def run(tmp_path: Path) -> desk.Runner:
    return desk.Runner(tmp_path)


def test_arguments(tmp_path: Path, run: desk.Runner) -> None:
    """sys.argv is what was typed, orig_argv all of it; sys.executable is the file itself, through links."""
    boot = "import sys\ndef main():\n    print(sys.argv, sys.orig_argv == sys.argv, sys.executable)\n"
    made = desk.executable(tmp_path / "pröğram", desk.program(boot))
    link = tmp_path / "link"
    link.symlink_to(made)
    ended = run(link, "-c", "--help", "ü b", "")
    assert ended.stdout == f"{[str(link), '-c', '--help', 'ü b', '']} True {made}\n"
    assert (ended.returncode, ended.stderr) == (0, "")


def test_bytes_that_are_no_utf8(tmp_path: Path, run: desk.Runner) -> None:
    """An argument of any bytes arrives, as surrogates."""
    boot = "import sys\ndef main():\n    print(ascii(sys.argv[1]))\n"
    made = desk.executable(tmp_path / "program", desk.program(boot))
    words = [os.fsencode(made), b"\xff\xe4"]
    ended = subprocess.run(words, check=False, env=run.environment(), capture_output=True, timeout=desk.PATIENCE_S)
    assert ended.stdout == b"'\\udcff\\udce4'\n", ended.stderr


def test_isolated(tmp_path: Path, run: desk.Runner) -> None:
    """Nothing of the surroundings is imported or searched: no path, no site, no environment, no file beside it."""
    boot = (
        "import sys\ndef main():\n"
        "    print(sys.path, 'site' in sys.modules, sys.flags.isolated, sys.flags.utf8_mode, sys.dont_write_bytecode)\n"
    )
    made = desk.executable(tmp_path / "program", desk.program(boot))
    (tmp_path / "pyvenv.cfg").write_text("home = /nowhere\n")
    (tmp_path / "program._pth").write_text(".\nimport site\n")
    ended = run(made, cwd=tmp_path, env=run.environment(PYTHONPATH=str(tmp_path), PYTHONHOME="/nowhere", LC_ALL="C"))
    assert ended.stdout == "[] False 1 1 True\n", ended.stderr


def test_module(tmp_path: Path, run: desk.Runner) -> None:
    """`_stayon` says what the program is made of, and gives code and source of its modules."""
    boot = (
        "import _stayon, sys\ndef main():\n"
        "    flags, origin, index = _stayon.find('package.cold')\n"
        "    assert (flags, origin, _stayon.find('nothing')) == (64, 'package/cold.py', None)\n"
        "    space = {}\n"
        "    exec(_stayon.code(index), space)\n"
        "    assert space['answer'] == 42 and _stayon.source(index) == b'zlib'\n"
        "    assert _stayon.code(_stayon.find('package')[2]) is None\n"
        "    assert _stayon.names() == tuple(sorted(_stayon.names())) and 'boot' in _stayon.names()\n"
        "    for wrong in (-1, len(_stayon.names())):\n"
        "        try:\n            _stayon.code(wrong)\n"
        "        except IndexError:\n            continue\n        return 1\n"
        "    print(_stayon.executable == sys.executable == _stayon.payload, _stayon.about, len(_stayon.locks))\n"
        "    print(*_stayon.sets, _stayon.was_registered, sys.prefix)\n"
        "    _stayon.settle()\n"
        "    exec(_stayon.code(index), space)\n"
    )
    plain = desk.frozen("package.cold", "answer = 42\n", flags=payload.PACKED)
    code = desk.squeezed(desk.stored("", plain.code)).packed
    cold = replace(plain, code=code, unpacked=len(plain.code), source=b"zlib")
    carried = desk.program(boot)
    package = payload.Module("package", payload.NAMESPACE | payload.PACKAGE, "package")
    carried = replace(carried, modules=(*carried.modules, package, cold))
    made = desk.executable(tmp_path / "program", carried)
    place = run.set_of(carried)
    first = run(made)
    assert first.stdout == f'True b\'{{"name": "hello"}}\' 1\n{place} True {place}\n', first.stderr
    assert run(made).stdout.splitlines()[1] == f"{place} False {place}"


@pytest.mark.parametrize(
    ("end", "code", "stderr"),
    [
        ("return None", 0, ""),
        ("return 7", 7, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("sys.exit('no')", 1, "no\n"),
        ("raise KeyboardInterrupt", 130, None),
        ("1 / 0", 70, None),
    ],
)
def test_exit_codes(tmp_path: Path, run: desk.Runner, end: str, code: int, stderr: str | None) -> None:
    """What main() returns or raises is the exit code; what is no SystemExit is shown."""
    made = desk.executable(tmp_path / "program", desk.program(f"import sys\ndef main():\n    {end}\n"))
    ended = run(made)
    assert ended.returncode == code
    assert stderr is None or ended.stderr == stderr
    assert stderr is not None or "Traceback" in ended.stderr


def test_end(tmp_path: Path, run: desk.Runner) -> None:
    """At the end atexit's functions run, and what was printed without a line's end is written."""
    boot = "import atexit, sys\ndef main():\n    atexit.register(print, 'last', end='')\n    print('first', end=' ')\n"
    ended = run(desk.executable(tmp_path / "program", desk.program(boot)))
    assert (ended.stdout, ended.returncode) == ("first last", 0)


def test_end_that_cannot_be_written(tmp_path: Path, run: desk.Runner) -> None:
    """Output that could not be written is no success: Python's code for it."""
    made = desk.executable(tmp_path / "program", desk.program())
    run(made)
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [made], check=False, env=run.environment(), stdout=full, stderr=subprocess.PIPE, timeout=desk.PATIENCE_S
        )
    assert ended.returncode == 120
    assert b"No space left on device" in ended.stderr


def test_closed_streams(tmp_path: Path, run: desk.Runner) -> None:
    """Started with its three streams closed, it has others, that lead nowhere, and none of them is its own file."""
    boot = (
        "import sys, posix\ndef main():\n"
        "    print(sys.stdin.read(), file=sys.stderr)\n"
        "    links = [posix.readlink(f'/proc/self/fd/{number}') for number in range(3)]\n"
        "    with open(sys.argv[1], 'w') as file:\n        file.write(' '.join(links))\n"
    )
    made = desk.executable(tmp_path / "program", desk.program(boot))
    ended = run("sh", "-c", 'exec "$0" "$1" 0<&- 1<&- 2<&-', made, tmp_path / "told")
    assert ended.returncode == 0
    assert (tmp_path / "told").read_text() == "/dev/null /dev/null /dev/null"


@pytest.mark.needs_root
def test_without_proc(tmp_path: Path, run: desk.Runner) -> None:
    """Where /proc is not mounted it finds itself by the name it was started with."""
    boot = "import sys\ndef main():\n    print(sys.executable)\n"
    made = desk.executable(tmp_path / "program", desk.program(boot))
    desk.may_mount()
    ended = run("unshare", "-m", "sh", "-c", "mount -t tmpfs none /proc && exec ./program", cwd=tmp_path)
    assert (ended.stdout, ended.stderr) == (f"{made}\n", "")


def test_pair(tmp_path: Path, run: desk.Runner) -> None:
    """With nothing of its own it takes NAME.pkg beside it, also through a link."""
    boot = "import _stayon\ndef main():\n    print(_stayon.payload, _stayon.executable)\n"
    made = tmp_path / "program"
    shutil.copy(desk.SHIPPED / desk.target(), made)
    made.chmod(0o755)
    package = tmp_path / "program.pkg"
    package.write_bytes(payload.written(desk.program(boot)))
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link"
    link.symlink_to(made)
    assert run(link).stdout == f"{package} {made}\n"


def test_no_payload(tmp_path: Path, run: desk.Runner) -> None:
    """A launcher alone says so."""
    made = tmp_path / "program"
    shutil.copy(desk.SHIPPED / desk.target(), made)
    made.chmod(0o755)
    desk.refused(run(made), "launcher.no-payload", 78)


def test_damaged(tmp_path: Path, run: desk.Runner) -> None:
    """A payload with any one bit flipped, or cut short, is refused before anything is put anywhere."""
    content = payload.written(desk.program())
    made = tmp_path / "program"
    places = [0, 7, 9, 20, 24, 40, len(content) // 3, len(content) // 2, len(content) - 1]
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 0x10
        desk.executable(made, bytes(changed))
        ended = run(made)
        code = "launcher.no-payload" if place < len(payload.MAGIC) else "launcher.damaged"
        # The format is looked at before the hash: a payload of another release is to be called that.
        code = "launcher.format" if payload.HEAD.size <= place < payload.HEAD.size + 4 else code
        desk.refused(ended, code, 78)
    for size in (100, len(content) // 2, len(content) - 1):
        desk.refused(run(desk.executable(made, content[:size])), "launcher.damaged", 78)
    assert not run.runtime.exists()


def test_python_that_does_not_start(tmp_path: Path, run: desk.Runner) -> None:
    """Python's own failure to start is a line, too."""
    carried = desk.program()
    modules = tuple(module for module in carried.modules if not module.name.startswith("encodings"))
    made = desk.executable(tmp_path / "program", replace(carried, modules=modules))
    ended = run(made)
    assert ended.returncode == 70
    assert "Python does not start: " in ended.stderr
    assert ended.stderr.endswith(" [launcher.python]\n")


def test_library_that_is_none(tmp_path: Path, run: desk.Runner) -> None:
    """An interpreter that cannot be loaded is named, with the loader's reason."""
    name, _ = desk.interpreter()
    made = desk.executable(tmp_path / "program", desk.program(sets=((desk.stored(name, b"no library"),),)))
    assert "file too short" in desk.refused(run(made), "launcher.load", 69)


def test_library_that_is_no_python(tmp_path: Path, run: desk.Runner) -> None:
    """A library that is no Python is called so, with what it lacks."""
    name, _ = desk.interpreter()
    (tmp_path / "empty.c").write_text("int nothing;\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "empty.so", tmp_path / "empty.c"], check=True)
    made = desk.executable(
        tmp_path / "program", desk.program(sets=((desk.stored(name, (tmp_path / "empty.so").read_bytes()),),))
    )
    assert "lacks PyPreConfig_InitIsolatedConfig" in desk.refused(run(made), "launcher.python", 78)


def test_boot_that_is_missing(tmp_path: Path, run: desk.Runner) -> None:
    """A boot module that isn't there is an ordinary traceback."""
    made = desk.executable(tmp_path / "program", desk.program(boot="x = 1\n"))
    ended = run(made)
    assert (ended.returncode, "has no attribute 'main'" in ended.stderr) == (70, True)
