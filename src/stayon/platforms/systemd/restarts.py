"""A restart policy as systemd can do it: systemd.service(5) Restart=, systemd.unit(5) StartLimitIntervalSec=."""

from __future__ import annotations

import math

from stayon import exits
from stayon.core import restart
from stayon.core.duration import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from stayon.core.restart import Policy

# What holds where the service says nothing: as everywhere with a manager, back-off without an end.
DEFAULT = restart.backoff()

# RestartSteps= and RestartMaxDelaySec=; before it, each wait is as long as the first.
STEPS_SINCE = 254


def span(length_s: float) -> str:
    """*length_s* as systemd.time(7) has it, to the millisecond."""
    return f"{length_s:.3f}".rstrip("0").rstrip(".") + "s"


def unit_directives(policy: Policy | None) -> list[tuple[str, str]]:
    """The lines of [Unit]: when to give up.

    systemd counts starts within a time, not restarts in a row: it is long enough for all of them with their waits, and
    for runs that are as short as the policy means.
    """
    policy = policy or DEFAULT
    if policy.max_attempts is None or policy.name == restart.NEVER:
        return [("StartLimitIntervalSec", "0")]
    interval_s = policy.reset_after_s + sum(_waits(policy, policy.max_attempts))
    return [("StartLimitIntervalSec", span(interval_s)), ("StartLimitBurst", str(policy.max_attempts + 1))]


def service_directives(policy: Policy | None, version: int) -> list[tuple[str, str]]:
    """The lines of [Service]: whether, and after how long."""
    policy = policy or DEFAULT
    # How it ends if it is asked to before it is ready: that is no failure.
    lines = [("SuccessExitStatus", f"{exits.INTERRUPTED} {exits.TERMINATED}")]
    if policy.name == restart.NEVER:
        return [("Restart", "no"), *lines]
    on = "always" if policy.on == restart.ON_ALWAYS else "on-failure"
    first_s = max(policy.first_s, restart.FLOOR_S)
    lines = [("Restart", on), ("RestartSec", span(first_s)), *lines]
    cap_s = max(policy.cap_s, first_s)
    if _grows(policy) and version >= STEPS_SINCE:
        lines += [("RestartSteps", str(_steps(policy, first_s, cap_s))), ("RestartMaxDelaySec", span(cap_s))]
    final = [str(code) for code in policy.final if 0 < code <= 255]
    return [*lines, ("RestartPreventExitStatus", " ".join(final))] if final else lines


def warning(policy: Policy | None, version: int) -> str:
    """What systemd of *version* can't do of *policy*, "" if nothing is lost that matters."""
    policy = policy or DEFAULT
    if policy.name == restart.NEVER:
        return ""
    lost = []
    if _grows(policy) and version < STEPS_SINCE:
        first = text(max(policy.first_s, restart.FLOOR_S))
        lost.append(f"systemd {version} can't make the wait grow: it is {first} each time")
    if policy.budget is not None:
        lost.append("systemd knows no budget of failures")
    return "; ".join(lost)


def in_words(said: Mapping[str, str]) -> str:
    """What the directives that are *said* come to, for people."""
    if not said:
        return ""
    if "Restart" not in said:
        return ", ".join(f"{name}={value}" for name, value in said.items())
    if said["Restart"] == "no":
        return "never"
    words = f"{'always' if said['Restart'] == 'always' else 'after a failure'}, in {said.get('RestartSec', '100ms')}"
    if "RestartMaxDelaySec" in said:
        words += f", growing to {said['RestartMaxDelaySec']}"
    if "StartLimitBurst" in said:
        words += f", {int(said['StartLimitBurst']) - 1} times within {said.get('StartLimitIntervalSec', '10s')}"
    if "RestartPreventExitStatus" in said:
        words += f"; not after exit code {', '.join(said['RestartPreventExitStatus'].split())}"
    return words


def _grows(policy: Policy) -> bool:
    return policy.name == restart.BACKOFF and policy.factor > 1 and policy.cap_s > max(policy.first_s, restart.FLOOR_S)


def _steps(policy: Policy, first_s: float, cap_s: float) -> int:
    """systemd goes from the first wait to the longest in so many steps, each longer by the same factor."""
    return max(1, round(math.log(cap_s / first_s) / math.log(policy.factor)))


def _waits(policy: Policy, count: int) -> list[float]:
    return [max(wait_s, restart.FLOOR_S) for wait_s in restart.delays(policy, count)]
