"""Metrics: what they count, what they refuse, and that Prometheus's own tools understand what they say."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from stayon.core.states import STATES
from stayon.errors import UsageError
from stayon.runtime import metric_names as names
from stayon.runtime.exposition import family_text, labels_text, number_text
from stayon.runtime.metrics import SECONDS, Metrics


@pytest.fixture
def errors() -> list[BaseException]:
    return []


@pytest.fixture
def metrics(errors: list[BaseException]) -> Metrics:
    return Metrics(errors.append)


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every line of *text* as Prometheus's own Python parser reads it."""
    families = text_string_to_metric_families(text)
    return {(line.name, tuple(sorted(line.labels.items()))): line.value for one in families for line in one.samples}


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return parsed(metrics.text())[name, tuple(sorted(labels.items()))]


def test_a_counter_counts_what_it_is_given(metrics: Metrics) -> None:
    """Increments add up, one by default; the series of other labels stay as they are."""
    runs = metrics.counter("runs_total", "Runs.", ["job"])
    runs.inc(job="a")
    runs.inc(2.5, job="a")
    runs.labels(job="b").inc()

    assert value(metrics, "runs_total", job="a") == 3.5
    assert value(metrics, "runs_total", job="b") == 1


def test_a_counter_is_given_the_ending_total(metrics: Metrics) -> None:
    """Prometheus wants counters to end in _total: a name without it and one with it are the same metric."""
    assert metrics.counter("prices", "Prices.") is metrics.counter("prices_total", "Prices.")
    assert value(metrics, "prices_total") == 0


@pytest.mark.parametrize("amount", [-1, -0.001, math.nan])
def test_a_counter_never_shrinks(metrics: Metrics, amount: float) -> None:
    """A negative amount, or one that is no amount, is refused and changes nothing."""
    prices = metrics.counter("prices", "Prices.")
    with pytest.raises(UsageError) as caught:
        prices.inc(amount)

    assert caught.value.code == "metrics.amount"
    assert value(metrics, "prices_total") == 0


def test_a_gauge_goes_up_and_down(metrics: Metrics) -> None:
    """set, inc and dec act on the one figure, with labels and without."""
    depth = metrics.gauge("depth", "Depth.")
    depth.set(10)
    depth.inc(2)
    depth.dec()
    by_queue = metrics.gauge("queue_depth", "Depth.", ["queue"])
    by_queue.set(7, queue="mail")
    by_queue.dec(8, queue="mail")

    assert value(metrics, "depth") == 11
    assert value(metrics, "queue_depth", queue="mail") == -1


def test_a_histogram_counts_up_to_and_including_each_bound(metrics: Metrics) -> None:
    """An observation on a bound belongs below it; buckets are cumulative, and the last holds everything."""
    waits = metrics.histogram("wait_seconds", "Waits.", buckets=(0.1, 1, math.inf))
    for seconds in (0.05, 0.1, 0.5, 1, 3):
        waits.observe(seconds)

    assert {bound: value(metrics, "wait_seconds_bucket", le=bound) for bound in ("0.1", "1", "+Inf")} == {
        "0.1": 2,
        "1": 4,
        "+Inf": 5,
    }
    assert value(metrics, "wait_seconds_count") == 5
    assert value(metrics, "wait_seconds_sum") == pytest.approx(4.65)


def test_asking_again_gives_the_same_object(metrics: Metrics) -> None:
    """A module may ask for its metric wherever it needs it."""
    assert metrics.gauge("depth", "Depth.", ["q"]) is metrics.gauge("depth", "Other words.", ("q",))
    assert metrics.histogram("h", "H.") is metrics.histogram("h", "H.")
    assert metrics.standard(names.JOB_RUNS) is metrics.standard(names.JOB_RUNS)


