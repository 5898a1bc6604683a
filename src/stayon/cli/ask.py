"""The verbs that talk to a service which runs: over its control socket, and by its status page when it does not
answer.
"""

from __future__ import annotations

import os
import time

from stayon import app, exits
from stayon.cli import keepers
from stayon.cli.command import answer
from stayon.core import states
from stayon.core.duration import seconds
from stayon.core.record import Record
from stayon.errors import FailedError, NotPermittedError, StayonError, TemporaryError, UnavailableError
from stayon.runtime import status_reading as reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from stayon.cli.command import Call
    from stayon.core.installation import Managed
    from stayon.runtime.status_reading import Reading

SIGTERM = 15

# ``status``: as systemctl(1) and the LSB have it.
NOT_RUNNING = 3

ANSWER_S = 60.0
STOP_S = 90.0
# How often to look whether a process is gone: there is no portable way to be told of the end of another's child.
LOOK_S = 0.02

# Where a service listens: one that starts doesn't yet, and one that ends not any more.
_SERVING = (states.RUNNING, states.PAUSE_PENDING, states.PAUSED, states.CONTINUE_PENDING)

# What a running service answers to the verbs, as far as it is used here.
_ANSWERS: dict[str, dict[str, type]] = {
    "pause": {"state": str},
    "resume": {"state": str},
    "reload": {"outcome": str, "generation": int, "changed": list},
    "dump": {"state": str, "under_way": list, "stacks": str},
    "level": {"level": str, "until": str},
}


class Peer(Record):
    """The running service, from outside."""

    call: Call
    paths: app.Paths

    @property
    def name(self) -> str:
        """The service's name."""
        return self.call.name

    def read(self) -> Reading:
        """What is known of it now."""
        machine = self.call.here()

        def alive(pid: int, process: str) -> bool:
            return machine.process_identity(pid) == process != ""

        return reading.read_status(
            self.paths.status, machine.clock.monotonic(), alive, lock_held=app.is_locked(machine, self.paths)
        )

    def ask(self, verb: str, timeout_s: float, **args: Any) -> dict[str, Any]:
        """Its answer. Raises what it raised, or ``UnavailableError`` that says how it is instead."""
        from stayon.runtime.control_client import ControlClient

        client = ControlClient(self.call.here().control_door, self.paths.control)

        def once() -> dict[str, Any]:
            return client.ask(verb, {"source": f"stayon {verb}", **args}, timeout_s)

        try:
            said = once()
        except UnavailableError as error:
            found = self.read()
            if error.code != "control.nobody" or not _is_serving(found):
                raise self._unanswered(verb, error, found) from error
            try:
                said = once()  # it may have opened its door since
            except UnavailableError as second:
                raise self._unanswered(verb, second, self.read()) from second
        self._check(verb, said)
        return said

    def _unanswered(self, verb: str, error: UnavailableError, found: Reading) -> StayonError:
        """Why nobody has answered: *found* is how the service is."""
        if _is_serving(found):
            if error.code != "control.nobody" or found.status is None:
                return error
            return UnavailableError(
                f"cannot {verb} {self.name}: it is {found.status.state}, but does not listen at its control socket",
                where=self.paths.control,
                why="something has removed it, or has put something else there",
                hint=f"It makes it again within {found.status.beat_every_s:g} s. If not: "
                f"{self.call.command('restart')}; or, where nobody keeps it, end process {found.status.pid} and start "
                "it.",
                code="control.lost",
            )
        if found.verdict in (reading.STARTING, reading.RUNNING):
            return TemporaryError(
                f"cannot {verb} {self.name} just now",
                why="it is being started" if found.status is None else found.text,
                hint="Ask again in a moment.",
                code="control.starting",
            )
        return UnavailableError(
            f"cannot {verb} {self.name}",
            why=found.text,
            hint=f"Start it first, or look at its log: {self.call.command('logs')}",
            code="control.not-running",
        )

    def _check(self, verb: str, said: dict[str, Any]) -> None:
        """Raise ``FailedError`` if *said* isn't what a service answers to *verb*: who listens may be anybody."""
        wrong = [name for name, kind in _ANSWERS.get(verb, {}).items() if not isinstance(said.get(name), kind)]
        if not wrong and verb == "dump":
            wrong = [
                "under_way" for one in said["under_way"] if not isinstance(one, dict) or not {"name", "for_s"} <= {*one}
            ]
        if wrong:
            raise FailedError(
                f"{verb}: what {self.name} answers makes no sense",
                where=self.paths.control,
                why=f"{wrong[0]!r} is missing, or of another kind",
                hint="If it is of another release of stayon, restart it; else look at who listens there.",
                code="control.bad-answer",
            )


