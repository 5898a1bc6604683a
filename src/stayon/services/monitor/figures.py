"""What the endpoints show in ``/metrics``."""

from __future__ import annotations

from stayon.services.monitor.states import DEGRADED, DOWN, FINDINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon import Context
    from stayon.services.monitor.probes import Finding

_BY_ENDPOINT = ("endpoint",)


class Figures:
    """The metrics of all endpoints. For any thread."""

    def __init__(self, ctx: Context) -> None:
        metrics = ctx.metrics
        self._up = metrics.gauge("monitor_up", "0 while the endpoint is down, else 1.", _BY_ENDPOINT)
        self._degraded = metrics.gauge("monitor_degraded", "1 while the endpoint is degraded.", _BY_ENDPOINT)
        self._latency = metrics.histogram("monitor_latency_seconds", "How long checks took.", _BY_ENDPOINT)
        self._expiry = metrics.gauge(
            "monitor_certificate_expiry_timestamp_seconds", "When the certificate expires.", _BY_ENDPOINT
        )
        self._checks = metrics.counter("monitor_checks_total", "Checks, by what they found.", (*_BY_ENDPOINT, "result"))
        self.alerts = metrics.counter("monitor_alerts_total", "Alerts, by whether they arrived.", ("result",))

    def show(self, endpoint: str, finding: Finding, state: str) -> None:
        """Count one check, after which *endpoint* is in *state*."""
        self._up.set(state != DOWN, endpoint=endpoint)
        self._degraded.set(state == DEGRADED, endpoint=endpoint)
        self._latency.observe(finding.latency_s, endpoint=endpoint)
        self._checks.inc(endpoint=endpoint, result=finding.state)
        if finding.expires_at is not None:
            self._expiry.set(finding.expires_at, endpoint=endpoint)

    def forget(self, endpoint: str) -> None:
        """*endpoint* is watched no more."""
        for metric in (self._up, self._degraded, self._latency, self._expiry):
            metric.remove(endpoint=endpoint)
        for result in FINDINGS:
            self._checks.remove(endpoint=endpoint, result=result)
