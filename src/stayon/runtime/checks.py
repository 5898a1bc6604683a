"""Health checks: asked in the background, judged with hysteresis, answered from memory."""

from __future__ import annotations

from stayon.core.health import Verdict, observe
from stayon.runtime.outcome import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from stayon.core.spec import CheckSpec
    from stayon.runtime.calls import Call, Calls
    from stayon.runtime.context import Context
    from stayon.runtime.loop import Loop, Timer


class Checks:
    """Runs each check at its pace, one run at a time; ``on_change(name, verdict)`` when a verdict turns. Loop's
    thread only.
    """

    def __init__(self, loop: Loop, calls: Calls, context: Callable[[str], Context]) -> None:
        self._loop, self._calls, self._context = loop, calls, context
        self._timers: dict[str, Timer] = {}
        self._checks: dict[str, tuple[CheckSpec, Callable[..., Any]]] = {}
        self._late: set[Call] = set()
        self.verdicts: dict[str, Verdict] = {}
        self.on_change: Callable[[str, Verdict], object] = lambda _name, _verdict: None

    def start(self, checks: Iterable[tuple[CheckSpec, Callable[..., Any]]]) -> None:
        """Ask every check now, and then at its pace."""
        for spec, function in checks:
            self._checks[spec.name] = (spec, function)
            self.verdicts[spec.name] = Verdict()
            self._ask(spec.name)

    def stop(self) -> None:
        """Ask no more; runs under way end by themselves."""
        for timer in self._timers.values():
            timer.cancel()
        self._checks.clear()

    def _ask(self, name: str) -> None:
        spec, function = self._checks[name]
        call = self._calls.start(f"check {name}", function, self._context(name), on_end=self._ended)
        self._calls.limit(call, spec.timeout_s, self._timed_out)

    def _timed_out(self, call: Call) -> None:
        """The verdict falls now; the check is asked again when the late run has ended."""
        name = call.name.removeprefix("check ")
        if name in self._checks:
            self._late.add(call)
            self._observe(name, well=False, why=f"no answer within {self._checks[name][0].timeout_s:g} s")

    def _ended(self, call: Call) -> None:
        name = call.name.removeprefix("check ")
        if name not in self._checks:
            return
        spec, _function = self._checks[name]
        if call in self._late:
            self._late.discard(call)
        else:
            well = call.error is None and call.result is not False
            why = "" if well else text_of(call.error) if call.error else "it returned False"
            self._observe(name, well=well, why=why)
        due = max(call.started + spec.every_s, self._loop.clock.monotonic())
        self._timers[name] = self._loop.call_at(due, self._ask, name)

    def _observe(self, name: str, *, well: bool, why: str) -> None:
        spec, _function = self._checks[name]
        before = self.verdicts[name]
        after = self.verdicts[name] = observe(before, spec.rule, well, self._loop.clock.time(), why)
        if after.status != before.status:
            self.on_change(name, after)
