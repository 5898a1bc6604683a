"""What the program says and what the operator says in ``[stayon]``, joined: the spec that holds."""

from __future__ import annotations

from stayon.core import schedule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stayon.core.spec import JobSpec, ServiceSpec
    from stayon.runtime.config.host_settings import HostSettings


# What an operator says of a job besides when it is to run.
_NOT_WHEN = ("timeout", "hang_timeout")


def host_defaults(spec: ServiceSpec) -> dict[str, Any]:
    """The program's own words, as defaults for the table ``[stayon]``."""
    return {
        "start_timeout": spec.start_timeout_s,
        "stop_timeout": spec.stop_timeout_s,
        "hook_timeout": spec.hook_timeout_s,
        "hang_timeout": spec.hang_timeout_s,
        "probes.listen": spec.probes,
    }


def effective_spec(spec: ServiceSpec, settings: HostSettings) -> ServiceSpec:
    """*spec* with what *settings* say in its place. Pure; the settings have been checked when they were read."""
    return spec.replace(
        start_timeout_s=settings["start_timeout"],
        stop_timeout_s=settings["stop_timeout"],
        hook_timeout_s=settings["hook_timeout"],
        hang_timeout_s=settings["hang_timeout"],
        probes=settings["probes.listen"],
        jobs=tuple(_job(job, settings.job(job.name)) for job in spec.jobs),
    )


def _job(job: JobSpec, said: dict[str, Any]) -> JobSpec:
    if job.is_fixed:
        said = {key: value for key, value in said.items() if key in _NOT_WHEN}
    rule = job.rule
    options = {"jitter": said.get("jitter", rule.jitter_s), "delay": rule.delay_s, "missed": rule.missed}
    if "cron" in said:
        rule = schedule.cron(said["cron"], getattr(rule, "zone", "UTC"), **options)
    elif "every" in said:
        rule = schedule.every(said["every"], **options)
    elif "jitter" in said:
        rule = rule.replace(jitter_s=said["jitter"])
    return job.replace(
        rule=rule,
        enabled=said.get("enabled", job.enabled),
        timeout_s=said.get("timeout", job.timeout_s),
        hang_timeout_s=said.get("hang_timeout", job.hang_timeout_s),
    )
