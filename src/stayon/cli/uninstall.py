"""``uninstall``: stop it, take it away from the manager, and say what stays; ``--purge`` removes that, too."""

from __future__ import annotations

import os
import sys

from stayon import app, exits
from stayon.cli import ask, command, keepers
from stayon.cli.command import answer
from stayon.cli.show import changes_text
from stayon.core import states
from stayon.errors import NotPermittedError, TemporaryError, UnavailableError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.cli.command import Call
    from stayon.cli.keepers import Keeper
    from stayon.core.installation import Change, Managed


def uninstall(call: Call) -> int:
    """Take it away. What is not installed is an error, unless its things are to be removed."""
    keeper, name = keepers.with_manager(keepers.find(call), call), keepers.name_of(call)
    purge, dry_run = "purge" in call.given, "dry-run" in call.given
    kept = _kept(call, keeper)
    left = leavings(call, keeper)
    if purge and (kept is None or kept.state == states.STOPPED):
        _refuse_running(call, kept)
    if purge and not dry_run and not _agreed(call, left):
        answer(call, {"name": name, "changes": [], "left": left, "removed": []}, "Nothing was changed.")
        return exits.DONE
    changes = _taken_away(call, keeper, dry_run=dry_run) if kept is not None else []
    # What a manager makes for a run only is gone now.
    left = left if dry_run else [path for path in left if os.path.lexists(path)]
    removed = _purged(left) if purge and not dry_run else []
    left = [path for path in left if path not in removed]
    fields = {"name": name, "changes": [change.as_dict() for change in changes], "left": left, "removed": removed}
    answer(call, fields, _said(call, changes, left, removed))
    return exits.DONE


def _taken_away(call: Call, keeper: Keeper, *, dry_run: bool) -> list[Change]:
    manager = keepers.manager_in(keeper.here, call)
    try:
        return manager.change(keepers.name_of(call), None, dry_run=dry_run)
    except NotPermittedError as error:
        keepers.permit(error, call, "uninstall", keeper.scope)
        raise


def leavings(call: Call, keeper: Keeper) -> list[str]:
    """What uninstalling leaves that is there: configuration, state, logs, and what the manager knows of besides. One
    within another is not named.
    """
    places = ask.peer_in(call, keeper.ours).paths.places
    if keeper.ours is None and keeper.here.places is not None:
        places = keeper.here.places(keepers.name_of(call), os.environ)
    paths = {path for path in places.as_dict().values() if os.path.isdir(path)}
    # systemd keeps those of an account that it made for the service apart, and links to them (systemd.exec(5)).
    paths |= {os.path.realpath(path) for path in paths if os.path.islink(path)}
    there = sorted(paths | {path for path in keeper.here.leavings(keepers.name_of(call)) if os.path.lexists(path)})
    return [path for path in there if not any(path.startswith(other + os.sep) for other in there)]


def _agreed(call: Call, left: list[str]) -> bool:
    """Whether somebody wants *left* to be removed for good. Raises ``UsageError`` where nobody can be asked."""
    if "yes" in call.given or not left:
        return True
    if not command.has_somebody_to_ask():
        raise UsageError(
            "--purge removes configuration, state and logs for good, and there is no terminal to ask at",
            hint="Say --yes as well.",
            code="uninstall.not-asked",
        )
    sys.stderr.write("These are removed for good:\n" + "".join(f"  {path}\n" for path in left))
    sys.stderr.write(f"Remove {keepers.name_of(call)} with all its things? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _kept(call: Call, keeper: Keeper) -> Managed | None:
    """The service as *keeper* has it; None if it isn't there, which is an error unless its things are to go."""
    try:
        return keepers.installed(call, keeper)
    except UnavailableError:
        if "purge" not in call.given:
            raise
        return None


def _refuse_running(call: Call, kept: Managed | None) -> None:
    if app.is_locked(call.here(), ask.peer_in(call, kept).paths):
        raise TemporaryError(
            f"{keepers.name_of(call)} runs in a console: its things are not removed",
            hint=f"Stop it, then say it again: {call.command('stop')}",
            code="uninstall.running",
        )


def _purged(left: list[str]) -> list[str]:
    """Remove *left*; gives what is gone. Raises ``NotPermittedError``."""
    import shutil

    for path in left:
        try:
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        except OSError as error:
            raise NotPermittedError(
                "it could not be removed wholly",
                where=error.filename or path,
                why=error.strerror or str(error),
                hint="Remove it by hand.",
                code="uninstall.leftover",
            ) from error
    return left


def _said(call: Call, changes: list[Change], left: list[str], removed: list[str]) -> str:
    name, dry_run = keepers.name_of(call), "dry-run" in call.given
    lines = []
    if changes:
        lines.append(f"{name} {'would be' if dry_run else 'is'} uninstalled:")
        lines.append(changes_text(changes, both=False))
    lines += [f"Removed: {path}" for path in removed]
    if left:
        lines.append("These stay:" if "purge" not in call.given else "These would be removed:")
        lines += [f"  {path}" for path in left]
        if "purge" not in call.given:
            lines.append(f"Remove them, too: {call.command('uninstall')} --purge")
    if dry_run:
        lines.append("Nothing was changed.")
    return "\n".join(lines) or f"{name} is uninstalled; nothing of it is left"
