"""The DirectoryWatch port: told by the kernel, whatever is done to the files, and to the directory itself."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from stayon.platforms.slow_poll import SlowPollWatch
from stayon.testing.directory_watch import FakeDirectoryWatch

if sys.platform == "win32":
    from stayon.platforms.windows.directory_watch import WindowsDirectoryWatch as Watch
elif sys.platform == "linux":
    from stayon.platforms.inotify import InotifyWatch as Watch
else:
    pytest.skip("this system tells nothing", allow_module_level=True)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "config"
    folder.mkdir()
    return folder


@pytest.fixture
def watch(folder):
    watch = Watch()
    watch.watch([str(folder)])
    yield watch
    watch.close()


@pytest.fixture
def told(is_ready):
    """Call it with a watch and names: all that it tells until those are among them. (Windows takes a moment.)"""

    def collect(watch, *wanted: str) -> set[str]:
        names: set[str] = set()
        while not names.issuperset(wanted):
            assert is_ready(watch.fileno()), f"of {wanted} only {names} came"
            names |= watch.drain()
        return names

    return collect


@pytest.fixture(params=["native", "fake"])
def either(request, folder):
    """A watch, and how to make an entry of the folder change for it."""
    watch = Watch() if request.param == "native" else FakeDirectoryWatch()

    def change(name: str) -> None:
        (folder / name).write_text("x")
        if isinstance(watch, FakeDirectoryWatch):
            watch.change(name)

    yield watch, change
    watch.close()


def test_a_change_makes_the_descriptor_readable(either, folder, is_ready, told) -> None:
    """Readable after a change, silent after drain, which tells the names since the last time."""
    watch, change = either
    watch.watch([str(folder)])
    assert not is_ready(watch.fileno(), 0)
    assert watch.drain() == set()
    change("a.toml")
    change("b.toml")
    assert told(watch, "a.toml", "b.toml") == {"a.toml", "b.toml"}
    while is_ready(watch.fileno(), 0.2):
        assert watch.drain() <= {"b.toml"}
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
    (folder / "new").replace(folder / "a")


def remove(folder) -> None:
    (folder / "a").unlink()


def move_away(folder) -> None:
    (folder / "a").rename(folder.parent / "elsewhere")


def change_mode(folder) -> None:
    (folder / "a").chmod(0o400)


def link(folder) -> None:
    (folder / "link").symlink_to(folder / "a")
    (folder / "link").rename(folder / "a")


@pytest.mark.parametrize(
    "act",
    [rewrite, replace, remove, move_away, change_mode, pytest.param(link, marks=pytest.mark.linux)],
)
def test_whatever_is_done_to_a_file_is_told(watch: Watch, folder, told, is_ready, act) -> None:
    """Written in place, replaced, removed, moved away, given other rights, replaced by a link."""
    (folder / "a").write_text("x")
    told(watch, "a")
    while is_ready(watch.fileno(), 0.1):
        watch.drain()
    act(folder)
    told(watch, "a")


@pytest.mark.linux
def test_the_swap_of_a_link_is_told_every_time(watch: Watch, folder) -> None:
    """Kubernetes changes a mounted configuration by replacing the link ..data; the second and third time count too."""
    for generation in range(3):
        (folder / f"..{generation}").mkdir()
        (folder / "..tmp").symlink_to(f"..{generation}")
        (folder / "..tmp").rename(folder / "..data")
        assert "..data" in watch.drain()


def test_a_directory_that_was_made_again_is_watched_again(beyond_wine, watch: Watch, folder, told) -> None:
    """Removed and made again, twice: each is told as unknown, and changes in the new one by name."""
    for _ in range(2):
        shutil.rmtree(folder)
        told(watch, "")
        folder.mkdir()
        told(watch, "")
        (folder / "a").write_text("x")
        assert told(watch, "a") == {"a"}


def test_a_directory_that_was_swapped_is_watched_in_its_new_shape(watch: Watch, folder, told) -> None:
    """Moved away and replaced by another: the new one's changes are told, the old one's no more."""
    old = folder.parent / "old"
    folder.rename(old)
    folder.mkdir()
    told(watch, "")
    (old / "a").write_text("x")
    (folder / "b").write_text("x")
    assert told(watch, "b") - {""} == {"b"}


def test_a_missing_directory_is_waited_for(tmp_path, told, is_ready) -> None:
    """Three levels are missing; they come one after the other, and unrelated things beside them are not told."""
    wanted = tmp_path / "one" / "two" / "three"
    watch = Watch()
    watch.watch([str(wanted)])
    (tmp_path / "unrelated").mkdir()
    while is_ready(watch.fileno(), 0.1):
        assert watch.drain() == set()
    (tmp_path / "one").mkdir()
    is_ready(watch.fileno())
    watch.drain()
    wanted.mkdir(parents=True)
    told(watch, "")
    while is_ready(watch.fileno(), 0.1):
        watch.drain()
    (wanted / "a").write_text("x")
    assert told(watch, "a") == {"a"}
    watch.close()


def test_a_directory_below_a_watched_one_may_be_missing(watch: Watch, folder, told) -> None:
    """Watching both, the upper one's changes are told all the time, and the lower one's once it is there."""
    lower = folder / "conf.d"
    watch.watch([str(folder), str(lower)])
    for _ in ("made", "written to"):
        (folder / "a").write_text("x")
        assert told(watch, "a") == {"a"}
    lower.mkdir()
    told(watch, "")
    (lower / "b").write_text("x")
    # Some systems tell that the lower directory has changed, too.
    assert told(watch, "b") - {"a", lower.name} == {"b"}


def test_the_set_is_replaced(watch: Watch, folder, tmp_path, told) -> None:
    """A directory that is not in the new set is watched no more; one that is stays so."""
    other = tmp_path / "other"
    other.mkdir()
    watch.watch([str(folder), str(other)])
    watch.watch([str(other)])
    watch.drain()
    (folder / "a").write_text("x")
    (other / "b").write_text("x")
    assert told(watch, "b") == {"b"}


@pytest.mark.linux
def test_an_overflow_says_unknown(watch: Watch, folder) -> None:
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


def test_a_thousand_quick_writes_are_one_name(watch: Watch, folder, told) -> None:
    """Nothing is lost, nothing piles up. (Windows keeps some, and says that it does not know for the rest.)"""
    (folder / "a").write_text("x")
    for turn in range(1000):
        with open(folder / "a", "r+") as file:  # without cutting it, which makes some file systems write it out
            file.write(str(turn))
    assert told(watch, "a") <= ({"a"} if sys.platform == "linux" else {"a", ""})


@pytest.mark.linux
def test_names_may_be_anything(watch: Watch, folder) -> None:
    """Names that are not UTF-8 come as Python has them."""
    name = os.fsdecode(b"caf\xe9 \n")
    (folder / name).write_text("x")
    assert watch.drain() == {name}


@pytest.mark.linux
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
        watch = Watch()
        watch.watch([str(folder)])
        watch.close()
    assert open_files() == before


@pytest.mark.windows
def test_names_are_unicode(watch: Watch, folder, told) -> None:
    """Letters beyond ASCII, and beyond the basic plane."""
    (folder / "caf\u00e9 \U0001f40d").write_text("x")
    told(watch, "caf\u00e9 \U0001f40d")


@pytest.mark.windows
def test_single_writes_are_looked_for(folder, is_ready) -> None:
    """Windows doesn't tell of them: whoever wants them is told to look, a few times a second, and not in between."""
    watch = Watch()
    watch.watch([str(folder)], writes=True)
    for _ in range(3):
        assert is_ready(watch.fileno(), 2)
        assert watch.drain() == {""}
    assert not is_ready(watch.fileno(), 0)
    watch.watch([str(folder)])
    assert not is_ready(watch.fileno(), 0.6)
    watch.close()
