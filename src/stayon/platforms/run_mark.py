"""The mark by which what a process has started is known again, wherever it has gone: all that is born of it inherits
it.

Parentage gets lost: who is left by its parent (a double fork) becomes a child of init, and setsid(2) takes it out of
group and session.
"""

from __future__ import annotations

import os

from stayon.platforms.libc import Library, Pointer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

# The marks of all whose descendant a process is, the nearest last; never set by people.
VARIABLE = "STAYON_RUN"

# Of a mapping in the memory of a process that was forked and has not called exec since: its environment, as others see
# it, is still the one that its starter was given.
PAGE_NAME = "stayon-run:"

_PROT_READ, _MAP_SHARED = 1, 1  # <sys/mman.h>
_PAGE_BYTES = 4096


class OwnMark:
    """The mark of this process, once it has one."""

    mark = ""


def new_mark() -> str:
    """One that no other process has or had; it begins with our pid."""
    return f"{os.getpid()}-{os.urandom(6).hex()}"


def joined(inherited: str, mark: str) -> str:
    """What ``VARIABLE`` is for the children of who has *inherited* marks, and has *mark*."""
    return f"{inherited},{mark}" if inherited else mark


def with_mark(environment: Mapping[str, str], mark: str) -> dict[str, str]:
    """*environment* for a child whose descendants are to be known by *mark*."""
    inherited = environment.get(VARIABLE, "") or os.environ.get(VARIABLE, "")
    return {**environment, VARIABLE: joined(inherited, mark)}


def unmarked(environment: Mapping[str, str]) -> dict[str, str]:
    """*environment* for what is to outlive its starter, as another service does."""
    return {name: value for name, value in environment.items() if name != VARIABLE}


def is_marked(value: str, mark: str) -> bool:
    """Whether *value*, of ``VARIABLE``, has *mark* in it."""
    return mark in value.split(",")


def mark_this_process(environment: MutableMapping[str, str] = os.environ) -> str:
    """Have what this process starts from now on carry its mark, which is given. Twice is harmless.

    One that has replaced itself (exec) keeps the mark that it had.
    """
    if OwnMark.mark.partition("-")[0] != str(os.getpid()):
        inherited = environment.get(VARIABLE, "")
        last = inherited.rpartition(",")[2]
        if last.partition("-")[0] == str(os.getpid()):
            OwnMark.mark = last
        else:
            OwnMark.mark = new_mark()
            environment[VARIABLE] = joined(inherited, OwnMark.mark)
        _map_page(PAGE_NAME + OwnMark.mark)
    return OwnMark.mark


def _map_page(name: str) -> None:
    """Map a page called *name*, which nobody reads; a forked child has it, too. Linux only: elsewhere, nothing.

    It takes no memory that is counted, and cannot be closed by who closes all descriptors, as daemons do.
    """
    try:
        fd = os.memfd_create(name)
    except (AttributeError, OSError):
        return
    try:
        os.truncate(fd, _PAGE_BYTES)
        Library().mmap(None, Pointer(_PAGE_BYTES), _PROT_READ, _MAP_SHARED, fd, Pointer(0))
    finally:
        os.close(fd)
