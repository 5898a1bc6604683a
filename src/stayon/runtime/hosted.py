"""A host with what hangs on it: live configuration, requests and reports, and what to do at a hang or a fault.

``app`` puts one on this computer, ``stayon.testing`` one on a computer that is not there.
"""

from __future__ import annotations

from stayon import exits
from stayon.core import states
from stayon.core.events import UNHEARD, Event, Report
from stayon.core.levels import CRITICAL
from stayon.core.pulse import Pulse, pulse
from stayon.errors import HangError
from stayon.runtime import figures, view
from stayon.runtime.effective import effective_spec
from stayon.runtime.host import Occurrence
from stayon.runtime.reloading import Reloader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from stayon.core.events import Request
    from stayon.core.spec import ServiceSpec
    from stayon.runtime.config.host_settings import HostSettings
    from stayon.runtime.config.reload import Result
    from stayon.runtime.config.store import Store
    from stayon.runtime.control_visit import Reply
    from stayon.runtime.host import Host
    from stayon.runtime.loop import Timer
    from stayon.runtime.watchdog import Beat

# After these, the wall clock may be another.
CLOCK_EVENTS = ("time", "power")


class Hosted:
    """Connects *host* with its starter and its configuration. For the loop's thread.

    *declared* is the spec as the program says it; *apply_logs* makes the log what settings say. ``on_change()`` is
    called when there is something new to show.
    """

    def __init__(
        self, host: Host, declared: ServiceSpec, store: Store, apply_logs: Callable[[HostSettings], object]
    ) -> None:
        self.host, self._declared, self._apply_logs = host, declared, apply_logs
        self._starter = host.equipment.machine.starter
        # The pending state that is being pulsed, since when, and the timer of the next report that nothing else brings.
        self._pulsed, self._pulsed_since = "", 0.0
        self._next_report: Timer | None = None
        self.reloader = Reloader(host, store, host.equipment.machine.directory_watch())
        self.reloader.on_applied = self._apply_settings
        self.reloader.on_begin = self.tell_starter
        self.reloader.on_result = self._reloaded
        self.on_change: Callable[[], object] = lambda: None
        host.on_change = self._changed
        host.on_reload = self.reloader.ask
        host.on_running = self.reloader.release
        host.on_stopping = self.reloader.close
        host.on_hang = self._hung
        host.on_first_failure = self.report
        host.jobs.on_ended = lambda: self.on_change()  # noqa: PLW0108  # whatever it will be by then
        self._answers: dict[str, Callable[[Request], object]] = {
            "dump": self._dump,
            "suspend": self._suspend,
            states.RELOAD: self._reload,
            states.STOP: self._stop,
            states.FORCE: self._force,
        }
        figures.register(host)

    def start(self) -> None:
        """Begin the service's life; the loop does the rest."""
        reason = self.host.equipment.start_reason
        if reason:
            self.host.log.info("the service manager has started it", event_id=35, reason=reason)
        self.host.handle(Occurrence(states.START))

    def listen(self, fd: int) -> None:
        """Hear the starter, whose descriptor is *fd* (-1: it has none)."""
        if fd >= 0:
            self.host.loop.watch(fd, self._asked)

    def answer(self, verb: str, args: dict[str, Any], reply: Reply) -> None:
        """Do what a visitor of the control socket asks for."""
        from stayon.runtime.verbs import Verbs

        Verbs(self.host, self.reloader.ask).answer(verb, args, reply)

    def report(self, error: BaseException, origin: str) -> None:
        """Report a failure with all that helps to understand it."""
        from stayon.runtime.report import report_first_failure

        report_first_failure(self.host, error, origin)

    def tell_starter(self) -> None:
        """Tell whoever started us how it is; and as long as something is pending, or if it wants signs of life, that
        we are still there.

        The loop's own timer does that, so that a host which hangs falls silent.
        """
        host = self.host
        ended = host.state == states.STOPPED
        beat = self._pulse()
        self._tell_again(beat.next, ended=ended)
        self._starter.report(
            Report(
                host.state,
                host.status_text,
                checkpoint=beat.checkpoint,
                wait_hint_s=beat.wait_hint_s,
                exit_code=host.outcome.exit_code if ended else exits.DONE,
                why=host.outcome.why if ended else "",
                reloading=self.reloader.is_under_way,
                error_number=host.outcome.error_number if ended else 0,
            )
        )

    def _tell_again(self, pulse_at: float | None, *, ended: bool) -> None:
        """Set the timer of the next report: for the next pulse, or for what the starter wants as a sign of life."""
        if self._next_report is not None:
            self._next_report.cancel()
        loop, beat_s = self.host.loop, self._starter.beat_s
        times = [] if pulse_at is None else [pulse_at]
        if beat_s and not ended:
            times.append(loop.clock.monotonic() + beat_s)
        self._next_report = loop.call_at(min(times), self.tell_starter) if times else None

    def _pulse(self) -> Pulse:
        state = self.host.state
        if state not in states.PENDING:
            self._pulsed = ""
            return Pulse(0, 0.0, None)
        now = self.host.loop.clock.monotonic()
        if state != self._pulsed:
            self._pulsed, self._pulsed_since = state, now
        return pulse(self._pulsed_since, now, self.host.limit_s(state))

    def fault(self, error: BaseException) -> None:
        """A callback on the loop raised: our mistake. It ends the service, seen, and at once if it is stopping
        anyway.
        """
        self.host.log.failure("the host failed", error, level=CRITICAL)
        if self.host.stopping:
            self.host.abort(error, "the host")
        else:
            self.host.fail(error, "the host")

    def _changed(self, _host: Host) -> None:
        self.tell_starter()
        self.on_change()

    def _apply_settings(self) -> None:
        settings = self.host.config.loaded.host
        self._apply_logs(settings)
        self.host.adopt(effective_spec(self._declared, settings))

    def _asked(self, _events: int) -> None:
        for one in self._starter.requests():
            if isinstance(one, Event):
                self._happened(one)
            else:
                self._answers.get(one.event, self.host.request)(one)
        # A starter that has told its manager what was asked for hears what came of it, even if that is nothing.
        self.tell_starter()

    def _reloaded(self, _result: Result) -> None:
        self.tell_starter()
        self.on_change()

    def _happened(self, event: Event) -> None:
        if event.kind == UNHEARD:
            self.host.log.warning("whoever started it does not take what it is told", event_id=36, error=event.detail)
            return
        if event.kind in CLOCK_EVENTS:
            self.host.jobs.look_again()
        self.host.tell(event)

    def _dump(self, _request: Request) -> None:
        self.host.log.notice("dump", event_id=16, **view.dump(self.host))

    def _suspend(self, request: Request) -> None:
        self.host.log.notice("suspended", event_id=20, source=request.source)
        self.host.watchdog.suspended(self.host.equipment.machine.suspend)
        self.host.log.notice("continued", event_id=20)
        self.host.jobs.look_again()
        self.host.tell(Event("continued", request.source))

    def _reload(self, request: Request) -> None:
        # SIGHUP is also how logrotate says that it has moved the file.
        self.host.equipment.logs.reopen()
        self.host.request(request)

    def _stop(self, request: Request) -> None:
        # A manager asks once; who sits at a terminal may press Ctrl-C again.
        forcible = "" if self._starter.is_manager else "; once more forces it"
        self.host.log.notice(f"stopping{forcible}", event_id=18, source=request.source)
        self.host.request(request)

    def _force(self, request: Request) -> None:
        self.host.log.warning("forced to stop: not waiting any longer", event_id=17, source=request.source)
        self.host.request(request)

    def _hung(self, beat: Beat) -> None:
        """Nothing can be asked of who hangs: everything that helps is written, and the process ends at once."""
        error = HangError(
            f"{beat.name} gave no heartbeat for {beat.timeout_s:g} s",
            hint="Its stack is in the log; call ctx.heartbeat() more often, or raise hang_timeout",
            code="hang",
        )
        self.host.log.critical(str(error), event_id=19, **view.dump(self.host))
        self.host.abort(error, beat.name)