@pytest.mark.parametrize(
    "ask",
    [
        lambda metrics: metrics.counter("depth_total", "A gauge is that already."),
        lambda metrics: metrics.gauge("depth_total", "Depth.", ["other"]),
        lambda metrics: metrics.histogram("wait", "Waits.", buckets=(1, 2)),
        lambda metrics: metrics.gauge("wait_count", "A line of the histogram has that name."),
        lambda metrics: metrics.histogram("early", "Its count is a gauge already."),
    ],
)
def test_one_name_is_one_thing(metrics: Metrics, ask: Any) -> None:
    """A name that is another kind, has other labels or buckets, or is a line of another metric is refused."""
    metrics.gauge("depth_total", "Depth.")
    metrics.histogram("wait", "Waits.")
    metrics.gauge("early_count", "Early.")
    before = metrics.text()
    with pytest.raises(UsageError) as caught:
        ask(metrics)

    assert caught.value.code == "metrics.clash"
    assert metrics.text() == before


@pytest.mark.parametrize("name", ["", "9lives", "a-b", "a b", "größe", "a\n", "a{b}"])
def test_a_name_must_be_one_to_prometheus(metrics: Metrics, name: str) -> None:
    """What is no name by Prometheus's data model is refused where it is asked for, not at the scrape."""
    for ask in (metrics.gauge, metrics.histogram):
        with pytest.raises(UsageError) as caught:
            ask(name, "Help.")
        assert caught.value.code == "metrics.name"


@pytest.mark.parametrize("labels", [["__name"], ["a:b"], ["1"], [""], ["le"], ["a", "a"]])
def test_a_label_must_be_one_to_prometheus(metrics: Metrics, labels: list[str]) -> None:
    """Reserved, doubled and impossible names of labels are refused."""
    with pytest.raises(UsageError) as caught:
        metrics.histogram("wait_seconds", "Waits.", labels)

    assert caught.value.code == "metrics.name"


def test_labels_as_one_text_are_an_error_with_the_cure(metrics: Metrics) -> None:
    """labels="job" would be three labels of a letter each: the mistake is named."""
    with pytest.raises(UsageError, match=r"labels=\('job',\)"):
        metrics.gauge("depth", "Depth.", "job")


@pytest.mark.parametrize("buckets", [(), (math.inf,), (1, 1), (2, 1), (math.nan,), (-math.inf, 1)])
def test_buckets_must_rise(metrics: Metrics, buckets: tuple[float, ...]) -> None:
    """Buckets that are none, equal, falling or no numbers are refused."""
    with pytest.raises(UsageError) as caught:
        metrics.histogram("wait_seconds", "Waits.", buckets=buckets)

    assert caught.value.code == "metrics.buckets"


@pytest.mark.parametrize("labels", [{}, {"job": "a", "more": "b"}, {"other": "a"}])
def test_every_label_must_be_given_and_no_other(metrics: Metrics, labels: dict[str, Any]) -> None:
    """A wrong set of labels is an error that names the right one."""
    runs = metrics.counter("runs", "Runs.", ["job"])
    with pytest.raises(UsageError, match=r"runs_total: its labels are \(job\)"):
        runs.inc(**labels)


def test_a_metric_without_labels_takes_none(metrics: Metrics) -> None:
    """A label for a metric that has none is an error."""
    with pytest.raises(UsageError, match="its labels are"):
        metrics.gauge("depth", "Depth.").set(1, queue="a")


@pytest.mark.parametrize("name", ["stayon_state", "stayon_mine", "process_mine"])
def test_the_hosts_names_are_reserved(metrics: Metrics, name: str) -> None:
    """A user's metric can't pass for one of the host's."""
    with pytest.raises(UsageError) as caught:
        metrics.gauge(name, "Mine.")

    assert caught.value.code == "metrics.reserved"


def test_label_sets_are_limited_and_what_is_dropped_is_counted(errors: list[BaseException]) -> None:
    """A label with a value for every visitor fills the limit and no more; known series go on."""
    metrics = Metrics(errors.append, series_limit=10)
    visits = metrics.counter("visits", "Visits.", ["visitor"])
    for number in range(25):
        visits.inc(visitor=number)
    visits.inc(visitor=3)

    lines = [name for name, _ in parsed(metrics.text()) if name == "visits_total"]
    assert len(lines) == 10
    assert value(metrics, "visits_total", visitor="3") == 2
    assert value(metrics, "stayon_metrics_dropped_total", metric="visits_total") == 15


