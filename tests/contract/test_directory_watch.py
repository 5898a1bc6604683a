"""The DirectoryWatch port: told by the kernel, whatever is done to the files, and to the directory itself."""

from __future__ import annotations

import os
import shutil

import pytest

from stayon.platforms.inotify import InotifyWatch
from stayon.platforms.slow_poll import SlowPollWatch
from stayon.testing.directory_watch import FakeDirectoryWatch

pytestmark = pytest.mark.linux


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "config"
    folder.mkdir()
    return folder


@pytest.fixture
def watch(folder):
    watch = InotifyWatch()
    watch.watch([str(folder)])
    yield watch
    watch.close()


@pytest.fixture(params=["inotify", "fake"])
def either(request, folder):
    """A watch, and how to make an entry of the folder change for it."""
    watch = InotifyWatch() if request.param == "inotify" else FakeDirectoryWatch()

    def change(name: str) -> None:
        (folder / name).write_text("x")
        if isinstance(watch, FakeDirectoryWatch):
            watch.change(name)

    yield watch, change
    watch.close()


def test_a_change_makes_the_descriptor_readable(either, folder, is_ready) -> None:
    """Readable after a change, silent after drain, which tells the names since the last time."""
    watch, change = either
    watch.watch([str(folder)])
    assert not is_ready(watch.fileno(), 0)
    assert watch.drain() == set()
    change("a.toml")
    change("b.toml")
    assert is_ready(watch.fileno())
    assert watch.drain() == {"a.toml", "b.toml"}
    assert not is_ready(watch.fileno(), 0)
    assert watch.drain() == set()


def test_closing_twice_is_harmless(either) -> None:
    """The descriptor is gone then, and -1."""
    watch, _ = either
    watch.close()
    watch.close()
    assert watch.fileno() == -1


def test_without_a_descriptor_anything_may_have_changed() -> None:
    """Where the system tells nothing, the caller's slow poll is told to look."""
    watch = SlowPollWatch()
    watch.watch(["/etc"])
    assert watch.fileno() == -1
    assert watch.drain() == {""}
    watch.close()


def rewrite(folder) -> None:
    (folder / "a").write_text("changed")


def replace(folder) -> None:
    (folder / "new").write_text("changed")
    (folder / "new").rename(folder / "a")


def remove(folder) -> None:
    (folder / "a").unlink()


def move_away(folder) -> None:
    (folder / "a").rename(folder.parent / "elsewhere")


def change_mode(folder) -> None:
    (folder / "a").chmod(0o600)


def link(folder) -> None:
    (folder / "link").symlink_to(folder / "a")
    (folder / "link").rename(folder / "a")


@pytest.mark.parametrize("act", [rewrite, replace, remove, move_away, change_mode, link])
def test_whatever_is_done_to_a_file_is_told(watch: InotifyWatch, folder, act) -> None:
    """Written in place, replaced, removed, moved away, given other rights, replaced by a link."""
    (folder / "a").write_text("x")
    watch.drain()
    act(folder)
    assert "a" in watch.drain()


def test_the_swap_of_a_link_is_told_every_time(watch: InotifyWatch, folder) -> None:
    """Kubernetes changes a mounted configuration by replacing the link ..data; the second and third time count too."""
    for generation in range(3):
        (folder / f"..{generation}").mkdir()
        (folder / "..tmp").symlink_to(f"..{generation}")
        (folder / "..tmp").rename(folder / "..data")
        assert "..data" in watch.drain()


def test_a_directory_that_was_made_again_is_watched_again(watch: InotifyWatch, folder, is_ready) -> None:
    """Removed and made again, twice: each is told as unknown, and changes in the new one by name."""
    for _ in range(2):
        shutil.rmtree(folder)
        assert "" in watch.drain()
        folder.mkdir()
        assert is_ready(watch.fileno())
        assert "" in watch.drain()
        (folder / "a").write_text("x")
        assert is_ready(watch.fileno())
        assert watch.drain() == {"a"}


