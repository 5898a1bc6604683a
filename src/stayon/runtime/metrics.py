"""Counters, gauges and histograms, kept cheaply by any thread and put into Prometheus's text when somebody asks."""

from __future__ import annotations

import sys
from _thread import RLock
from itertools import pairwise

from stayon.errors import UsageError
from stayon.runtime import metric_names as names
from stayon.runtime.exposition import family_text, labels_text
from stayon.runtime.series import Counter, Gauge, Histogram

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any, TypeVar

    from stayon.runtime.exposition import Line
    from stayon.runtime.metric_names import Sample, Standard
    from stayon.runtime.series import Metric

    M = TypeVar("M", bound=Metric)

# From a cached look-up to a slow job: what Prometheus's clients have, and a minute and five beyond it.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
SERIES_LIMIT = 1000

_KINDS: dict[str, Callable[..., Metric]] = {
    names.COUNTER: Counter,
    names.GAUGE: Gauge,
    names.HISTOGRAM: Histogram,
}
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_DIGITS = frozenset("0123456789")
_SUFFIXES = ("_bucket", "_sum", "_count")


def _is_name(text: str, extra: str = "") -> bool:
    """Whether *text* is a name by https://prometheus.io/docs/concepts/data_model/, where *extra* counts as a letter."""
    return bool(text) and text[0] not in _DIGITS and (_LETTERS | _DIGITS).issuperset(text.replace(extra, ""))


def _check_names(name: str, labels: Sequence[str], kind: str) -> None:
    if not _is_name(name, ":"):
        raise UsageError(
            f"{name!r} is no name for a metric",
            hint="It takes letters, digits, underscores and colons, and begins with no digit.",
            code="metrics.name",
        )
    for label in labels:
        if not _is_name(label) or label.startswith("__") or (kind == names.HISTOGRAM and label == "le"):
            raise UsageError(
                f"{label!r} is no name for a label",
                where=name,
                hint="It takes letters, digits and underscores, and begins with no digit and not with two underscores; "
                "a histogram has 'le' already.",
                code="metrics.name",
            )
    if len(set(labels)) != len(labels):
        raise UsageError("a label is named twice", where=name, why=", ".join(labels), code="metrics.name")


def _label_names(metric: str, labels: Sequence[str]) -> tuple[str, ...]:
    if isinstance(labels, str):
        raise UsageError(
            "labels are a sequence of names, not text",
            where=metric,
            hint=f"Write labels=({labels!r},).",
            code="metrics.labels",
        )
    return tuple(labels)


def _check_buckets(name: str, buckets: Sequence[float]) -> tuple[float, ...]:
    bounds = tuple(float(bound) for bound in buckets)
    if bounds and bounds[-1] == float("inf"):
        bounds = bounds[:-1]
    rising = all(low < high for low, high in pairwise(bounds))
    if not bounds or not rising or not all(abs(bound) < float("inf") for bound in bounds):
        raise UsageError(
            "buckets must be finite numbers, each greater than the one before",
            where=name,
            why=", ".join(str(bound) for bound in buckets) or "there is none",
            code="metrics.buckets",
        )
    return bounds


