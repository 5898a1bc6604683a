"""What a person sees of a service's status."""

from __future__ import annotations

from stayon.runtime.logs.text import printable
from stayon.runtime.status_reading import DIED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from stayon.core.installation import Change, Managed
    from stayon.runtime.status_reading import Reading

_JOB_COLUMNS = ("job", "running", "success", "failure", "timeout", "skipped", "last_success")


def status_text(name: str, found: Reading, kept: Managed | None = None) -> str:
    """The status as text, a line a fact, and a table of the jobs."""
    lines = [f"{name}: {found.text}"]
    page = found.status
    facts = _managers(kept, found) if kept is not None else {}
    if page is None:
        return "\n".join([*lines, *_fact_lines(facts)])
    facts |= {
        "status": page.status,
        "health": page.health if page.exit_code is None else "",
        "config": f"generation {page.generation}" if page.generation else "",
        "restarts": str(page.restarts) if page.restarts else facts.get("restarts", ""),
        "probes": f"http://{page.probes}" if page.probes else "",
        "logs": kept.log if kept is not None and kept.log else page.logs,
        "log level": page.log_level,
    }
    lines += _fact_lines(facts)
    if page.jobs:
        lines += ["", *_table(page.jobs)]
    if page.jobs_left_out:
        lines.append(f"  and {page.jobs_left_out} more")
    return "\n".join(lines)


def _fact_lines(facts: Mapping[str, str]) -> list[str]:
    return [f"  {fact:<9} {printable(value)}" for fact, value in facts.items() if value]


def _managers(kept: Managed, found: Reading) -> dict[str, str]:
    """What only the manager knows; or knows, too, where the page may not be read."""
    return {
        "installed": _installed(kept, found),
        "status": kept.status,
        "restarts": f"{kept.restarts} by its manager" if kept.restarts else "",
    }


def _installed(kept: Managed, found: Reading) -> str:
    text = f"{kept.start} start, as {kept.account}"
    page = found.status
    is_alive = page is not None and page.exit_code is None and found.verdict != DIED
    if page is not None and is_alive and page.pid != kept.pid:
        return f"{text}; {kept.state} there: process {page.pid} was started by hand"
    return text


def _table(jobs: tuple[Mapping[str, Any], ...]) -> list[str]:
    lines = table(_JOB_COLUMNS, [[printable(str(job.get(column, ""))) for column in _JOB_COLUMNS] for job in jobs])
    return lines + [printable(f"  {job.get('job')}: {job['last_error']}") for job in jobs if job.get("last_error")]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """*rows* below *head*, in columns, a line each."""
    cells = [head, *rows]
    widths = [max(len(row[position]) for row in cells) for position in range(len(head))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    ]


def changes_text(changes: Sequence[Change], *, both: bool) -> str:
    """What is made, changed or taken away, a line each, with what this computer's manager can't do. *both*: show what
    it was and what it is, else the one of them that there is.
    """
    width = max((len(change.name) for change in changes), default=0)
    lines = []
    for change in changes:
        text = f"{change.old or 'none'} -> {change.new or 'none'}" if both else change.new or change.old or "none"
        lines.append(f"  {change.name:<{width}}  {text}" + (f"  ({change.warning})" if change.warning else ""))
    return "\n".join(lines)