def test_a_removed_series_is_gone_and_makes_room(errors: list[BaseException]) -> None:
    """What an endpoint measured can be forgotten with it."""
    metrics = Metrics(errors.append, series_limit=1)
    up = metrics.gauge("endpoint_up", "Up.", ["endpoint"])
    up.set(1, endpoint="a")
    up.remove(endpoint="a")
    up.remove(endpoint="never there")
    up.set(1, endpoint="b")

    assert 'endpoint="a"' not in metrics.text()
    assert value(metrics, "endpoint_up", endpoint="b") == 1


def test_nothing_is_lost_between_threads(metrics: Metrics) -> None:
    """Eight threads that count together count everything."""
    counter, waits = metrics.counter("n", "N."), metrics.histogram("wait_seconds", "Waits.")

    def work() -> None:
        for _ in range(5000):
            counter.inc()
            waits.observe(0.2)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)

    assert value(metrics, "n_total") == 40_000
    assert value(metrics, "wait_seconds_count") == 40_000
    assert value(metrics, "wait_seconds_sum") == pytest.approx(8000)


def test_collectors_are_asked_at_each_scrape(metrics: Metrics) -> None:
    """What a collector says is current, and joins what was counted under the same name."""
    state = ["START_PENDING"]
    metrics.add_collector(lambda: names.state_samples(state[0]))
    assert value(metrics, "stayon_state", state="START_PENDING") == 1
    state[0] = "RUNNING"

    assert {name: value(metrics, "stayon_state", state=name) for name in STATES} == {
        name: float(name == "RUNNING") for name in STATES
    }


def test_a_collector_that_raises_costs_only_its_own_metrics(metrics: Metrics, errors: list[BaseException]) -> None:
    """The scrape goes on, the failure is counted and handed over; wrong label values count as one."""
    mistake = RuntimeError("no")

    def raising() -> Iterator[names.Sample]:
        raise mistake
        yield names.READY, (), 1

    metrics.add_collector(raising)
    metrics.add_collector(lambda: [(names.STATE, ("RUNNING", "too many"), 1.0)])
    metrics.add_collector(lambda: [(names.READY, (), 1.0)])
    lines = parsed(metrics.text())

    assert lines["stayon_ready", ()] == 1
    assert lines["stayon_collector_failures_total", ()] == 2
    assert errors[0] is mistake


def test_process_figures_have_prometheus_own_names(metrics: Metrics) -> None:
    """Known figures are shown under the names that dashboards expect; unknown ones are passed over."""
    metrics.add_collector(lambda: names.process_samples({"resident_bytes": 4096.0, "phase_of_the_moon": 1.0}))

    assert value(metrics, "process_resident_memory_bytes") == 4096
    assert "moon" not in metrics.text()


def test_every_standard_metric_is_named_once() -> None:
    """The table holds each metric of the module, and no name twice."""
    constants = [one for one in vars(names).values() if isinstance(one, names.Standard)] + [*names.PROCESS.values()]

    assert sorted(one.name for one in names.STANDARD) == sorted(one.name for one in constants)
    assert len({one.name for one in names.STANDARD}) == len(names.STANDARD)


def full(metrics: Metrics) -> str:
    """The text of a service that has everything: each standard metric, and a user's own."""
    collected = [one for one in names.STANDARD if one.kind != names.HISTOGRAM]
    metrics.add_collector(lambda: [(one, one.labels, 1.5) for one in collected])
    for seconds in SECONDS:
        metrics.standard(names.JOB_DURATION).observe(seconds, job="x")
    odd = 'quote " backslash \\ line\nfeed \\n ü \u2028 {}=,'
    metrics.gauge("odd", odd, ["text"]).set(-math.inf, text=odd)
    metrics.counter("huge", "Huge.").inc(1e300)
    metrics.gauge("nothing", "No number.").set(math.nan)
    metrics.histogram("size_bytes", "Sizes.", ["text"], (1e-9, 1e6, 1e17)).observe(math.inf, text=odd)
    return metrics.text()


