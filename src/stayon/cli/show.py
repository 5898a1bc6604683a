"""What a person sees of a service's status."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from stayon.runtime.status_reading import Reading

_JOB_COLUMNS = ("job", "running", "success", "failure", "timeout", "skipped", "last_success")


def status_text(name: str, found: Reading) -> str:
    """The status as text, a line a fact, and a table of the jobs."""
    lines = [f"{name}: {found.text}"]
    page = found.status
    if page is None:
        return lines[0]
    facts = {
        "status": page.status,
        "health": page.health if page.exit_code is None else "",
        "config": f"generation {page.generation}" if page.generation else "",
        "restarts": str(page.restarts) if page.restarts else "",
        "probes": f"http://{page.probes}" if page.probes else "",
        "logs": page.logs,
    }
    lines += [f"  {fact:<9} {value}" for fact, value in facts.items() if value]
    if page.jobs:
        lines += ["", *_table(page.jobs)]
    if page.jobs_left_out:
        lines.append(f"  and {page.jobs_left_out} more")
    return "\n".join(lines)


def _table(jobs: tuple[Mapping[str, Any], ...]) -> list[str]:
    rows = [_JOB_COLUMNS, *(tuple(str(job.get(column, "")) for column in _JOB_COLUMNS) for job in jobs)]
    widths = [max(len(row[position]) for row in rows) for position in range(len(_JOB_COLUMNS))]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return lines + [f"  {job['job']}: {job['last_error']}" for job in jobs if job.get("last_error")]
