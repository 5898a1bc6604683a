"""What to watch, on real files, links and directories."""

from __future__ import annotations

import os

import pytest

from stayon.runtime.config.watch import chain, watched


def directories(path) -> set[str]:
    return set(watched([str(path)]).directories)


def test_a_plain_file_hangs_on_its_directory(tmp_path) -> None:
    """The directory is watched, and the file's name is what matters in it."""
    (tmp_path / "a.toml").write_text("")
    found = watched([str(tmp_path / "a.toml")])

    assert str(tmp_path) in found.directories
    assert found.concerned({"a.toml"})
    assert found.concerned({""})
    assert not found.concerned({"b.toml", ".a.toml.swp"})
    assert not found.concerned(set())


@pytest.mark.linux
@pytest.mark.macos
def test_every_link_on_the_way_is_watched(tmp_path) -> None:
    """A link to a link in other directories: a swap of any of them is seen."""
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    (tmp_path / "three" / "real.toml").write_text("")
    (tmp_path / "two" / "middle").symlink_to("../three/real.toml")
    (tmp_path / "one" / "a.toml").symlink_to(tmp_path / "two" / "middle")
    found = watched([str(tmp_path / "one" / "a.toml")])

    assert {str(tmp_path / name) for name in ("one", "two", "three")} <= set(found.directories)
    assert {"a.toml", "middle", "real.toml"} <= found.names


def kubernetes(folder, version: str, content: str) -> None:
    """Publish *content* as the kubelet does: a new directory, and ``..data`` swapped over to it."""
    (folder / version).mkdir()
    (folder / version / "a.toml").write_text(content)
    (folder / "..new").symlink_to(version)
    os.replace(folder / "..new", folder / "..data")
    if not (folder / "a.toml").is_symlink():
        (folder / "a.toml").symlink_to("..data/a.toml")


@pytest.mark.linux
@pytest.mark.macos
def test_a_kubernetes_swap_is_seen_twice(tmp_path) -> None:
    """``..data`` is a name that matters, and the signature differs after each swap."""
    path = tmp_path / "a.toml"
    kubernetes(tmp_path, "..1", "x = 1")
    signatures = [watched([str(path)]).signature]
    for version in ("..2", "..3"):
        kubernetes(tmp_path, version, "x = 1")
        found = watched([str(path)])
        assert found.concerned({"..data"})
        assert str(tmp_path / version) in found.directories
        signatures.append(found.signature)

    assert len(set(signatures)) == 3


def test_what_is_missing_is_awaited_in_the_nearest_directory(tmp_path) -> None:
    """A file in directories that don't exist yet: the first missing one is what to wait for."""
    missing = watched([str(tmp_path / "x" / "y" / "a.toml")])

    assert set(missing.directories) == {str(tmp_path)}
    assert missing.concerned({"x"})
    (tmp_path / "x" / "y").mkdir(parents=True)
    assert directories(tmp_path / "x" / "y" / "a.toml") == {str(tmp_path / "x" / "y")}


@pytest.mark.linux
@pytest.mark.macos
def test_what_a_link_leads_to_is_awaited_where_it_leads(tmp_path) -> None:
    """The link's directory and that of its missing end."""
    (tmp_path / "x").mkdir()
    (tmp_path / "link.toml").symlink_to("x/gone.toml")
    assert directories(tmp_path / "link.toml") == {str(tmp_path), str(tmp_path / "x")}


@pytest.mark.parametrize("change", ["write", "replace", "delete", "touch"])
def test_every_change_changes_the_signature(tmp_path, change) -> None:
    """The slow poll's way to notice, where the system sends no events."""
    path = tmp_path / "a.toml"
    path.write_text("x = 1")
    before = watched([str(path)]).signature
    if change == "write":
        path.write_text("x = 12")
    elif change == "replace":
        (tmp_path / "b").write_text("x = 2")
        os.replace(tmp_path / "b", path)
    elif change == "delete":
        path.unlink()
    else:
        os.utime(path, ns=(1, 1))

    assert watched([str(path)]).signature != before


@pytest.mark.linux
@pytest.mark.macos
def test_a_loop_of_links_ends(tmp_path) -> None:
    """Two links to each other are a broken configuration, not an endless search."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    assert set(chain(str(tmp_path / "a"))) == {str(tmp_path / "a"), str(tmp_path / "b")}
