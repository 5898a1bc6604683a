"""What a service declares, checked: every Record here is valid by construction of ``service.spec()``."""

from __future__ import annotations

from stayon.core.duration import seconds
from stayon.core.record import Record
from stayon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.core import health
    from stayon.core.overlap import Overlap
    from stayon.core.restart import Policy
    from stayon.core.schedule import Cron, Every

LOG = "log"
DEGRADE = "degrade"
FAIL = "fail"
ON_FAILURE = (LOG, DEGRADE, FAIL)

NAME_LIMIT = 64
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


class JobSpec(Record):
    """A function called by a schedule. Times in seconds; None is no limit. *is_fixed*: the operator's schedule and
    switch do not hold for it.
    """

    name: str
    rule: Every | Cron
    timeout_s: float | None
    overlap: Overlap
    retry: Policy | None
    on_failure: str
    hang_timeout_s: float | None
    enabled: bool = True
    is_fixed: bool = False


class CheckSpec(Record):
    """A health check: asked every *every_s*, judged by *rule*."""

    name: str
    every_s: float
    timeout_s: float
    rule: health.Rule


class WorkerSpec(Record):
    """A function that runs for the service's whole life: ``run``, or a ``task``."""

    name: str
    hang_timeout_s: float | None


class ServiceSpec(Record):
    """Everything a manager, the host and ``status`` need to know of a service before it runs."""

    name: str
    description: str
    version: str
    restart: Policy | None
    start_timeout_s: float
    stop_timeout_s: float
    hook_timeout_s: float
    hang_timeout_s: float | None
    probes: str
    jobs: tuple[JobSpec, ...]
    checks: tuple[CheckSpec, ...]
    workers: tuple[WorkerSpec, ...]


def checked_name(name: object, what: str) -> str:
    """*name* if it can be a file, unit, SCM and metric label name everywhere; *what* says whose name it is."""
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LIMIT:
        raise UsageError(
            f"{what} needs a name of 1 to {NAME_LIMIT} characters, not {name!r}",
            hint='Try something like "price-collector".',
            code="spec.name",
        )
    wrong = [character for character in name if character not in _NAME_CHARACTERS]
    if wrong or not name[0].isalnum():
        culprit = (
            "a blank in it"
            if wrong[:1] == [" "]
            else f"{wrong[0]!r} in it"
            if wrong
            else f"{name[0]!r} at its beginning"
        )
        raise UsageError(
            f"the name {name!r} of {what} has {culprit}",
            hint='Use letters, digits, ".", "_" and "-", beginning with a letter or digit.',
            code="spec.name",
        )
    return name


def checked_choice(value: object, choices: tuple[str, ...], what: str) -> str:
    """*value* if it is one of *choices*."""
    if value not in choices:
        raise UsageError(f"{what}={value!r} is not known", hint=f"Say one of {', '.join(choices)}.", code="spec.choice")
    return str(value)


def optional_seconds(value: object) -> float | None:
    """None stays None (no limit); anything else is a duration."""
    return None if value is None else seconds(value)