def peer(call: Call) -> Peer:
    """The service that *call* is about, wherever it is kept."""
    return peer_in(call, keepers.kept(call))


def peer_in(call: Call, kept: Managed | None) -> Peer:
    """The service that *call* is about, which its manager has as *kept* (None: nobody keeps it)."""
    if kept is not None and kept.places is not None:
        return Peer(call, app.paths_in(kept.places, call.name))
    return Peer(call, app.paths_of(call.here(), call.name, call.given.get("instance", "")))


def stop(call: Call) -> int:
    """Stop it, and wait until its process is gone."""
    service, timeout_s = peer(call), timeout_s_of(call, STOP_S)
    before = service.read()
    if before.verdict not in (reading.RUNNING, reading.STARTING, reading.NOT_RESPONDING):
        answer(call, {"state": "STOPPED"}, f"{call.name} is not running: {before.text}")
        return exits.DONE
    if before.status is not None and before.status.exit_code is not None:
        # It waits to be started again, and nobody is at the control socket; its signals are as they were.
        _end(service, before.status.pid)
    else:
        _ask_to_stop(service, min(timeout_s, ANSWER_S))

    def gone(found: Reading) -> bool:
        if found.verdict == reading.RUNNING and _is_later(found, before.status):
            # It was on its way to start again when we asked; the new one has to be asked as well.
            _ask_to_stop(service, min(timeout_s, ANSWER_S))
        return found.verdict in (reading.ENDED, reading.DIED, reading.NEVER_RUN)

    after = _wait(service, gone, "stop", timeout_s)
    answer(call, {"state": "STOPPED", "exit_code": _code(after)}, f"{call.name} {after.text}")
    return exits.DONE


def _end(service: Peer, pid: int) -> None:
    """Send SIGTERM to *pid*, which the status page names, with no more rights than who could have written the page has:
    else root would end whatever a service that was taken over says is its own. Raises ``NotPermittedError``.
    """
    try:
        writer = _writer(service.paths)
        if writer == 0 or not hasattr(os, "fork") or os.geteuid() != 0:
            os.kill(pid, SIGTERM)
        else:
            _kill_as(writer, pid)
    except (FileNotFoundError, ProcessLookupError):
        return  # it has ended meanwhile
    except PermissionError as error:
        raise NotPermittedError(
            f"{service.name} is not stopped: its status page names a process that is not its own",
            where=service.paths.status,
            why=f"process {pid} is another account's",
            hint="Look at who has written that, and at what runs as its account.",
            code="status.foreign-process",
        ) from error


def _writer(paths: app.Paths) -> int:
    """The number of the account that writes the status page: only root's word counts for all. Raises ``OSError``."""
    return os.stat(paths.places.run).st_uid or os.lstat(paths.status).st_uid


def _kill_as(account: int, pid: int) -> None:
    """SIGTERM from *account*, by a process that is its from there on (kill(2) asks for the real user, too)."""
    child = os.fork()
    if child == 0:
        number = 1
        try:
            os.setuid(account)
            os.kill(pid, SIGTERM)
            number = 0
        except OSError as error:
            number = error.errno or 1
        finally:
            os._exit(number)
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if number:
        raise OSError(number, os.strerror(number))


