"""From declarations to a checked spec: the one place where what the user said is turned into what the host runs."""

from __future__ import annotations

from stayon.core import health, schedule
from stayon.core.duration import seconds
from stayon.core.overlap import overlap_of
from stayon.core.spec import (
    ON_FAILURE,
    CheckSpec,
    JobSpec,
    ServiceSpec,
    WorkerSpec,
    checked_choice,
    checked_name,
    optional_seconds,
)
from stayon.errors import UsageError
from stayon.runtime.service import CHECK_DEFAULTS, JOB_DEFAULTS, SERVICE_DEFAULTS, WORKER_DEFAULTS, complete

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from stayon.core.schedule import Cron, Every
    from stayon.runtime.service import Declaration, Service

    T = TypeVar("T")


def service_spec(service: Service) -> ServiceSpec:
    """The checked spec of *service*. Raises ``UsageError`` with the file and line of the first mistake."""
    spec = _at(service.where, lambda: _service(service))
    if service.installed_as:
        _at(service.installed_where, lambda: _check_installation(service.installed_as))
    names: dict[str, str] = {}
    parts: dict[str, list[Any]] = {"job": [], "check": [], "worker": []}
    for declaration in service.declarations:
        kind = _KINDS.get(declaration.kind)
        if kind is None:
            continue
        _note_name(names, kind, declaration)
        parts[kind].append(_at(declaration.where, lambda: _MAKERS[kind](declaration)))  # noqa: B023  # called at once
    if not service.declarations:
        raise UsageError(
            f"the service {service.name!r} does nothing",
            where=service.where,
            hint='Give it a function: @service.every("5s") or @service.run.',
            code="spec.empty",
        )
    return spec.replace(jobs=tuple(parts["job"]), checks=tuple(parts["check"]), workers=tuple(parts["worker"]))


def job_spec(declaration: Declaration) -> JobSpec:
    """The checked spec of one job, whether it was declared or added while running."""
    said = dict(declaration.said)
    timing: dict[str, Any] = {key: said.pop(key) for key in ("interval", "expression", "tz") if key in said}
    options = complete(said, JOB_DEFAULTS, f"the job {declaration.name!r}")
    return JobSpec(
        name=checked_name(declaration.name, "a job"),
        rule=_rule(timing, options),
        timeout_s=optional_seconds(options["timeout"]),
        overlap=overlap_of(options["overlap"]),
        retry=options["retry"],
        on_failure=checked_choice(options["on_failure"], ON_FAILURE, "on_failure"),
        hang_timeout_s=optional_seconds(options["hang_timeout"]),
    )


def _rule(said: dict[str, Any], options: dict[str, Any]) -> Every | Cron:
    shared = {name: options[name] for name in ("jitter", "delay", "missed")}
    if "expression" in said:
        return schedule.cron(said["expression"], said["tz"], **shared)
    return schedule.every(said["interval"], **shared)


def _check_installation(said: dict[str, Any]) -> None:
    from stayon.core.installation import DEFAULTS, checked_options

    complete(said, DEFAULTS, "an installation")
    checked_options(said)


def _service(service: Service) -> ServiceSpec:
    options = complete(service.options, SERVICE_DEFAULTS, "a service")
    return ServiceSpec(
        name=checked_name(service.name, "a service"),
        description=str(options["description"]),
        version=str(options["version"]),
        restart=options["restart"],
        start_timeout_s=seconds(options["start_timeout"]),
        stop_timeout_s=seconds(options["stop_timeout"]),
        hook_timeout_s=seconds(options["hook_timeout"]),
        hang_timeout_s=optional_seconds(options["hang_timeout"]),
        probes="" if options["probes"] is None else _address(options["probes"]),
        jobs=(),
        checks=(),
        workers=(),
    )


def _address(listen: str | int) -> str:
    # With it come sockets, which a service without probes does not pay for.
    from stayon.runtime.probe_address import parse_address

    return str(parse_address(listen))


def _check(declaration: Declaration) -> CheckSpec:
    options = complete(declaration.said, CHECK_DEFAULTS, f"the check {declaration.name!r}")
    return CheckSpec(
        name=checked_name(declaration.name, "a check"),
        every_s=seconds(options["every"]),
        timeout_s=seconds(options["timeout"]),
        rule=health.rule(options["rise"], options["fall"]),
    )


def _worker(declaration: Declaration) -> WorkerSpec:
    options = complete(declaration.said, WORKER_DEFAULTS, f"the {declaration.kind} {declaration.name!r}")
    name = "run" if declaration.kind == "run" else checked_name(declaration.name, "a task")
    return WorkerSpec(name, optional_seconds(options["hang_timeout"]))


_KINDS = {"every": "job", "cron": "job", "check": "check", "run": "worker", "task": "worker"}
_MAKERS: dict[str, Callable[[Declaration], Any]] = {"job": job_spec, "check": _check, "worker": _worker}


def _note_name(names: dict[str, str], kind: str, declaration: Declaration) -> None:
    """Names are keys in logs and metrics, so each may stand once among its kind; ``run`` may be there once."""
    key = "run" if declaration.kind == "run" else f"{kind} {declaration.name}"
    if key in names:
        raise UsageError(
            f"there is a second {key!r}" if key != "run" else "there is a second @service.run",
            where=declaration.where,
            why=f"the first is at {names[key]}",
            hint="Give it another name with name=." if key != "run" else "Make the other one a @service.task.",
            code="spec.duplicate",
        )
    names[key] = declaration.where


def _at(where: str, make: Callable[[], T]) -> T:
    try:
        return make()
    except UsageError as error:
        error.where = f"{where}: {error.where}" if error.where else where
        raise
