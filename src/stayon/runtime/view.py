"""How the service looks from outside: the status page, the probes' answers, a dump. Only reads."""

from __future__ import annotations

from stayon.core import states
from stayon.core.levels import name_of
from stayon.runtime.figures import is_ready, overall
from stayon.runtime.logs.stamps import text_of as stamp
from stayon.runtime.status import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stayon.runtime.host import Host
    from stayon.runtime.jobs import Job
    from stayon.runtime.logs.pipeline import Override
    from stayon.runtime.probes import Answer, Answers

BEAT_S = 10.0


def status(host: Host, *, process: str, pid: int, probes: str) -> Status:
    """Everything the status page says, now."""
    ended = host.state == states.STOPPED and (host.was_started or host.outcome.error is not None)
    return Status(
        service=host.spec.name,
        instance=host.instance,
        pid=pid,
        process=process,
        state=host.state,
        since=stamp(host.since),
        started_at=stamp(host.started),
        beat_s=host.loop.clock.monotonic(),
        beat_every_s=BEAT_S,
        status=host.status_text,
        ready=is_ready(host),
        health=overall(host),
        exit_code=host.outcome.exit_code if ended else None,
        why=host.outcome.why if ended else "",
        generation=host.config.generation,
        restarts=host.equipment.restarts,
        probes=probes,
        logs=host.places.logs,
        log_level=_log_level(host),
        jobs=tuple(job_fields(job) for job in host.jobs),
    )


def level_text(override: Override | None) -> str:
    """How long another level than the configured one holds; nothing if there is none."""
    if override is None:
        return ""
    return stamp(override.until) if override.until else "reset"


def _log_level(host: Host) -> str:
    logs = host.equipment.logs
    return f"{name_of(logs.level)} until {level_text(logs.override)}" if logs.override is not None else ""


def job_fields(job: Job) -> dict[str, Any]:
    """One job, for people and scripts."""
    fields: dict[str, Any] = {"job": job.spec.name, "running": len(job.runs)}
    fields.update({result: count for result, count in job.counts.items() if count})
    if job.last_success:
        fields["last_success"] = stamp(job.last_success)
    if job.last_error:
        fields["last_error"] = job.last_error
    if job.degraded:
        fields["degraded"] = True
    return fields


def answers(host: Host) -> Answers:
    """What the probes say. That they say anything is the liveness: the host's loop came round."""
    from stayon.runtime.probes import Answer, Answers

    return Answers(
        live=lambda: Answer(200, "alive", {"state": host.state}),
        ready=lambda: _answer(host, well=is_ready(host)),
        started=lambda: _answer(host, well=host.was_ready),
        metrics=host.metrics.scrape,
    )


def _answer(host: Host, *, well: bool) -> Answer:
    from stayon.runtime.probes import Answer

    details = {
        "state": host.state,
        "health": overall(host),
        "checks": {name: verdict.as_dict() for name, verdict in host.checks.verdicts.items()},
        "degraded_jobs": host.jobs.degraded,
    }
    return Answer(200 if well else 503, f"{host.state} {overall(host)}", details)


def dump(host: Host) -> dict[str, Any]:
    """Everything one wants to see of a service that behaves oddly: what is under way, all stacks."""
    from stayon.runtime.stacks import all_stacks

    now = host.loop.clock.monotonic()
    calls = (*host.workers.under_way, *host.calls.under_way)
    return {
        "state": host.state,
        "under_way": [{"name": call.name, "for_s": round(now - call.started, 3)} for call in calls],
        "jobs": [job_fields(job) for job in host.jobs],
        "stacks": all_stacks(host.equipment.async_room.loop),
    }
