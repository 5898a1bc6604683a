"""Live configuration: hears of changes, waits until they are over, has the transaction run, tells everyone how it
went.
"""

from __future__ import annotations

from stayon.runtime.config.pending import Pending
from stayon.runtime.config.watch import Watched, watched
from stayon.runtime.outcome import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from stayon.ports import DirectoryWatch
    from stayon.runtime.calls import Call
    from stayon.runtime.config.reload import Result
    from stayon.runtime.config.store import Store
    from stayon.runtime.host import Host
    from stayon.runtime.loop import Timer

# Overlays and network file systems send no events, and a watch can be lost: look at the files themselves now and then.
SLOW_POLL_S = 30.0
# Without any events the look is the only way to learn of a change.
POLL_S = 2.0


class Reloader:
    """For the loop's thread. ``on_begin()`` is called when a reload begins, which is then ``is_under_way``;
    ``on_applied()`` follows one that changed something, ``on_result(result)`` every one.
    """

    def __init__(self, host: Host, store: Store, watch: DirectoryWatch) -> None:
        self._host, self._store, self._watch = host, store, watch
        self._loop = host.loop
        self._pending = Pending()
        # A hook may need what the start makes: what is asked for before RUNNING waits until then.
        self._is_held = True
        self._watched = Watched((), frozenset(), ())
        self._timer: Timer | None = None
        self._poll: Timer | None = None
        self._asked: list[Callable[[Result], object]] = []
        self._answering: list[Callable[[Result], object]] = []
        self.on_applied: Callable[[], object] = lambda: None
        self.on_result: Callable[[Result], object] = lambda _result: None
        self.on_begin: Callable[[], object] = lambda: None
        self.is_under_way = False

    def open(self) -> None:
        """Begin to hear of changes to the files."""
        fd = self._watch.fileno()
        if fd >= 0:
            self._loop.watch(fd, self._changed)
        self._look_again()
        self._poll_later()

    def release(self) -> None:
        """The service is RUNNING: reload what was asked for meanwhile, and from now on at once."""
        if self._is_held:
            self._is_held = False
            self._arm()

    def close(self) -> None:
        """The service is stopping: what waits is refused, and so is what will be asked."""
        self._pending.close()
        for timer in (self._timer, self._poll):
            if timer is not None:
                timer.cancel()
        fd = self._watch.fileno()
        if fd >= 0:
            self._loop.forget(fd)
        self._watch.close()
        asked, self._asked, self._answering = [*self._asked, *self._answering], [], []
        for answer in asked:
            answer(self._refused("cannot reload", "it is stopping"))

    def ask(self, source: str, answer: Callable[[Result], object] | None = None) -> None:
        """Somebody wants a reload. *answer* is called with its result."""
        if answer is not None:
            self._asked.append(answer)
        if not self._pending.ask(self._loop.clock.monotonic(), source):
            self._arm()
        elif answer is not None:
            self._asked.remove(answer)
            answer(self._refused("cannot reload", "it is stopping"))

    def _changed(self, _events: int) -> None:
        if self._watched.concerned(self._watch.drain()):
            self._file_changed()

    def _file_changed(self) -> None:
        self._look_again()
        if self._host.config.loaded.host["reload"] == "auto":
            self.ask("file")

    def _look_again(self) -> None:
        """What a path leads to may have changed with the file: watch what it leads to now."""
        self._watched = watched(self._host.config.loaded.files())
        self._watch.watch(self._watched.directories)

    def _slow_poll(self) -> None:
        before = self._watched.signature
        if before != watched(self._host.config.loaded.files()).signature:
            self._file_changed()
        self._poll_later()

    def _poll_later(self) -> None:
        interval_s = SLOW_POLL_S if self._watch.fileno() >= 0 else POLL_S
        self._poll = self._loop.call_later(interval_s, self._slow_poll)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self._pending.due()
        if due is not None and not self._is_held:
            self._timer = self._loop.call_at(due, self._begin)

    def _begin(self) -> None:
        sources = self._pending.begin()
        self._answering, self._asked = self._asked, []
        self._host.log.debug("reading the configuration", sources=sources)
        self.is_under_way = True
        self.on_begin()
        # Quiet by now: the signature belongs to what is about to be read, so a later change will be seen.
        self._look_again()
        # The transaction's room is entered by those who reload, and costs the others nothing.
        from stayon.runtime.config.hook_thread import HookThread
        from stayon.runtime.config.reload import Inputs, Subscriber, Transaction

        host, hook_thread = self._host, HookThread(self._loop.clock, self._host.equipment.start_thread)
        subscribers = [Subscriber(getattr(hook, "__name__", "on_reload"), hook) for hook in host.hooks("on_reload")]
        inputs = Inputs(
            live=host.config,
            store=self._store,
            subscribers=subscribers,
            context=host.context(),
            call=hook_thread.call,
            hook_timeout_s=host.spec.hook_timeout_s,
            run_coroutine=host.equipment.async_room.run,
        )

        def run() -> Result:
            try:
                return Transaction(inputs).run()
            finally:
                hook_thread.close()

        host.calls.start("reload", run, on_end=self._ended)

    def _ended(self, call: Call) -> None:
        if call.error is not None:
            self._host.log.failure("the reload failed", call.error)
            result = self._refused("the reload failed", text_of(call.error))
        else:
            result = call.result
        self.is_under_way = False
        self._pending.finish(self._loop.clock.monotonic())
        self._arm()
        self._tell(result)
        answering, self._answering = self._answering, []
        for answer in answering:
            answer(result)
        self._host.check_all_ended()

    def _tell(self, result: Result) -> None:
        log = self._host.log
        if result.outcome == "applied":
            self._host.reloaded_at = self._loop.clock.time()
            self.on_applied()
            log.notice("configuration applied", event_id=30, generation=result.generation, changed=result.changed)
        elif result.error is not None:
            self._host.reload_failures += 1
            log.error(
                "configuration not applied, the old one holds",
                event_id=31,
                outcome=result.outcome,
                why=str(result.error),
            )
        for warning in result.warnings:
            log.warning(warning, event_id=32)
        self.on_result(result)

    def _refused(self, what: str, why: str) -> Result:
        from stayon.errors import TemporaryError
        from stayon.runtime.config.reload import REFUSED, Result

        error = TemporaryError(what, why=why, hint="Look into its log, or start it again.", code="reload.refused")
        return Result(REFUSED, self._host.config.generation, error=error)
