"""``install``: look at everything first, then have the manager make it so, and tell what was changed."""

from __future__ import annotations

from stayon import exits
from stayon.cli import keepers, managed
from stayon.cli.command import answer, complain
from stayon.cli.keepers import Keeper
from stayon.cli.show import changes_text
from stayon.cli.wanted import service_of, wanted_installation
from stayon.core import states
from stayon.core.finding import BAD, WARNING
from stayon.core.installation import AUTO, DELAYED, DISABLED, SYSTEM, USER
from stayon.errors import FailedError, StayonError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from stayon.cli.command import Call
    from stayon.core.finding import Finding
    from stayon.core.installation import Change, Installation, Managed

_BY_ITSELF = {SYSTEM: "with the computer", USER: "when you log on, or with the computer where you linger"}


def install(call: Call) -> int:
    """Install it, or bring the installation up to date; again without a change it does nothing."""
    service_of(call)
    scope = keepers.scope_wanted(call)
    here = keepers.management(call)
    manager = keepers.manager_in(here, call)
    wanted = wanted_installation(call, here.command)
    if "now" in call.given and wanted.start == DISABLED:
        raise UsageError(
            "--now can't start what --start disabled forbids", hint="Leave one of them out.", code="usage.option"
        )
    refusals, warnings = _looked_at(call)
    dry_run = "dry-run" in call.given
    if refusals and not dry_run:
        raise refused(refusals)
    before = manager.look(wanted.name)
    changes = manager.change(wanted.name, wanted, dry_run=dry_run)
    if not dry_run:
        here.prepare()
    after = before if dry_run else manager.look(wanted.name)
    if "now" in call.given and not dry_run and (after is None or after.state == states.STOPPED):
        after = managed.begin(call, Keeper(scope, here, after), ())
    if "json" not in call.given:
        for finding in (*refusals, *warnings):
            complain(f"{finding.verdict}: {finding.subject}: {finding.text}")
    left = _next(call, wanted, changes, after, logs_elsewhere=here.log_reader is not None)
    answer(
        call,
        {
            "name": wanted.name,
            "scope": scope,
            "dry_run": dry_run,
            "changes": [change.as_dict() for change in changes],
            "findings": [finding.as_dict() for finding in (*refusals, *warnings)],
            "state": after.state if after is not None else None,
        },
        "\n".join([_said(wanted.name, changes, before, dry_run=dry_run), *left]),
    )
    return refusals[0].exit_code if refusals else exits.DONE


def _looked_at(call: Call) -> tuple[list[Finding], list[Finding]]:
    """Why it must not be installed, and what is only to be told."""
    from stayon.cli.doctor import examine

    findings = examine(service_of(call), call)
    refusals = [one for one in findings if one.verdict == BAD or (one.verdict == WARNING and one.exit_code)]
    # Of the one who installs it; a running one is no obstacle; and what the changes say themselves.
    told = ("account", "lock", "drift", "not here", "unread")
    return refusals, [
        one for one in findings if one.verdict == WARNING and one not in refusals and one.subject not in told
    ]


def refused(refusals: Sequence[Finding]) -> StayonError:
    """The error that says everything that is in the way, with the exit code of the first."""
    error = FailedError(
        "it is not installed, nothing was changed",
        why=f"{len(refusals)} of the checks say no" if len(refusals) > 1 else "one of the checks says no",
        code="install.refused",
    )
    error.exit_code = refusals[0].exit_code or exits.FAILED
    error.details = tuple(f"{one.subject}: {one.text}" for one in refusals)
    return error


def _said(name: str, changes: Sequence[Change], before: Managed | None, *, dry_run: bool) -> str:
    if not changes:
        return f"{name} is installed like this already: nothing to change"
    verb = "would be " if dry_run else "is "
    head = f"{name} {verb}{'installed' if before is None else 'changed'}:"
    return f"{head}\n{changes_text(changes, both=before is not None)}"


def _next(
    call: Call, wanted: Installation, changes: Sequence[Change], after: Managed | None, *, logs_elsewhere: bool
) -> list[str]:
    """What is left to do, if anything. *logs_elsewhere*: it logs to the system's own log, and to no file."""
    if after is None or "dry-run" in call.given:
        return ["Nothing was changed."]
    if after.state != states.STOPPED:
        lines = [f"It is {after.state}, process {after.pid}."]
        if changes and "now" not in call.given:
            lines.append(f"The changes hold from its next start: {call.command('restart')}")
        return [*lines, f"Its log: {call.command('logs')} -f"] if logs_elsewhere else lines
    if wanted.start == DISABLED:
        return ["It is disabled: nobody can start it."]
    lines = [f"Start it: {call.command('start')}"]
    if wanted.start in (AUTO, DELAYED):
        lines.append(f"It also starts {_BY_ITSELF[wanted.scope]}.")
    elif wanted.triggers:
        lines.append(f"It also starts by itself: {', '.join(wanted.triggers)}.")
    return lines
