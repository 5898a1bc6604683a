"""Who may read and who may change a file on Unix, by the modes on the way to it; the real system as the judge."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stayon.platforms.unix_access import ENTER, READ, WRITE, Entry, Person, Trust, may, meddler, obstacle, way

DIRECTORY, FILE, LINK = stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK
NOBODY = Person("nobody", None)
YOU = Person("you", 1000, (1000, 27))


def _tree(**changed: Entry | None) -> Callable[[str], Entry | None]:
    """/opt/app/main.py, all of it root's and readable, but for what is changed."""
    tree = {path: Entry(DIRECTORY | 0o755, 0, 0) for path in ("/", "/opt", "/opt/app")}
    tree["/opt/app/main.py"] = Entry(FILE | 0o644, 0, 0)
    for path, entry in changed.items():
        if entry is None:
            tree.pop(path)
        else:
            tree[path] = entry
    return tree.get


def _trust(*uids: int, members: tuple[int, ...] = ()) -> Trust:
    return Trust((0, *uids), lambda _group: members)


def test_the_way_has_every_step_and_where_links_lead() -> None:
    """Each directory, each link, what a link leads to from the top, and the file last."""
    look = _tree(**{"/usr": Entry(LINK | 0o777, 0, 0, "opt/."), "/opt/current": Entry(LINK | 0o777, 0, 0, "/opt/app")})

    steps = [path for path, _entry in way("/usr/current/../app/main.py", look)]

    assert steps == ["/", "/usr", "/opt", "/opt/current", "/opt", "/opt/app", "/opt/app", "/opt/app/main.py"]


def test_a_way_that_ends_early_ends_with_what_is_missing() -> None:
    """The first step that isn't there is the last one, without an entry."""
    assert list(way("/opt/none/x", _tree()))[-1] == ("/opt/none", None)


def test_links_in_a_circle_come_to_an_end() -> None:
    """As the system itself gives up after so many."""
    look = _tree(**{"/opt/loop": Entry(LINK | 0o777, 0, 0, "/opt/loop")})

    assert len(list(way("/opt/loop", look))) < 200


@pytest.mark.parametrize(
    ("person", "entry", "right", "allowed"),
    [
        (Person("root", 0), Entry(FILE, 5, 5), READ | WRITE, True),
        (YOU, Entry(FILE | 0o400, 1000, 5), READ, True),
        (YOU, Entry(FILE | 0o044, 1000, 5), READ, False),
        (YOU, Entry(FILE | 0o040, 5, 27), READ, True),
        (YOU, Entry(FILE | 0o004, 5, 27), READ, False),
        (YOU, Entry(FILE | 0o004, 5, 5), READ, True),
        (NOBODY, Entry(FILE | 0o774, 5, 5), READ | ENTER, False),
        (NOBODY, Entry(DIRECTORY | 0o001, 5, 5), ENTER, True),
    ],
)
def test_the_first_class_that_fits_counts(person: Person, entry: Entry, right: int, allowed: bool) -> None:
    """The owner has the owner's bits even if others have more; one who doesn't exist yet is other."""
    assert may(person, entry, right) is allowed


def test_what_is_in_the_way_is_named() -> None:
    """A directory that can't be entered, a file that can't be read, or what isn't there; else nothing."""
    closed = Entry(DIRECTORY | 0o700, 0, 0)

    assert obstacle("/opt/app/main.py", NOBODY, _tree()) is None
    found = obstacle("/opt/app/main.py", NOBODY, _tree(**{"/opt": closed}))
    assert found is not None
    assert (found.path, found.entry) == ("/opt", closed)
    found = obstacle("/opt/app/main.py", NOBODY, _tree(**{"/opt/app/main.py": Entry(FILE | 0o640, 0, 0)}))
    assert found is not None
    assert found.path == "/opt/app/main.py"
    found = obstacle("/opt/app/main.py", NOBODY, _tree(**{"/opt/app/main.py": None}))
    assert found is not None
    assert found.entry is None


def test_a_directory_that_is_read_has_to_be_entered_too() -> None:
    """To import from it, both are needed."""
    look = _tree(**{"/opt/app": Entry(DIRECTORY | 0o744, 0, 0)})

    assert obstacle("/opt/app", NOBODY, look) is not None


