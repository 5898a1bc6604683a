"""One endpoint being watched: what is thought of it, what people were told, and what it shows in log and metrics."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import NamedTuple

from stayon.services.monitor import alert_rule
from stayon.services.monitor.alert_rule import Told
from stayon.services.monitor.delivery import Alert
from stayon.services.monitor.history import Entry
from stayon.services.monitor.states import TURNS, UNKNOWN, UP, Health, observe, remembered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stayon import Context
    from stayon.services.monitor.alert_rule import Word
    from stayon.services.monitor.delivery import Delivery
    from stayon.services.monitor.figures import Figures
    from stayon.services.monitor.history import History, Remembered
    from stayon.services.monitor.net import Net
    from stayon.services.monitor.probes import Finding, Probe
    from stayon.services.monitor.settings import Endpoint


class Surroundings(NamedTuple):
    """What all watches share: the way to the endpoints, and where results go."""

    net: Net
    figures: Figures
    history: History
    delivery: Delivery


class Watch:
    """One endpoint, as it is configured now. ``check`` is called by one thread at a time; the rest from any."""

    def __init__(self, name: str, endpoint: Endpoint, probe: Probe) -> None:
        self.name, self.endpoint = name, endpoint
        self.health = Health()
        self._probe = probe
        self._told = Told()
        self._on_the_way: Word | None = None
        self._is_over = False
        self._lock = threading.Lock()

    @property
    def state(self) -> str:
        """What is thought of the endpoint."""
        return self.health.state

    def recall(self, found: Remembered) -> None:
        """Go on from how it stood when the monitor was last running, if it is still the same address."""
        if found.url == self.endpoint.url:
            self.health = remembered(found.state, found.since)
            self._told = alert_rule.shifted(found.told, _monotonic_ahead_s())

    def succeed(self, before: Watch, figures: Figures) -> None:
        """Take the place of *before*: the configuration has changed. Another address begins anew."""
        with before._lock:
            before._is_over = True
            if before.endpoint.url == self.endpoint.url:
                self.health, self._told = before.health, before._told
            else:
                figures.forget(self.name)

    def end(self, figures: Figures) -> None:
        """It is watched no more: a check under way will not count."""
        with self._lock:
            self._is_over = True
            figures.forget(self.name)

    def check(self, ctx: Context, around: Surroundings) -> bool:
        """Check it once; gives whether its state has changed. Raises ``net.StoppedError`` when the monitor stops."""
        finding = self._probe(around.net)
        with self._lock:
            if self._is_over or ctx.stopping:  # a connection that we have cut ourselves says nothing about the endpoint
                return False
            before, at = self.health, time.time()
            self.health = observe(before, finding.state, self.endpoint.hysteresis, at)
            # Before anybody is told: who reads that it is down finds it so in the metrics.
            around.figures.show(self.name, finding, self.state)
            self._log(ctx, finding, before)
            if self.state != before.state:
                self._told = alert_rule.changed(self._told)
            self._alert_if_due(ctx, finding, around)
            told = alert_rule.shifted(self._told, -_monotonic_ahead_s())
            url, since = self.endpoint.url, self.health.since
            around.history.put(Entry(self.name, url, at, finding, self.state, since, told))
            return self.state != before.state

    def _log(self, ctx: Context, finding: Finding, before: Health) -> None:
        fields: dict[str, Any] = {
            "endpoint": self.name,
            "state": self.state,
            "latency_ms": round(finding.latency_s * 1000, 1),
        }
        if finding.status:
            fields["status"] = finding.status
        if finding.why:
            fields["why"] = finding.why
        ctx.log.info(f"checked: {finding.state}", result=finding.state, **fields)
        if self.state != before.state:
            level, word = TURNS[before.state, self.state]
            if before.state != UNKNOWN:
                fields["after_s"] = round(self.health.since - before.since, 3)
            getattr(ctx.log, level)(f"{self.name} {word}", before=before.state, **fields)

    def _alert_if_due(self, ctx: Context, finding: Finding, around: Surroundings) -> None:
        """Decide anew after each check, unless an alert is on its way: one that did not arrive is due again."""
        alerts = around.delivery.alerts
        if not alerts or self._on_the_way is not None:
            return
        word = alert_rule.due(self._told, self.state, time.monotonic(), alerts.at_most_every.total_seconds())
        if word is None:
            return

        def on_end(arrived: bool) -> None:
            around.figures.alerts.inc(result="sent" if arrived else "failed")
            with self._lock:
                self._on_the_way = None
                if arrived:
                    self._told = alert_rule.arrived(self._told, word)

        self._on_the_way = word
        around.delivery.put(Alert(self._content(ctx, finding, word), on_end))

    def _content(self, ctx: Context, finding: Finding, word: Word) -> dict[str, object]:
        """What an alert says. Its shape is an interface: the alert commands and webhooks of users read it."""
        text = f"{self.name} {TURNS[self._told.state, word.state].word}"
        return {
            "text": f"{text}: {finding.why}" if finding.why and word.state != UP else text,
            "service": ctx.name,
            "instance": ctx.instance,
            "endpoint": self.name,
            "url": self.endpoint.url,
            "state": word.state,
            "before": self._told.state,
            "since": datetime.fromtimestamp(self.health.since, UTC).isoformat(timespec="milliseconds"),
            "why": finding.why,
            "latency_ms": round(finding.latency_s * 1000, 1),
            "suppressed": word.suppressed,
        }


def _monotonic_ahead_s() -> float:
    """By how much the monotonic clock is ahead of the wall clock."""
    return time.monotonic() - time.time()
