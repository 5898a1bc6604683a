"""What a service says of itself to whoever keeps it with launchd, which has no word for "ready": a small file.

Written by the service at each change, and read by the verbs. (The status page of the runtime tells people far more.)
"""

from __future__ import annotations

import os

from stayon.core import states
from stayon.core.record import Record

# What ``splitlines`` takes for the end of one.
_ONE_LINE = dict.fromkeys((*range(32), 127, 133, 8232, 8233), " ")


class Page(Record):
    """*since* when the process began, in Unix time; the others as in ``Report``."""

    state: str
    pid: int
    since: float
    exit_code: int = 0
    status: str = ""
    why: str = ""


def text(page: Page) -> str:
    """As it is written: a line for each field."""
    return "".join(f"{name} {str(value).translate(_ONE_LINE)}\n" for name, value in page.as_dict().items())


def parsed(written: str) -> Page | None:
    """The page of which *written* is the text; None if it is none."""
    fields = dict(line.partition(" ")[::2] for line in written.splitlines())
    try:
        return Page(
            fields["state"],
            int(fields["pid"]),
            float(fields["since"]),
            int(fields["exit_code"]),
            fields["status"],
            fields["why"],
        )
    except (KeyError, ValueError):
        return None


def write(path: str, page: Page) -> None:
    """Put it in place, whole, for everybody to read. Raises ``OSError``."""
    beside = f"{path}.{page.pid}"
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        os.fchmod(fd, 0o644)
        os.write(fd, text(page).encode("utf-8", "replace"))
    finally:
        os.close(fd)
    os.replace(beside, path)


def remove(path: str) -> None:
    """Take the page of an earlier run away; what may not be, or isn't there, stays as it is."""
    try:
        os.unlink(path)
    except OSError:
        return  # it names another process than the one that is started now


def read(path: str) -> Page | None:
    """What stands there; None if there is nothing, or it may not be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            found = parsed(file.read(65536))
    except OSError:
        return None
    return found if found is not None and found.state in states.STATES else None
