"""The metrics every service has: the one table of their names, from which the host asks and the reference is made."""

from __future__ import annotations

from stayon.core.record import Record
from stayon.core.states import STATES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    # What a collector yields: the metric, a value for each of its labels, and the figure.
    Sample = tuple["Standard", tuple[str, ...], float]

COUNTER = "counter"
GAUGE = "gauge"
HISTOGRAM = "histogram"

# The host's own names begin so; a user's metric may not.
RESERVED_PREFIXES = ("stayon_", "process_")


class Standard(Record):
    """A metric of the host: its exposed name, its kind, what it says, and the names of its labels."""

    name: str
    kind: str
    help_text: str
    labels: tuple[str, ...] = ()


SERVICE_INFO = Standard(
    "stayon_service_info", GAUGE, "Always 1; the labels say which service this is.", ("service", "instance", "version")
)
STATE = Standard("stayon_state", GAUGE, "1 for the state the service is in, 0 for the others.", ("state",))
READY = Standard("stayon_ready", GAUGE, "1 while the service is ready for work.")
RESTARTS = Standard("stayon_restarts_total", COUNTER, "Restarts since the manager last started it by hand.")
CHECK_UP = Standard("stayon_check_up", GAUGE, "1 while the health check says up.", ("check",))

JOB_RUNS = Standard("stayon_job_runs_total", COUNTER, "Ended runs by result.", ("job", "result"))
JOB_DURATION = Standard("stayon_job_duration_seconds", HISTOGRAM, "How long runs took.", ("job",))
JOB_LATENESS = Standard("stayon_job_lateness_seconds", GAUGE, "How late the last run began.", ("job",))
JOB_LAST_SUCCESS = Standard(
    "stayon_job_last_success_timestamp_seconds", GAUGE, "When a run last succeeded, in Unix time.", ("job",)
)
JOB_IN_PROGRESS = Standard("stayon_job_in_progress", GAUGE, "Runs under way.", ("job",))

RELOAD_GENERATION = Standard("stayon_reload_generation", GAUGE, "How often the configuration has been replaced.")
RELOAD_FAILURES = Standard("stayon_reload_failures_total", COUNTER, "Reloads that were refused or failed.")
RELOAD_SUCCESS = Standard(
    "stayon_reload_last_success_timestamp_seconds", GAUGE, "When the configuration was last applied, in Unix time."
)

LOG_LINES = Standard("stayon_log_lines_total", COUNTER, "Log records written, by level.", ("level",))
LOG_LOST = Standard("stayon_log_lines_lost_total", COUNTER, "Log records that could not be written.")
LOG_DIVERTED = Standard(
    "stayon_log_lines_diverted_total",
    COUNTER,
    "Log records that the journal did not take, and the log file has instead.",
)
STATUS_FAILURES = Standard("stayon_status_write_failures_total", COUNTER, "Status pages that could not be written.")
PROBES_REFUSED = Standard(
    "stayon_probe_connections_refused_total", COUNTER, "Connections to the probes turned away because of the limit."
)

METRICS_DROPPED = Standard(
    "stayon_metrics_dropped_total", COUNTER, "Updates dropped because a metric had too many label sets.", ("metric",)
)
COLLECTOR_FAILURES = Standard("stayon_collector_failures_total", COUNTER, "Collectors that raised at a scrape.")
METRICS_CLASHING = Standard(
    "stayon_metrics_clashing", GAUGE, "Metrics of prometheus_client left out because the host has that name."
)

# By the key of ``Machine.process_figures()``. The names are those all Prometheus clients agree on
# (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics).
PROCESS = {
    "cpu_s": Standard("process_cpu_seconds_total", COUNTER, "Processor time used, user and system, in seconds."),
    "resident_bytes": Standard("process_resident_memory_bytes", GAUGE, "Resident memory in bytes."),
    "virtual_bytes": Standard("process_virtual_memory_bytes", GAUGE, "Virtual memory in bytes."),
    "open_files": Standard("process_open_fds", GAUGE, "Open file descriptors."),
    "max_files": Standard("process_max_fds", GAUGE, "The limit of open file descriptors."),
    "threads": Standard("process_threads", GAUGE, "Threads of the process."),
    "voluntary_switches": Standard(
        "process_voluntary_context_switches_total", COUNTER, "How often it went to sleep, and so woke up."
    ),
    "involuntary_switches": Standard(
        "process_involuntary_context_switches_total", COUNTER, "How often it was put aside for another process."
    ),
    "start_time": Standard("process_start_time_seconds", GAUGE, "When the process started, in Unix time."),
}

STANDARD = (
    SERVICE_INFO,
    STATE,
    READY,
    RESTARTS,
    CHECK_UP,
    JOB_RUNS,
    JOB_DURATION,
    JOB_LATENESS,
    JOB_LAST_SUCCESS,
    JOB_IN_PROGRESS,
    RELOAD_GENERATION,
    RELOAD_FAILURES,
    RELOAD_SUCCESS,
    LOG_LINES,
    LOG_LOST,
    LOG_DIVERTED,
    STATUS_FAILURES,
    PROBES_REFUSED,
    METRICS_DROPPED,
    COLLECTOR_FAILURES,
    METRICS_CLASHING,
    *PROCESS.values(),
)


def state_samples(state: str) -> Iterator[Sample]:
    """One sample for each of the seven states: 1 for *state*, 0 for the rest."""
    for name in STATES:
        yield STATE, (name,), 1.0 if name == state else 0.0


def process_samples(figures: Mapping[str, float]) -> Iterator[Sample]:
    """The process's figures as samples; keys that ``PROCESS`` doesn't have are passed over."""
    for key, figure in figures.items():
        standard = PROCESS.get(key)
        if standard is not None:
            yield standard, (), figure