@pytest.mark.parametrize(
    ("path", "entry", "who"),
    [
        ("/opt/app/main.py", Entry(FILE | 0o644, 1000, 0), "1000"),
        ("/opt/app", Entry(DIRECTORY | 0o755, 1000, 0), "1000"),
        ("/opt", Entry(DIRECTORY | 0o777, 0, 0), "everybody"),
        ("/opt/app/main.py", Entry(FILE | 0o666, 0, 0), "everybody"),
        ("/opt/app", Entry(DIRECTORY | 0o775, 0, 50), "50"),
    ],
)
def test_who_else_may_change_it_is_found(path: str, entry: Entry, who: str) -> None:
    """On the file, and on each directory above it: who may rename a directory may put another in its place."""
    found = meddler("/opt/app/main.py", _trust(members=(7,)), _tree(**{path: entry}))

    assert found is not None
    assert found[0].path == path
    assert who in found[1]


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        ("/opt/app", Entry(DIRECTORY | 0o755, 1000, 0)),
        ("/opt", Entry(DIRECTORY | 0o1777, 0, 0)),
        ("/opt/app", Entry(DIRECTORY | 0o775, 0, 0)),
        ("/opt/app", Entry(DIRECTORY | 0o775, 0, 1000)),
    ],
)
def test_what_is_the_accounts_own_is_no_danger(path: str, entry: Entry) -> None:
    """Its own files, a group of itself alone, root's group, and a sticky directory on the way."""
    assert meddler("/opt/app/main.py", _trust(1000, members=(0, 1000)), _tree(**{path: entry})) is None


def test_nobody_runs_from_where_everybody_writes() -> None:
    """A sticky directory may be passed; to import from it, it may not be."""
    assert meddler("/opt", _trust(), _tree(**{"/opt": Entry(DIRECTORY | 0o1777, 0, 0)})) is not None


@pytest.mark.linux
@pytest.mark.needs_root
@settings(max_examples=40)
@given(modes=st.lists(st.integers(0, 0o777), min_size=3, max_size=3), owner=st.sampled_from([0, 4321, 4322]))
def test_it_is_as_the_system_has_it(modes: list[int], owner: int) -> None:
    """For any modes and owners, an account can read a file exactly if nothing is found in its way."""
    from stayon.platforms.systemd.survey import look

    with tempfile.TemporaryDirectory() as top:
        Path(top).chmod(0o755)
        outer, inner, file = f"{top}/outer", f"{top}/outer/inner", f"{top}/outer/inner/file"
        os.makedirs(inner)
        Path(file).touch()
        for path, mode in zip((file, inner, outer), modes, strict=True):
            os.chown(path, owner, 4321)
            os.chmod(path, mode)

        found = obstacle(file, Person("somebody", 4322, (4321,)), look)
        read = subprocess.run(["cat", file], capture_output=True, user=4322, group=4321, extra_groups=[], check=False)

    assert (found is None) is (read.returncode == 0)


@pytest.mark.linux
def test_the_survey_sees_links_and_what_is_not_there(tmp_path: Path) -> None:
    """As lstat(2) and readlink(2) say; nothing for what isn't there."""
    from stayon.platforms.systemd.survey import look

    (tmp_path / "link").symlink_to("somewhere")
    found = look(str(tmp_path / "link"))
    assert found is not None
    assert found.link == "somewhere"
    assert look(str(tmp_path / "none")) is None
    assert look(f"{sys.executable}/below") is None


@pytest.mark.linux
def test_the_survey_knows_accounts_and_groups() -> None:
    """By name and by number; one that isn't there is None, and a group has its members."""
    from stayon.platforms.systemd import survey

    root = survey.person("root")
    assert root is not None
    assert root.uid == 0
    assert survey.person("0") == root
    assert survey.person("nobody-of-this-name") is None
    assert 0 in survey.members(0)
    assert survey.members(987654) == []


@pytest.mark.linux
def test_the_survey_tells_an_address_that_is_taken(tmp_path: Path) -> None:
    """A port somebody listens at, and a socket somebody answers at; what is free is free."""
    import socket

    from stayon.platforms.systemd.survey import in_use

    path = str(tmp_path / "s")
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket(socket.AF_UNIX) as local:
        port = taken.getsockname()[1]
        local.bind(path)
        local.listen()
        assert in_use(f"127.0.0.1:{port}")
        assert in_use(path)
    assert not in_use(f"127.0.0.1:{port}")
    assert not in_use(path), "a dead one's is replaced"
    assert not in_use(str(tmp_path / "none"))
