"""What launchers put on disk: who needs it, and that what nobody needs goes, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stayon.platforms.onefile import collect

pytestmark = pytest.mark.linux

ONE, TWO, THREE = ("1" * 32, "2" * 32, "3" * 32)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with three sets."""
    root = tmp_path / "stayon" / "runtime"
    for name in (ONE, TWO, THREE):
        (root / name / "deep").mkdir(parents=True)
        (root / name / "deep" / "file").write_text(name)
    return root


def program(root: Path, name: str, *sets: str) -> Path:
    """A program that notes that it needs *sets*."""
    path = root.parent.parent / name
    path.touch()
    assert collect.remember(str(path), [str(root / each) for each in sets])
    return path


def names(root: Path) -> list[str]:
    """The sets that are there, and whatever else."""
    return sorted(each.name for each in root.iterdir() if each.name not in ("users", "lock"))


def test_what_a_program_that_is_there_notes_stays(root: Path) -> None:
    """Sets are shared: one goes when none of its programs is left."""
    first, _second = program(root, "first", ONE, TWO), program(root, "second", ONE, THREE)
    assert collect.collect(str(root)) == collect.Collected()
    first.unlink()
    assert collect.collect(str(root)).removed == (str(root / TWO),)
    assert names(root) == [ONE, THREE]
    assert len(list((root / "users").iterdir())) == 1


def test_when_nobody_is_left_nothing_is(root: Path) -> None:
    """The last one takes the root with it, and the directory above if that is empty."""
    program(root, "first", ONE, TWO, THREE).unlink()
    assert len(collect.collect(str(root)).removed) == 3
    assert not root.parent.exists()
    assert collect.collect(str(root)) == collect.Collected()


def test_a_set_that_is_held_stays(root: Path) -> None:
    """A process that runs from it has its lock; it goes when that has ended."""
    script = "import fcntl, os, sys; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_SH); print(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script, root / ONE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        found = collect.collect(str(root))
        assert found.held == (str(root / ONE),)
        assert names(root) == [ONE]
        holder.communicate(b"\n")
    assert collect.collect(str(root)).removed == (str(root / ONE),)


def test_what_this_process_holds_itself_is_no_obstacle(root: Path) -> None:
    """The program that is uninstalled runs from its sets."""
    import fcntl

    fd = os.open(root / ONE, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    assert str(root / ONE) in collect.collect(str(root)).removed
    os.close(fd)


def test_only_sets_are_removed(root: Path, tmp_path: Path) -> None:
    """Links, files, and what has another name are left alone, and no link is followed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    (root / ("4" * 32)).symlink_to(outside)
    (root / ("5" * 32)).touch()
    (root / "etc").mkdir()
    (root / ONE / "link").symlink_to(outside)
    assert len(collect.collect(str(root)).removed) == 3
    assert names(root) == ["4" * 32, "5" * 32, "etc"]
    assert (outside / "precious").exists()


def test_notes_that_make_no_sense_are_nobodys(root: Path) -> None:
    """One that can't be read as such protects nothing, and goes."""
    users = root / "users"
    users.mkdir()
    for number, text in enumerate(("", "[]", '{"executable": 3}', json.dumps({"executable": "/", "sets": None}))):
        (users / f"{number:016x}.json").write_text(text)
    (users / "other.txt").touch()
    assert len(collect.collect(str(root)).removed) == 3
    assert [each.name for each in users.iterdir()] == ["other.txt"]


def test_a_note_that_can_not_be_written_is_no_failure(tmp_path: Path) -> None:
    """An account that may not put sets there may not note anything either."""
    (tmp_path / "file").touch()
    assert not collect.remember("/opt/c", [str(tmp_path / "file" / ONE)])
