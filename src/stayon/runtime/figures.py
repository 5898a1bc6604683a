"""The host's own metrics: read off the host when somebody scrapes, so that they cost nothing in between."""

from __future__ import annotations

from stayon.core import health, states
from stayon.runtime import metric_names as names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from stayon.runtime.host import Host
    from stayon.runtime.jobs import Job
    from stayon.runtime.metric_names import Sample
    from stayon.runtime.series import HistogramSeries


def register(host: Host) -> None:
    """Add the host's collectors to its registry, and have each run of a job observed."""
    host.metrics.add_collector(lambda: _service(host))
    host.metrics.add_collector(lambda: _jobs(host))
    host.metrics.add_collector(lambda: _configuration(host))
    host.metrics.add_collector(lambda: _logs(host))
    durations = host.metrics.standard(names.JOB_DURATION)

    series: dict[str, HistogramSeries] = {}

    def observe(job: Job, result: str, duration_s: float) -> None:
        if result == "skipped":
            return
        name = job.spec.name
        if name not in series:
            series[name] = durations.labels(job=name)
        series[name].observe(duration_s)

    host.jobs.on_run = observe


def _service(host: Host) -> Iterator[Sample]:
    yield names.SERVICE_INFO, (host.spec.name, host.instance, host.spec.version), 1.0
    yield from names.state_samples(host.state)
    yield names.READY, (), float(is_ready(host))
    yield names.RESTARTS, (), float(host.equipment.restarts)
    for name, verdict in host.checks.verdicts.items():
        yield names.CHECK_UP, (name,), float(verdict.status == health.OK)
    yield from names.process_samples(host.equipment.machine.process_figures())


def _jobs(host: Host) -> Iterator[Sample]:
    for job in host.jobs:
        name = job.spec.name
        for result, count in job.counts.items():
            yield names.JOB_RUNS, (name, result), float(count)
        yield names.JOB_LATENESS, (name,), job.lateness_s
        yield names.JOB_LAST_SUCCESS, (name,), job.last_success
        yield names.JOB_IN_PROGRESS, (name,), float(len(job.runs))


def _configuration(host: Host) -> Iterator[Sample]:
    yield names.RELOAD_GENERATION, (), float(host.config.generation)
    yield names.RELOAD_FAILURES, (), float(host.reload_failures)
    yield names.RELOAD_SUCCESS, (), host.reloaded_at


def _logs(host: Host) -> Iterator[Sample]:
    for level, count in host.equipment.logs.counts().items():
        yield names.LOG_LINES, (level,), float(count)
    yield names.LOG_LOST, (), float(host.equipment.logs.lost())
    yield names.LOG_DIVERTED, (), float(host.equipment.logs.diverted)


def overall(host: Host) -> str:
    """``ok``, ``degraded``, ``failing`` or ``unknown``: checks and jobs together."""
    return health.overall(host.checks.verdicts.values(), host.jobs.degraded)


def is_ready(host: Host) -> bool:
    """Whether work may be sent to it: RUNNING, and no check says no."""
    return host.state == states.RUNNING and overall(host) in (health.OK, health.DEGRADED)
