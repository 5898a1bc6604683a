"""The three kinds of metric, and the series of each: one for every set of label values."""

from __future__ import annotations

from _thread import RLock

from stayon.errors import UsageError
from stayon.runtime.exposition import histogram_lines, labels_text, number_text
from stayon.runtime.metric_names import COUNTER, GAUGE, HISTOGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from stayon.runtime.exposition import Line


class CounterSeries:
    """One count."""

    __slots__ = ("_lock", "value")

    def __init__(self) -> None:
        # Reentrant: a finalizer that counts may run in the middle of another count, on the same thread.
        self._lock = RLock()
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        """Add *amount*, which must not be negative."""
        if not amount >= 0:
            raise UsageError("a counter only grows", why=f"it was given {amount}", code="metrics.amount")
        with self._lock:
            self.value += amount


class GaugeSeries:
    """One figure."""

    __slots__ = ("_lock", "value")

    def __init__(self) -> None:
        self._lock = RLock()
        self.value = 0.0

    def set(self, value: float) -> None:
        """Make it *value*."""
        self.value = value + 0.0

    def inc(self, amount: float = 1.0) -> None:
        """Add *amount*."""
        with self._lock:
            self.value += amount

    def dec(self, amount: float = 1.0) -> None:
        """Take *amount* away."""
        with self._lock:
            self.value -= amount


class HistogramSeries:
    """One distribution."""

    __slots__ = ("_bounds", "_counts", "_lock", "_total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._lock = RLock()
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Count *value* into its bucket: the first whose bound is not below it."""
        index = 0
        for bound in self._bounds:
            if value <= bound:
                break
            index += 1
        with self._lock:
            self._total += value
            self._counts[index] += 1

    def read(self) -> tuple[list[int], float]:
        """How many observations each bucket has, the infinite one last, and their sum: both of one moment."""
        with self._lock:
            return list(self._counts), self._total


class Metric:
    """A named metric with its series. Without labels it has one, and may be updated directly.

    With labels: ``metric.inc(job="x")`` looks the series up, ``metric.labels(job="x")`` gives it for keeping, which is
    faster. Every label must be given; values are taken as text. May be used by any thread.
    """

    kind = ""

    def __init__(self, name: str, help_text: str, label_names: tuple[str, ...], limit: int) -> None:
        self.name, self.help_text, self.label_names = name, help_text, label_names
        self.dropped = 0
        self._limit = limit
        self._lock = RLock()
        self._series: dict[tuple[str, ...], tuple[str, Any]] = {}
        self._overflow: Any = None
        self._only = None if label_names else self._add(())

    def description(self) -> str:
        """The kind and the labels, in words."""
        return f"{self.kind} by {', '.join(self.label_names)}" if self.label_names else f"{self.kind} without labels"

    def remove(self, **values: object) -> None:
        """Forget the series with these label values: what it measured is gone. An unknown one is ignored."""
        with self._lock:
            self._series.pop(tuple([str(values.get(name)) for name in self.label_names]), None)

    def lines(self) -> Iterator[Line]:
        """What is shown of it."""
        for labels, series in list(self._series.values()):
            yield from self._lines_of(labels, series)

    def _lines_of(self, labels: str, series: Any) -> Iterator[Line]:
        yield "", labels, series.value

    def _make(self) -> Any:
        raise NotImplementedError

    def _at(self, values: dict[str, object]) -> Any:
        """The series with these label values; beyond the limit one that is counted as dropped and never shown."""
        if self._only is not None and not values:
            return self._only
        try:
            key = tuple([str(values[name]) for name in self.label_names])
        except KeyError:
            key = ()
        if len(key) != len(values) or len(key) != len(self.label_names):
            raise UsageError(
                f"its labels are ({', '.join(self.label_names)}), not ({', '.join(values)})",
                where=self.name,
                code="metrics.labels",
            )
        found = self._series.get(key)
        return found[1] if found is not None else self._add(key)

    def _add(self, key: tuple[str, ...]) -> Any:
        with self._lock:
            if key not in self._series:
                if len(self._series) >= self._limit:
                    self.dropped += 1
                    self._overflow = self._overflow or self._make()
                    return self._overflow
                self._series[key] = (labels_text(self.label_names, key), self._make())
            return self._series[key][1]


class Counter(Metric):
    """A number that only grows."""

    kind = COUNTER

    def labels(self, **values: object) -> CounterSeries:
        """The series with these label values, for keeping. Beyond the limit: one that is never shown."""
        series: CounterSeries = self._at(values)
        return series

    def inc(self, amount: float = 1.0, **labels: object) -> None:
        """Add *amount*, which must not be negative."""
        self._at(labels).inc(amount)

    def _make(self) -> CounterSeries:
        return CounterSeries()


class Gauge(Metric):
    """A number that goes up and down."""

    kind = GAUGE

    def labels(self, **values: object) -> GaugeSeries:
        """The series with these label values, for keeping. Beyond the limit: one that is never shown."""
        series: GaugeSeries = self._at(values)
        return series

    def set(self, value: float, **labels: object) -> None:
        """Make it *value*."""
        self._at(labels).set(value)

    def inc(self, amount: float = 1.0, **labels: object) -> None:
        """Add *amount*."""
        self._at(labels).inc(amount)

    def dec(self, amount: float = 1.0, **labels: object) -> None:
        """Take *amount* away."""
        self._at(labels).dec(amount)

    def _make(self) -> GaugeSeries:
        return GaugeSeries()


class Histogram(Metric):
    """How observations are spread over buckets."""

    kind = HISTOGRAM

    def labels(self, **values: object) -> HistogramSeries:
        """The series with these label values, for keeping. Beyond the limit: one that is never shown."""
        series: HistogramSeries = self._at(values)
        return series

    def __init__(
        self, name: str, help_text: str, label_names: tuple[str, ...], limit: int, bounds: tuple[float, ...]
    ) -> None:
        self.bounds = bounds
        self._bound_texts = (*(number_text(bound) for bound in bounds), "+Inf")
        super().__init__(name, help_text, label_names, limit)

    def description(self) -> str:
        return f"{super().description()} with buckets {', '.join(self._bound_texts)}"

    def observe(self, value: float, **labels: object) -> None:
        """Count *value* into its bucket."""
        self._at(labels).observe(value)

    def _lines_of(self, labels: str, series: HistogramSeries) -> Iterator[Line]:
        counts, total = series.read()
        yield from histogram_lines(labels, self._bound_texts, counts, total)

    def _make(self) -> HistogramSeries:
        return HistogramSeries(self.bounds)
