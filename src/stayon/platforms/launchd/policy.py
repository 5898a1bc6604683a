"""A restart policy as launchd can have it: KeepAlive and one fixed ThrottleInterval. Pure."""

from __future__ import annotations

from stayon.core import restart
from stayon.core.duration import text
from stayon.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stayon.core.restart import Policy

# What launchd waits between two starts where nothing is said (launchd.plist(5)).
USUAL_S = 10
SHORTEST_S = 1

# What holds where the service says nothing: as everywhere with a manager, it is started again without an end.
DEFAULT = restart.backoff()


class Keeping(Record):
    """KeepAlive's value, ThrottleInterval's, and after which exit codes the job is to be taken out of launchd."""

    keep_alive: bool | dict[str, Any]
    throttle_s: int
    final: tuple[int, ...]


def keeping(policy: Policy | None) -> Keeping:
    """*policy* in launchd's words.

    The interval is from one start to the next, so a service that ran longer is started again at once. It is launchd's
    own ten seconds, or what of the policy's waits comes next to it.
    """
    policy = policy or DEFAULT
    if policy.name == restart.NEVER:
        return Keeping(False, USUAL_S, ())
    keep_alive: bool | dict[str, Any] = True if policy.on == restart.ON_ALWAYS else {"SuccessfulExit": False}
    if policy.name == restart.IMMEDIATE:
        return Keeping(keep_alive, SHORTEST_S, policy.final)
    wait_s = min(max(USUAL_S, policy.first_s), policy.cap_s)
    return Keeping(keep_alive, max(SHORTEST_S, round(wait_s)), policy.final)


def lost(policy: Policy | None) -> str:
    """What of *policy* launchd can't do, as a clause; "" if it can all, or nobody has asked for it."""
    if policy is None or policy.name == restart.NEVER:
        return ""
    found = []
    if policy.name == restart.BACKOFF and policy.factor > 1:
        found.append(f"its wait is always the same, {text(keeping(policy).throttle_s)} from start to start")
    if policy.max_attempts is not None or policy.budget is not None:
        found.append("it never gives up")
    return " and ".join(found)


def words(keep: Keeping) -> str:
    """For people: when it is started again."""
    if keep.keep_alive is False:
        return "never"
    when = "however it ended" if keep.keep_alive is True else "after a failure"
    return f"{when}, at most every {text(keep.throttle_s)}"
