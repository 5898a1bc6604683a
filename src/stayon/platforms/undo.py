"""A change as a list of acts, each with its undo: all of them, or none."""

from __future__ import annotations

from stayon.core.record import Record
from stayon.errors import StayonError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stayon.core.installation import Change

    Undo = Callable[[], object]


class Act(Record):
    """One step of a change. *do* does it and gives its undo, or None if there was nothing to do after all.

    *optional*: where this computer doesn't know the thing, it is left out with a warning. *more* is what else is so
    with it, for people to read.
    """

    change: Change
    do: Callable[[], Undo | None]
    optional: bool = False
    more: tuple[Change, ...] = ()


def no_warning(_error: Exception) -> str:
    """Nothing that fails can be left out."""
    return ""


def nothing() -> None:
    """The undo of what needs none."""


def perform(acts: Iterable[Act], warning: Callable[[Exception], str] = no_warning) -> list[Change]:
    """Carry out *acts* in order, and give what was changed. *warning* says of what an optional act raised that this
    computer doesn't know the thing, or "" if that is no reason to go on without it.

    If one raises, those before it are undone, the last first, and its exception goes on; an undo that fails, too, is
    told with it.
    """
    undos: list[tuple[Act, Undo]] = []
    made: list[Change] = []
    for act in acts:
        try:
            undo = act.do()
        except BaseException as error:
            left_out = warning(error) if act.optional and isinstance(error, Exception) else ""
            if not left_out:
                _roll_back(undos, error)
                raise
            made.append(act.change.replace(warning=left_out))
            continue
        if undo is not None:
            undos.append((act, undo))
            made += [act.change, *act.more]
    return made


def _roll_back(undos: list[tuple[Act, Undo]], cause: BaseException) -> None:
    """Undo all, whatever happens; what can't be is said with the cause."""
    for act, undo in reversed(undos):
        try:
            undo()
        except Exception as error:  # noqa: BLE001  # the rest has to be undone all the same
            left = f"{act.change.name} could not be taken back: {error}"
            if isinstance(cause, StayonError):
                cause.details = (*cause.details, left)
            else:
                cause.add_note(left)
