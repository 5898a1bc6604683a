"""``uninstall``, on a manager that keeps services in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from stayon import exits
from stayon.errors import NotPermittedError
from tests.unit.install_desk import NAME, Desk, opened


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Desk]:
    """``stayon VERB …/collector.py`` on a computer with a manager that keeps nothing yet; nobody at the terminal."""
    with opened(capsys, monkeypatch, tmp_path) as made:
        yield made


class TestUninstall:
    """What goes, and what stays."""

    def test_takes_it_away_and_names_what_stays(self, desk: Desk) -> None:
        """Its entry goes, stopped first; its directories stay, and are named with the way to remove them."""
        desk.say("install", "--now")
        things = desk.machine.folder / NAME / "state"
        things.mkdir(parents=True)

        said = desk.say("uninstall")

        assert (said.code, said.err) == (exits.DONE, "")
        assert f"These stay:\n  {things}\n" in said.out
        assert f"stayon uninstall {desk.file} --purge" in said.out
        assert desk.services.kept == {}
        assert desk.services.asked[-1] == (NAME, "stop", ())
        assert things.is_dir()

    def test_purge_removes_its_things(self, desk: Desk) -> None:
        """With ``--purge --yes`` its directories are removed, and named."""
        desk.say("install")
        things = desk.machine.folder / NAME / "state"
        things.mkdir(parents=True)

        said = desk.say("uninstall", "--purge", "--yes")

        assert f"Removed: {things}\n" in said.out
        assert not things.exists()

    def test_purge_works_on_leftovers(self, desk: Desk) -> None:
        """What an earlier ``uninstall`` left is removed later, without an installation."""
        things = desk.machine.folder / NAME / "logs"
        things.mkdir(parents=True)
        (things / f"{NAME}.log").touch()

        said = desk.say("uninstall", "--purge", "-y", "--json")

        assert said.json == {"name": NAME, "changes": [], "left": [], "removed": [str(things)]}

    @pytest.mark.parametrize("is_installed", [True, False])
    def test_purge_spares_what_another_program_has_under_this_name(self, desk: Desk, is_installed: bool) -> None:
        """A directory without any file of the service's is another's, as /etc/ssl is, and is only named."""
        if is_installed:
            desk.say("install")
        foreign, own = desk.machine.folder / NAME / "config", desk.machine.folder / NAME / "state"
        for path in (foreign, own):
            path.mkdir(parents=True)
        (foreign / "certificates").touch()
        (own / f"{NAME}.crash").touch()

        said = desk.say("uninstall", "--purge", "--yes")

        assert (foreign / "certificates").exists()
        assert not own.exists()
        assert said.out.endswith(f"look at them yourself:\n  {foreign}\n")

    def test_purge_of_a_name_that_is_no_service_removes_nothing(self, desk: Desk) -> None:
        """Neither what is in there nor an empty directory is anything that a service has left."""
        for name in ("state", "logs"):
            (desk.machine.folder / NAME / name).mkdir(parents=True)
        (desk.machine.folder / NAME / "state" / "database").touch()

        said = desk.say("uninstall", "--purge", "--yes", "--json")

        assert said.json["removed"] == []
        assert len(said.json["left"]) == 2

    @pytest.mark.parametrize(("typed", "gone"), [("y\n", True), ("n\n", False), ("", False)])
    def test_purge_asks(self, desk: Desk, monkeypatch: pytest.MonkeyPatch, typed: str, gone: bool) -> None:
        """At a terminal it asks; anything but yes changes nothing, not even the installation."""
        desk.say("install")
        things = desk.machine.folder / NAME / "state"
        things.mkdir(parents=True)
        monkeypatch.setattr("stayon.cli.command.has_somebody_to_ask", lambda: True)
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))

        desk.say("uninstall", "--purge")

        assert things.exists() is not gone
        assert (NAME in desk.services.kept) is not gone

    def test_purge_without_anybody_to_ask_does_nothing(self, desk: Desk) -> None:
        """No terminal and no ``--yes``: a wrong use, before anything is changed."""
        desk.say("install")
        (desk.machine.folder / NAME / "state").mkdir(parents=True)

        said = desk.say("uninstall", "--purge")

        assert said.code == exits.USAGE
        assert "[uninstall.not-asked]" in said.err
        assert NAME in desk.services.kept

    def test_purge_spares_what_runs_in_a_console(self, desk: Desk) -> None:
        """While a process that the manager doesn't have holds the lock, nothing is removed or uninstalled."""
        desk.say("install")
        run = desk.machine.folder / NAME / "run"
        run.mkdir(parents=True)
        (run / f"{NAME}.lock").write_text("77\n")
        desk.machine.processes[77] = "fake/77"
        desk.machine.lock_holders[str(run / f"{NAME}.lock")] = 77

        said = desk.say("uninstall", "--purge", "--yes")

        assert said.code == exits.TEMPORARY
        assert "[uninstall.running]" in said.err
        assert run.is_dir()
        assert NAME in desk.services.kept

    def test_what_the_manager_refuses_keeps_everything(self, desk: Desk) -> None:
        """Without the right to uninstall nothing is purged either."""
        desk.say("install")
        things = desk.machine.folder / NAME / "state"
        things.mkdir(parents=True)
        desk.services.refuse["change"] = NotPermittedError("access denied", code="scm.access-denied")

        said = desk.say("uninstall", "--purge", "--yes")

        assert said.code == exits.NOT_PERMITTED
        assert things.is_dir()
