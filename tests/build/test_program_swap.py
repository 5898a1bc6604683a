"""A program's file replaced while it runs: a whole program is at the place after each step."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stayon.errors import TemporaryError
from stayon.platforms.onefile import swap

pytestmark = pytest.mark.linux


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that is there."""
    path = tmp_path / "collector"
    path.write_text("old")
    path.chmod(0o750)
    return path


def staged(program: Path, text: str = "new") -> swap.Piece:
    """Another, put beside it."""
    source = program.parent / "source"
    source.write_text(text)
    piece = swap.pieces(str(program))[0]
    swap.stage(str(source), piece)
    source.unlink()
    return piece


def names(program: Path) -> list[str]:
    """What is in its directory."""
    return sorted(os.listdir(program.parent))


@pytest.mark.parametrize(
    ("path", "new", "old", "pair"),
    [
        ("/o/collector", "/o/collector.new", "/o/collector.old", "/o/collector.pkg"),
        ("/o/my.svc", "/o/my.svc.new", "/o/my.svc.old", "/o/my.svc.pkg"),
        ("C:/o/c.exe", "C:/o/c.new.exe", "C:/o/c.old.exe", "C:/o/c.pkg"),
    ],
)
def test_names_stay_programs(path: str, new: str, old: str, pair: str) -> None:
    """The new and the old one can be run by their names, and find the file of their own that is beside them."""
    assert swap.pieces(path) == (swap.Piece(path, new, old), swap.Piece(pair, swap.pair_of(new), swap.pair_of(old)))


def test_the_new_one_has_the_rights_of_the_old(program: Path) -> None:
    """Its mode is that of the program that it replaces."""
    piece = staged(program)
    swap.swap([piece])
    assert program.read_text() == "new"
    assert program.stat().st_mode & 0o7777 == 0o750
    assert Path(piece.old).read_text() == "old"
    assert not Path(piece.new).exists()


def test_it_can_be_taken_back(program: Path) -> None:
    """The very file that was there is there again."""
    before = program.stat().st_ino
    piece = staged(program)
    swap.swap([piece])
    swap.take_back(piece)
    assert (program.read_text(), program.stat().st_ino) == ("old", before)
    assert names(program) == ["collector"]


def test_all_or_none(program: Path) -> None:
    """Where the second of two files can't be put into its place, the first is taken back."""
    first, second = staged(program), swap.pieces(str(program))[1]
    with pytest.raises(FileNotFoundError):
        swap.swap([first, second])  # of which there is no new one
    assert program.read_text() == "old"


def test_a_leftover_is_replaced(program: Path) -> None:
    """What an update that was killed has left is in nobody's way."""
    for ending in (".new", ".old"):
        Path(f"{program}{ending}").write_text("left")
    piece = staged(program)
    swap.swap([piece])
    assert Path(piece.old).read_text() == "old"


def test_leftovers_go_when_no_update_is_under_way(program: Path) -> None:
    """While one is, they are its own."""
    old = Path(f"{program}.old")
    old.touch()
    with swap.Turn(str(program)):
        swap.tidy(str(program))
        assert old.exists()
    swap.tidy(str(program))
    assert names(program) == ["collector"]


def test_one_update_at_a_time(program: Path) -> None:
    """Also after the first has put the new file into its place: what it has replaced is still locked."""
    script = (
        "import sys; from stayon.platforms.onefile import swap; turn = swap.Turn(sys.argv[1]); turn.__enter__();"
        "piece = swap.pieces(sys.argv[1])[0]; input(); swap.swap([piece]); print(flush=True); input()"
    )
    piece = staged(program)
    source = Path(swap.__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", script, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(source)},
    ) as other:  # fmt: skip
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write(b"\n")
        other.stdin.flush()
        other.stdout.readline()
        with pytest.raises(TemporaryError, match="under way"), swap.Turn(str(program)):
            raise AssertionError
        other.communicate(b"\n")
    assert Path(piece.old).exists()
    with swap.Turn(str(program)):
        swap.discard(piece.old)


def test_a_program_that_an_update_has_left_knows_its_place(program: Path) -> None:
    """Where there is none at the place, the new or the old one tells where it belongs."""
    assert swap.original(f"{program}.old") == ""
    program.rename(f"{program}.old")
    assert swap.original(f"{program}.old") == swap.original(f"{program}.new") == str(program)
    assert swap.original(str(program)) == ""