@pytest.mark.needs_promtool
def test_promtool_has_nothing_to_say(metrics: Metrics) -> None:
    """Prometheus's own linter finds no mistake in form or name, for every metric there is."""
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=full(metrics).encode(), capture_output=True, check=False, timeout=30
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_odd_text_comes_back_as_it_was(metrics: Metrics) -> None:
    """Quotes, backslashes, line feeds and separators survive, and can't forge a line."""
    odd = 'quote " backslash \\ line\nfeed \\n ü {}=,'
    metrics.gauge("odd", odd, ["text"]).set(1, text=odd)
    metrics.gauge("surrogate", "Half of a pair.", ["text"]).set(1, text="\udc80")

    assert value(metrics, "odd", text=odd) == 1
    assert metrics.text().count("\n# TYPE odd") == 1
    assert metrics.text().encode("utf-8", "replace")


LABEL_NAMES = st.lists(st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,8}", fullmatch=True), unique=True, max_size=3)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=20)


@given(data=st.data(), labels=LABEL_NAMES, number=st.floats() | st.integers(-(2**70), 2**70))
def test_what_is_said_is_what_is_read(data: st.DataObject, labels: list[str], number: float) -> None:
    """Any figure under any labels is read back by Prometheus's parser exactly as it was."""
    values = [data.draw(TEXTS) for _ in labels]
    text = family_text("name", "gauge", data.draw(TEXTS), [("", labels_text(labels, values), number)])
    ((key, read),) = parsed(text).items()

    assert key == ("name", tuple(sorted(zip(labels, values, strict=True))))
    assert read == float(number) or (math.isnan(read) and math.isnan(number))


@given(st.lists(st.floats(0, 1000), max_size=30))
def test_a_histogram_never_falls(observed: list[float]) -> None:
    """Whatever is observed, the buckets rise to the count, and the sum is that of the observations."""
    metrics = Metrics(lambda _error: None)
    waits = metrics.histogram("wait_seconds", "Waits.")
    for seconds in observed:
        waits.observe(seconds)
    lines = parsed(metrics.text())
    counts = [lines["wait_seconds_bucket", (("le", number_text(bound)),)] for bound in (*SECONDS, math.inf)]

    assert counts == sorted(counts)
    assert counts[-1] == lines["wait_seconds_count", ()] == len(observed)
    assert counts[:-1] == [sum(seconds <= bound for seconds in observed) for bound in SECONDS]
    assert lines["wait_seconds_sum", ()] == pytest.approx(sum(observed))


FOREIGN = """
import sys
sys.modules.pop("prometheus_client", None)
from stayon.runtime.metrics import Metrics
errors = []
metrics = Metrics(errors.append)
metrics.counter("shared", "Ours.").inc(5)
text, append = metrics.scrape()
assert append is None and "prometheus_client" not in sys.modules
import prometheus_client
prometheus_client.Counter("theirs", "Theirs.", ["a"]).labels("x").inc(3)
prometheus_client.Counter("shared", "Theirs too.").inc(1)
text, append = metrics.scrape()
print(text + append())
class Broken:
    def describe(self): return []
    def collect(self): raise RuntimeError("broken")
prometheus_client.REGISTRY.register(Broken())
assert append() == ""
assert "stayon_collector_failures_total 1" in metrics.text() and len(errors) == 1
"""


@pytest.mark.needs_promtool
def test_prometheus_client_is_joined_once_the_user_has_loaded_it(python: str) -> None:
    """Its registry is appended, without the names that are taken, which are counted; we never load it ourselves."""
    command = [python, "-c", FOREIGN]
    done = subprocess.run(command, env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
    lines = parsed(done.stdout.decode())

    assert lines["theirs_total", (("a", "x"),)] == 3
    assert lines["shared_total", ()] == 5
    assert lines["stayon_metrics_clashing", ()] >= 1
    lint = subprocess.run(["promtool", "check", "metrics"], input=done.stdout, capture_output=True, check=False)
    assert b"error while linting" not in lint.stderr