class Metrics:
    """All metrics of a service: those the user asked for, and those the host collects when it is scraped.

    Asking again for a name gives the same object; asking for it as something else raises. A metric keeps at most
    *series_limit* sets of label values; updates of further ones are dropped and counted in
    ``stayon_metrics_dropped_total``. What a collector raises goes to *on_error*, on the thread of the scrape, and is
    counted; the rest is given all the same.
    """

    def __init__(self, on_error: Callable[[BaseException], None], series_limit: int = SERIES_LIMIT) -> None:
        self._on_error = on_error
        self._series_limit = series_limit
        self._lock = RLock()
        self._metrics: dict[str, Metric] = {}
        self._owners: dict[str, str] = {}
        self._collectors: list[Callable[[], Iterable[Sample]]] = []
        self._collector_failures = 0

    def counter(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Counter:
        """A number that only grows. A *name* without the ending ``_total`` is given it, as Prometheus wants."""
        name = name if name.endswith("_total") else f"{name}_total"
        return self._ask(Counter, name, help_text, labels)

    def gauge(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Gauge:
        """A number that goes up and down."""
        return self._ask(Gauge, name, help_text, labels)

    def histogram(
        self, name: str, help_text: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS
    ) -> Histogram:
        """How observations are spread over *buckets*, their upper bounds, rising; the last, infinite one is implied."""
        return self._ask(Histogram, name, help_text, labels, _check_buckets(name, buckets))

    def standard(self, standard: Standard) -> Any:
        """The metric of the host's table itself, to be updated; its type is that of ``standard.kind``."""
        extra = (SECONDS,) if standard.kind == names.HISTOGRAM else ()
        return self._register(_KINDS[standard.kind], standard.name, standard.help_text, standard.labels, *extra)

    def add_collector(self, collector: Callable[[], Iterable[Sample]]) -> None:
        """Have *collector* called at each scrape, on its thread; it gives ``(standard, label values, figure)``."""
        self._collectors.append(collector)

    def text(self) -> str:
        """All metrics in text format 0.0.4. Takes about a microsecond a line; runs the collectors."""
        families = self._collected()
        with self._lock:
            metrics = list(self._metrics.values())
        for metric in metrics:
            _, lines = families.setdefault(metric.name, (metric, []))
            lines.extend(metric.lines())
        return "".join(
            family_text(family.name, family.kind, family.help_text, lines)
            for _, (family, lines) in sorted(families.items())
            if lines
        )

    def scrape(self) -> tuple[str, Callable[[], str] | None]:
        """``text()``, and a call that gives what is to be appended, or None. That call may block: give it a thread.

        There is something to append once the user's program has imported ``prometheus_client``: what it registered.
        """
        if "prometheus_client" not in sys.modules:
            return self.text(), None
        return self.text(), self._foreign_text

    def _foreign_text(self) -> str:
        from stayon.runtime.foreign_metrics import foreign_text

        taken = {standard.name for standard in names.STANDARD} | set(self._owners)
        try:
            return foreign_text(taken)
        except Exception as error:  # noqa: BLE001  # the user's collectors run in there; ours must be given all the same
            self._failed(error)
            return ""

    def _ask(self, make: Callable[..., M], name: str, help_text: str, labels: Sequence[str], *extra: Any) -> M:
        if name.startswith(names.RESERVED_PREFIXES):
            raise UsageError(
                "this name is reserved for the host",
                where=name,
                hint=f"Begin it with something else than {' or '.join(names.RESERVED_PREFIXES)}.",
                code="metrics.reserved",
            )
        return self._register(make, name, help_text, _label_names(name, labels), *extra)

    def _register(self, make: Callable[..., M], name: str, help_text: str, labels: tuple[str, ...], *extra: Any) -> M:
        with self._lock:
            there: Any = self._metrics.get(name)
            wanted = make(name, help_text, labels, self._series_limit, *extra)
            if there is None:
                _check_names(name, labels, wanted.kind)
                self._own(name, wanted.kind)
                self._metrics[name] = wanted
                return wanted
        if there.description() != wanted.description():
            raise UsageError(
                f"it is a {there.description()} already, and cannot be a {wanted.description()} too",
                where=name,
                code="metrics.clash",
            )
        return there  # type: ignore[no-any-return]  # the same description means the same class

    def _own(self, name: str, kind: str) -> None:
        """Take *name* and the names of its lines, none of which another metric may have."""
        lines = [name] + ([name + suffix for suffix in _SUFFIXES] if kind == names.HISTOGRAM else [])
        for line in lines:
            if line in self._owners:
                raise UsageError(
                    f"its line {line} belongs to {self._owners[line]} already",
                    where=name,
                    hint="Choose another name.",
                    code="metrics.clash",
                )
        self._owners.update(dict.fromkeys(lines, name))

    def _collected(self) -> dict[str, tuple[Any, list[Line]]]:
        """What the collectors give, by name, in the order given."""
        families: dict[str, tuple[Any, list[Line]]] = {}
        for collector in [*self._collectors, self._own_samples]:
            try:
                for standard, values, figure in collector():
                    _, lines = families.setdefault(standard.name, (standard, []))
                    lines.append(("", labels_text(standard.labels, values), figure))
            except Exception as error:  # noqa: BLE001  # one bad collector must not hide the others; it is reported
                self._failed(error)
        return families

    def _own_samples(self) -> Iterator[Sample]:
        yield names.COLLECTOR_FAILURES, (), self._collector_failures
        for metric in list(self._metrics.values()):
            if metric.dropped:
                yield names.METRICS_DROPPED, (metric.name,), metric.dropped

    def _failed(self, error: BaseException) -> None:
        self._collector_failures += 1
        self._on_error(error)
