"""All endpoints together: begun, changed while running, and ended; each with a job of its own."""

from __future__ import annotations

from collections import Counter
from functools import partial

from stayon import FailedError, UsageError
from stayon.services.monitor.delivery import Delivery, check_alerts
from stayon.services.monitor.figures import Figures
from stayon.services.monitor.history import History
from stayon.services.monitor.net import Net, StoppedError
from stayon.services.monitor.probes import probe_of
from stayon.services.monitor.states import STATES
from stayon.services.monitor.watch import Surroundings, Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from stayon import Context
    from stayon.services.monitor.settings import Endpoint, Settings

# How often to ask whether the name of a job that was taken away is free again: the host says it only that way.
LOOK_S = 0.001


class Monitor:
    """What the service's hooks, jobs, tasks and checks are methods of. Making one starts nothing."""

    around: Surroundings

    def __init__(self) -> None:
        self.net = Net()
        self.history = History()
        self.delivery = Delivery(self.net)
        self._watches: dict[str, Watch] = {}

    def start(self, ctx: Context) -> None:
        """Begin to watch all endpoints, from how they stood last time. Raises ``ConfigError``."""
        settings: Settings = ctx.config
        self.around = Surroundings(self.net, Figures(ctx), self.history, self.delivery)
        watches = _prepared(settings, {})
        found = self.history.recall(settings.endpoints.keys(), ctx)
        for name, watch in watches.items():
            if name in found:
                watch.recall(found[name])
        self._commit(ctx, settings, watches)

    def reload(self, ctx: Context, new: Settings, _old: Settings) -> Iterator[None]:
        """Change over to *new*: first everything that can fail, then, behind the ``yield``, what can't."""
        watches = _prepared(new, self._watches)
        yield
        self._commit(ctx, new, watches)

    def stop(self, _ctx: Context) -> None:
        """Checks under way end without a result, results are written, alerts that wait are told by the next start."""
        self.net.close()
        self.delivery.close()
        self.history.close()

    def alerts_arrive(self, _ctx: Context) -> None:
        """The health check: raises while alerts don't arrive or the history isn't written."""
        if self.delivery.alerts and self.delivery.trouble:
            raise FailedError("alerts do not arrive", why=self.delivery.trouble, code="monitor.alerts")

    def history_is_written(self, _ctx: Context) -> None:
        """The health check: raises while results can't be written."""
        if self.history.trouble:
            raise FailedError("the history cannot be written", why=self.history.trouble, code="monitor.history")

    def _commit(self, ctx: Context, settings: Settings, watches: dict[str, Watch]) -> None:
        self.delivery.alerts, self.history.keeping = settings.alerts, settings.history
        before, self._watches = self._watches, watches
        for name in before.keys() - watches.keys():
            ctx.cancel(name)
            before[name].end(self.around.figures)
        for name, watch in watches.items():
            self._replace(ctx, before.get(name), watch)
        self._show(ctx)

    def _replace(self, ctx: Context, before: Watch | None, watch: Watch) -> None:
        """Let *watch* take the place of *before*. Only another interval makes a new job; the rest keep their rhythm."""
        if before is watch:
            return
        if before is not None:
            watch.succeed(before, self.around.figures)
            if before.endpoint.every == watch.endpoint.every:
                return
            ctx.cancel(watch.name)
        self._begin(ctx, watch.name, watch.endpoint)

    def _begin(self, ctx: Context, name: str, endpoint: Endpoint) -> None:
        while True:
            try:
                ctx.every(endpoint.every.total_seconds(), partial(self._check, name), name=name)
            except UsageError as error:
                if error.code != "spec.duplicate":
                    raise
                if ctx.stopping.wait(LOOK_S):  # the job of that name is still being taken away
                    return
            else:
                return

    def _check(self, name: str, ctx: Context) -> None:
        watch = self._watches.get(name)
        if watch is None:
            return
        try:
            changed = watch.check(ctx, self.around)
        except StoppedError:
            return
        if changed:
            self._show(ctx)

    def _show(self, ctx: Context) -> None:
        counts = Counter(watch.state for watch in self._watches.values())
        parts = [f"{counts[state]} {state}" for state in STATES if counts[state]]
        ctx.status(", ".join(parts) or "watching nothing: the configuration has no endpoints")


def _prepared(settings: Settings, current: dict[str, Watch]) -> dict[str, Watch]:
    """The watches that *settings* want; those of *current* that are the same stay. Raises ``ConfigError``."""
    check_alerts(settings.alerts)
    watches = {}
    for name, endpoint in settings.endpoints.items():
        watch = current.get(name)
        if watch is None or watch.endpoint != endpoint:
            watch = Watch(name, endpoint, probe_of(endpoint))
        watches[name] = watch
    return watches