def _ask_to_stop(service: Peer, timeout_s: float) -> None:
    """Ask; one that is about to end, by itself or because somebody else has asked, may have closed its door already."""
    try:
        service.ask("stop", timeout_s)
    except (UnavailableError, TemporaryError):
        page = service.read().status
        if page is None or page.state not in (states.STOP_PENDING, states.STOPPED):
            raise


def restart(call: Call) -> int:
    """Stop it and have it start again, and wait until it is RUNNING."""
    after = restarted(call)
    answer(call, {"state": "RUNNING"}, f"{call.name} {after.text}")
    return exits.DONE


def restarted(call: Call) -> Reading:
    """How it is after it has been started again. Raises ``StayonError``."""
    service, timeout_s = peer(call), timeout_s_of(call, STOP_S)
    before = service.read().status
    service.ask("restart", min(timeout_s, ANSWER_S))

    def again(found: Reading) -> bool:
        # One that replaces itself keeps its lock, so an end without one is the end.
        if found.verdict in (reading.DIED, reading.ENDED):
            raise FailedError(
                f"{call.name} did not come back", why=found.text, hint="Its log says more.", code="control.restart"
            )
        return (
            found.verdict == reading.RUNNING
            and _is_later(found, before)
            and found.status is not None
            and _settled(found)
        )

    return _wait(service, again, "restart", timeout_s)


def pause(call: Call) -> int:
    """Have it pause, and wait until it does."""
    return _change(call, "pause")


def resume(call: Call) -> int:
    """Have it go on."""
    return _change(call, "resume")


def reload(call: Call) -> int:
    """Have it read its configuration again, and say what came of it."""
    said = peer(call).ask("reload", timeout_s_of(call, ANSWER_S))
    changed = ", ".join(map(str, said["changed"])) or "nothing"
    answer(call, said, f"{call.name}: {said['outcome']}, generation {said['generation']}, changed: {changed}")
    return exits.DONE


def dump(call: Call) -> int:
    """Print what is under way in it, and all its stacks; of a hung one, ask the C half, which answers on its
    standard error.
    """
    said = peer(call).ask("dump", ANSWER_S)
    under_way = [f"under way: {one['name']}, for {one['for_s']} s" for one in said["under_way"]]
    answer(call, said, "\n".join([f"{call.name} is {said['state']}", *under_way, "", said["stacks"]]))
    return exits.DONE


def _change(call: Call, verb: str) -> int:
    said = peer(call).ask(verb, timeout_s_of(call, ANSWER_S))
    answer(call, said, f"{call.name} is {said['state']}")
    return exits.DONE


def _wait(service: Peer, is_done: Callable[[Reading], bool], verb: str, timeout_s: float) -> Reading:
    """Look until *is_done*; the service itself bounds its stopping, so this is only a net."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = service.read()
        if is_done(found):
            return found
        if time.monotonic() > deadline:
            raise TemporaryError(
                f"{service.name} did not {verb} within {timeout_s:g} s",
                why=found.text,
                hint=f"See who is late: {service.call.command('dump')}",
                code="control.too-long",
            )
        time.sleep(LOOK_S)


def timeout_s_of(call: Call, default_s: float) -> float:
    """``--timeout``, or *default_s*."""
    given = call.given.get("timeout")
    return default_s if given is None else seconds(given, where="--timeout")


def _code(found: Reading) -> int | None:
    return found.status.exit_code if found.status is not None else None


def _restarts(status: Any) -> int:
    return status.restarts if status is not None else 0


def _is_later(found: Reading, before: Any) -> bool:
    return found.status is not None and (before is None or found.status.restarts > before.restarts)


def _is_serving(found: Reading) -> bool:
    """Whether it ought to listen, by its page."""
    return found.verdict == reading.RUNNING and found.status is not None and found.status.state in _SERVING


def _settled(found: Reading) -> bool:
    return found.status is not None and found.status.state == "RUNNING"
