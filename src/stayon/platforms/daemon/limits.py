"""Resource limits of setrlimit(2), for this process and all that it starts."""

from __future__ import annotations

from stayon.core.bounds import INFINITY
from stayon.errors import NotPermittedError, UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def numbers_of(written: str, infinity: int) -> tuple[int, int]:
    """Soft and hard limit of "SOFT" or "SOFT:HARD", as ``core.bounds.limits`` gives them. Pure."""
    soft, _, hard = written.partition(":")
    soft_number, hard_number = (infinity if part == INFINITY else int(part) for part in (soft, hard or soft))
    return soft_number, hard_number


def apply(limits: Iterable[tuple[str, str]]) -> None:
    """Set each of *limits*, (name, "SOFT" or "SOFT:HARD"). Raises ``NotPermittedError``, or ``UnavailableError`` for
    one that this system doesn't have.
    """
    import resource

    for name, written in limits:
        number = getattr(resource, f"RLIMIT_{name.upper()}", None)
        if number is None:
            raise UnavailableError(
                f"this system has no limit {name!r}", hint="Leave it out here.", code="daemon.no-such-limit"
            )
        try:
            resource.setrlimit(number, numbers_of(written, resource.RLIM_INFINITY))
        except (OSError, ValueError, OverflowError) as error:
            raise NotPermittedError(
                f"the limit {name} can't be {written}",
                why=f"{error}; it is {_shown(resource.getrlimit(number), resource.RLIM_INFINITY)} here",
                hint="Ask for no more than the hard limit, or start it as root.",
                code="daemon.limit",
            ) from error


def _shown(numbers: tuple[int, int], infinity: int) -> str:
    return ":".join(INFINITY if number == infinity else str(number) for number in numbers)