def test_a_directory_that_was_swapped_is_watched_in_its_new_shape(watch: InotifyWatch, folder) -> None:
    """Moved away and replaced by another: the new one's changes are told, the old one's no more."""
    old = folder.parent / "old"
    folder.rename(old)
    folder.mkdir()
    assert "" in watch.drain()
    (old / "a").write_text("x")
    assert watch.drain() == set()
    (folder / "b").write_text("x")
    assert watch.drain() == {"b"}


def test_a_missing_directory_is_waited_for(tmp_path) -> None:
    """Three levels are missing; they come one after the other, and unrelated things beside them are not told."""
    wanted = tmp_path / "one" / "two" / "three"
    watch = InotifyWatch()
    watch.watch([str(wanted)])
    (tmp_path / "unrelated").mkdir()
    assert watch.drain() == set()
    (tmp_path / "one").mkdir()
    watch.drain()
    wanted.mkdir(parents=True)
    assert "" in watch.drain()
    (wanted / "a").write_text("x")
    assert watch.drain() == {"a"}
    watch.close()


def test_a_directory_below_a_watched_one_may_be_missing(watch: InotifyWatch, folder) -> None:
    """Watching both, the upper one's changes are told all the time, and the lower one's once it is there."""
    lower = folder / "conf.d"
    watch.watch([str(folder), str(lower)])
    for _ in ("made", "written to"):
        (folder / "a").write_text("x")
        assert watch.drain() == {"a"}
    lower.mkdir()
    assert "" in watch.drain()
    (lower / "b").write_text("x")
    assert watch.drain() == {"b"}


def test_the_set_is_replaced(watch: InotifyWatch, folder, tmp_path) -> None:
    """A directory that is not in the new set is watched no more; one that is stays so."""
    other = tmp_path / "other"
    other.mkdir()
    watch.watch([str(folder), str(other)])
    watch.watch([str(other)])
    watch.drain()
    (folder / "a").write_text("x")
    assert watch.drain() == set()
    (other / "b").write_text("x")
    assert watch.drain() == {"b"}


def test_an_overflow_says_unknown(watch: InotifyWatch, folder) -> None:
    """More changes than the kernel keeps: look at everything, and go on."""
    with open("/proc/sys/fs/inotify/max_queued_events") as file:
        limit = int(file.read())
    (folder / "a").write_text("x")
    (folder / "b").write_text("x")
    # Two equal events in a row are kept as one, so take turns.
    for turn in range(limit + 10):
        os.chmod(folder / ("a" if turn % 2 else "b"), 0o600)
    assert watch.drain() >= {"", "a", "b"}
    (folder / "c").write_text("x")
    assert watch.drain() == {"c"}


def test_a_thousand_quick_writes_are_one_name(watch: InotifyWatch, folder) -> None:
    """Nothing is lost, nothing piles up."""
    (folder / "a").write_text("x")
    for turn in range(1000):
        with open(folder / "a", "r+") as file:  # without cutting it, which makes some file systems write it out
            file.write(str(turn))
    assert watch.drain() == {"a"}


def test_names_may_be_anything(watch: InotifyWatch, folder) -> None:
    """Names that are not UTF-8 come as Python has them."""
    name = os.fsdecode(b"caf\xe9 \n")
    (folder / name).write_text("x")
    assert watch.drain() == {name}


def test_without_an_instance_it_says_that_there_is_no_descriptor(folder, run_python) -> None:
    """At the limit of instances (here: of descriptors) the slow poll is the net."""
    program = """
import resource, sys
from stayon.platforms.inotify import InotifyWatch
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
watch = InotifyWatch()
watch.watch([sys.argv[1]])
print(watch.fileno(), watch.drain(), watch.close())
"""
    child = run_python(program, str(folder))
    assert child.communicate()[0] == "-1 {''} None\n"


def test_nothing_is_left_open(folder, open_files) -> None:
    """Watching and closing again and again opens nothing for good."""
    before = open_files()
    for _ in range(10):
        watch = InotifyWatch()
        watch.watch([str(folder)])
        watch.close()
    assert open_files() == before
