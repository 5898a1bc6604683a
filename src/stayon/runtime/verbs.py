"""What the verbs do inside a running service: the other end of the control socket."""

from __future__ import annotations

from stayon import errors
from stayon.core import levels, states
from stayon.core.duration import seconds
from stayon.core.entry import Entry
from stayon.core.events import Request
from stayon.errors import UsageError
from stayon.runtime import view
from stayon.runtime.host import RESTART
from stayon.runtime.outcome import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from stayon.runtime.config.reload import Result
    from stayon.runtime.control_visit import Reply
    from stayon.runtime.host import Host
    from stayon.runtime.logs.pipeline import Override

# Where each verb means to arrive.
_WANTED = {states.PAUSE: states.PAUSED, states.RESUME: states.RUNNING, states.STOP: states.STOPPED}


class Verbs:
    """Answers verbs for *host*. For the loop's thread only."""

    def __init__(self, host: Host, reload: Callable[[str, Callable[[Result], object]], object]) -> None:
        self._host, self._reload = host, reload

    def answer(self, verb: str, args: Mapping[str, Any], reply: Reply) -> None:
        """Do *verb*; *reply* is given its answer now or when it is done."""
        source = str(args.get("source", "the control socket"))
        if verb in _WANTED:
            self._change(verb, source, reply)
        elif verb == "restart":
            self._change(states.STOP, source, reply, RESTART)
        elif verb == "reload":
            self._reload_verb(source, reply)
        elif verb == "status":
            reply.done(state=self._host.state, jobs=[view.job_fields(job) for job in self._host.jobs])
        elif verb == "dump":
            reply.done(**view.dump(self._host))
        elif verb == "level":
            self._level(str(args.get("level", "")), args.get("for"), source)
            logs = self._host.equipment.logs
            reply.done(level=levels.name_of(logs.level), until=view.level_text(logs.override))
        else:
            reply.fail(UsageError(f"a running service knows no verb {verb!r}", code="control.verb"))

    def _change(self, verb: str, source: str, reply: Reply, detail: str = "") -> None:
        host = self._host
        host.last_error = None
        cell = host.request(Request(verb, source, detail))
        if cell.action == states.REFUSE:
            reply.fail(refusal(verb, host.state, cell.why))
            return
        if verb == states.STOP:
            # It answers now: when it is stopped, nobody is there to answer. Whoever asked watches the lock.
            reply.done(state=host.state)
            return
        host.when_settled(lambda: self._settled(verb, reply))

    def _level(self, wanted: str, length: object, source: str) -> None:
        """Have another level for *length*, None: until it is reset, by "-" or by a configuration that is applied."""
        host, logs = self._host, self._host.equipment.logs
        if wanted in ("", "-"):
            if wanted and logs.end_override():
                self._tell_level(f"asked by {source}")
            return
        length_s = None if length is None else seconds(length, where="for")
        until = 0.0 if length_s is None else host.loop.clock.time() + length_s
        override = logs.override_level(levels.parse(wanted), until)
        if length_s is not None:
            host.loop.call_later(length_s, self._end_level, override)
        self._tell_level(f"asked by {source}")

    def _end_level(self, override: Override) -> None:
        if self._host.equipment.logs.end_override(override):
            self._tell_level("its time is over")

    def _tell_level(self, why: str) -> None:
        host, logs = self._host, self._host.equipment.logs
        fields = {"level": levels.name_of(logs.level), "until": view.level_text(logs.override), "why": why}
        # Whatever the level is now: who reads the log has to know why lines appear, or are missing.
        logs.emit(
            Entry(logs.now(), levels.NOTICE, logs.service, "", "log level", event_id=33, fields=fields, exception=None)
        )
        host.on_change(host)

    def _settled(self, verb: str, reply: Reply) -> None:
        host = self._host
        if host.state == _WANTED[verb]:
            reply.done(state=host.state)
            return
        error = host.last_error
        why = text_of(error) if error is not None else "something else was asked for meanwhile"
        what = f"it could not {verb} and is {host.state}"
        reply.fail(errors.FailedError(what, why=why, hint="The log has the stack.", code="control.not-done"))

    def _reload_verb(self, source: str, reply: Reply) -> None:
        cell = states.decide(self._host.state, states.RELOAD)
        if cell.action == states.REFUSE:
            reply.fail(refusal("reload", self._host.state, cell.why))
            return
        self._reload(source, lambda result: _tell(result, reply))


def refusal(verb: str, state: str, why: str) -> errors.TemporaryError:
    """The answer to a verb that makes no sense in *state*."""
    return errors.TemporaryError(
        f"cannot {verb}", why=why or f"it is {state}", hint="Ask for its status.", code="control.refused"
    )


def _tell(result: Result, reply: Reply) -> None:
    """The result of a reload, as an answer."""
    if result.error is not None:
        reply.fail(result.error)
    else:
        reply.done(outcome=result.outcome, generation=result.generation, changed=list(result.changed))
