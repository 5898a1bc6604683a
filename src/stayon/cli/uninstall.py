"""``uninstall``: stop it, take it away from the manager, and say what stays; ``--purge`` removes that, too."""

from __future__ import annotations

import os
import stat
import sys

from stayon import app, exits
from stayon.cli import ask, command, keepers
from stayon.cli.command import answer
from stayon.cli.show import changes_text
from stayon.core import states
from stayon.core.places import OWN_ENDINGS
from stayon.errors import NotPermittedError, StayonError, TemporaryError, UnavailableError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.cli.command import Call
    from stayon.cli.keepers import Keeper
    from stayon.core.installation import Change, Managed
    from stayon.core.places import Places


def uninstall(call: Call) -> int:
    """Take it away. What is not installed is an error, unless its things are to be removed."""
    keeper, name = keepers.with_manager(keepers.find(call), call), keepers.name_of(call)
    purge, dry_run = "purge" in call.given, "dry-run" in call.given
    kept = _kept(call, keeper)
    left = leavings(call, keeper)
    own = _own(call, keeper, left)
    foreign = [path for path in left if path not in own]
    if purge and (kept is None or kept.state == states.STOPPED):
        _refuse_running(call, kept)
    if purge and not dry_run:
        _refuse_unsafe(own)
    if purge and not dry_run and not _agreed(call, own):
        answer(call, {"name": name, "changes": [], "left": left, "removed": []}, "Nothing was changed.")
        return exits.DONE
    changes = _taken_away(call, keeper, dry_run=dry_run) if kept is not None else []
    # What a manager makes for a run only is gone now.
    left = left if dry_run else [path for path in left if os.path.lexists(path)]
    removed = _purged([path for path in left if path in own]) if purge and not dry_run else []
    left = [path for path in left if path not in removed]
    held = _let_go(call, removed) if not dry_run else []
    fields = {"name": name, "changes": [change.as_dict() for change in changes], "left": left, "removed": removed}
    fields |= {"held": held} if held else {}
    text = _said(call, changes, (left, [path for path in left if path in foreign]), removed)
    later = [f"Used by a program that runs, and removed by a later uninstall or update: {path}" for path in held]
    answer(call, fields, "\n".join([text, *later]))
    return exits.DONE


def _let_go(call: Call, removed: list[str]) -> list[str]:
    """Add to *removed* what a program that is one file had put on disk; gives what runs yet has to go another time."""
    if not call.is_one_file:
        return []
    import json  # noqa: F401  # what is to be told afterwards is loaded while it can be

    from stayon.cli.inside import let_go

    gone, held = let_go(call)
    removed += gone
    return held


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
    paths = {path for path in _places(call, keeper).as_dict().values() if os.path.isdir(path)}
    # systemd keeps those of an account that it made for the service apart, and links to them (systemd.exec(5)). Any
    # other link may have been laid by the service, or whoever has taken it over.
    paths |= {_private(path) for path in paths if os.path.realpath(path) == os.path.realpath(_private(path))}
    there = sorted(paths | {path for path in keeper.here.leavings(keepers.name_of(call)) if os.path.lexists(path)})
    return [path for path in there if not any(path.startswith(other + os.sep) for other in there)]


def _places(call: Call, keeper: Keeper) -> Places:
    if keeper.ours is None and keeper.here.places is not None:
        return keeper.here.places(keepers.name_of(call), os.environ)
    return ask.peer_in(call, keeper.ours).paths.places


def _private(path: str) -> str:
    return os.path.join(os.path.dirname(path), "private", os.path.basename(path))


def _own(call: Call, keeper: Keeper, left: list[str]) -> list[str]:
    """What of *left* is the service's own: files that its manager named, directories that have a file by which a
    service is known; and beside those, or where its manager has it, empty ones. A name is said quickly: /etc/ssl and
    /var/lib/dpkg are not those of a service "ssl" or "dpkg", even if there is one.
    """
    files = [path for path in left if not os.path.isdir(path)]
    known = [path for path in left if path not in files and _is_known(call, keeper, path)]
    if not known and keeper.ours is None:
        return files
    return [path for path in left if path in files or path in known or not _listed(path)]


def _is_known(call: Call, keeper: Keeper, path: str) -> bool:
    top, places = os.path.realpath(path), _places(call, keeper).as_dict().values()
    within = [each for each in map(os.path.realpath, places) if f"{each}{os.sep}".startswith(f"{top}{os.sep}")]
    return any(f"{call.name}{ending}" in _listed(each) for each in within for ending in OWN_ENDINGS)


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []
    except OSError:
        return [""]  # nobody knows what is in it


def _refuse_unsafe(paths: list[str]) -> None:
    """Raise ``NotPermittedError`` where root would remove something else than it looked at: somebody else may put a
    link in the place of a directory above.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    for path in paths:
        above = os.path.dirname(path)
        for each in (above, os.path.realpath(above)):
            while each != os.path.dirname(each):
                each = os.path.dirname(each)  # noqa: PLW2901  # up to the root
                found = os.lstat(each)
                if found.st_uid != 0 or (found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX):
                    raise NotPermittedError(
                        "root doesn't remove what is below a directory that is another account's",
                        where=path,
                        why=f"who may write to {each} could have it remove anything",
                        hint="Remove it as that account, or by hand.",
                        code="uninstall.unsafe",
                    )


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
        if "dry-run" not in call.given:
            _finish(call, keeper)
        if "purge" not in call.given:
            raise
        return None


def _finish(call: Call, keeper: Keeper) -> None:
    """Have the manager forget what is gone already: an earlier uninstall was killed before it had told it."""
    try:
        keepers.manager_in(keeper.here, call).change(keepers.name_of(call), None)
    except StayonError:
        return  # it isn't there, which is what this is about


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


def _said(call: Call, changes: list[Change], stays: tuple[list[str], list[str]], removed: list[str]) -> str:
    """*stays* is what is left, and what of it is not the service's own."""
    left, foreign = stays
    left = left if "purge" not in call.given else [path for path in left if path not in foreign]
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
    if foreign and "purge" in call.given:
        lines.append("These stay, as they have nothing by which they are known to be its own; look at them yourself:")
        lines += [f"  {path}" for path in foreign]
    if dry_run:
        lines.append("Nothing was changed.")
    return "\n".join(lines) or f"{name} is uninstalled; nothing of it is left"
