"""``run``: the service in this process, and what follows when it has ended."""

from __future__ import annotations

import os
import sys
import time
from _thread import allocate_lock

from stayon import exits
from stayon.cli.command import complain
from stayon.core.record import Record
from stayon.errors import StayonError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

    from stayon import app
    from stayon.app import Ending
    from stayon.cli.command import Call
    from stayon.core.restart import History, Policy
    from stayon.platforms.daemon.starter import DaemonStarter
    from stayon.runtime.service import Service

# How a process that replaces itself tells its successor what it has to know; never set by people.
HANDOVER = "STAYON_HANDOVER"
# As ``platforms.daemon.birth`` has it, which only a daemon loads.
DAEMON = "STAYON_DAEMON"


class Handover(Record):
    """What goes from one start to the next: how often it was restarted, the policy's memory, and how long to wait
    first.
    """

    restarts: int = 0
    attempts: int = 0
    failures: float = 0.0
    failures_at: float = 0.0
    wait_s: float = 0.0

    def text(self) -> str:
        """All fields, for the environment."""
        return ",".join(str(value) for value in self.as_dict().values())


def handed_over(text: str) -> Handover:
    """What ``Handover.text`` said; nothing is handed over by an empty or foreign text."""
    try:
        restarts, attempts, failures, failures_at, wait_s = text.split(",")
        return Handover(int(restarts), int(attempts), float(failures), float(failures_at), float(wait_s))
    except ValueError:
        return Handover()


def run(call: Call) -> int:
    """Run the service until it ends; gives its exit code, or replaces this process to start again. With ``--detach``,
    only start it: it goes on as a daemon, which comes here once more, in its own process.
    """
    service_of(call)
    starter = _daemons_starter()
    if starter is None:
        if "detach" in call.given:
            from stayon.cli import detached

            return detached.start(call)
        _refuse_daemons_options(call.given)
        return _serve(call, None)
    try:
        return _serve(call, starter)
    except BaseException:
        starter.end()
        raise


def explain(error: StayonError, call: Call) -> None:
    """Have *error*, which a start ended with, say more where more is known."""
    if error.code == "places.unsafe":
        from stayon.cli.keepers import explain_unsafe

        explain_unsafe(error, call)


def service_of(call: Call) -> Service:
    """The service itself. Raises ``UsageError`` where only its name is known."""
    if call.service is None:
        raise UsageError(
            f"{call.name!r} names a service, but its program is needed to run it",
            hint="Say its file: stayon run collector.py",
            code="usage.target",
        )
    return call.service


def _serve(call: Call, starter: DaemonStarter | None) -> int:
    before = handed_over(os.environ.pop(HANDOVER, ""))
    if before.wait_s:
        # Waiting is the successor's: its signals are as they were, so Ctrl-C and kill work.
        time.sleep(before.wait_s)
    from stayon import app

    if "level" in call.given:
        from stayon.cli.words import level_of

        # Before anything is made or taken.
        level_of(call.given["level"])
    start = _Start(before, time.monotonic(), directory(), starter)
    options = _options(call, start)
    if starter is not None:
        os.chdir("/")
    # The guard of an end that takes too long must not begin another while this one waits for its successor.
    turn = allocate_lock()

    def leave(ending: app.Ending) -> NoReturn:
        with turn:
            try:
                _end(call, ending, start)
            except Exception as error:  # noqa: BLE001  # on this thread nobody would hear of it, and the process goes on
                complain(f"{call.name}: it ends, and what was to follow failed: {error!r}")
        os._exit(_code(ending))

    try:
        ending = app.run(service_of(call), options, leave, starter)
    except StayonError as error:
        explain(error, call)
        raise
    with turn:
        _end(call, ending, start)
    return _code(ending)


def _options(call: Call, start: _Start) -> app.Options:
    from stayon import app

    given = call.given
    return app.Options(
        # The directory may change before it is read.
        config=os.path.join(start.directory, given["config"]) if "config" in given else "",
        settings=tuple(given.get("set", ())),
        instance=given.get("instance", ""),
        level=given.get("level", ""),
        once=given.get("once", ""),
        arguments=call.arguments,
        restarts=start.before.restarts,
    )


def is_daemon() -> bool:
    """Whether this very process was made a daemon; what one starts may still have the variable that says so."""
    if DAEMON not in os.environ:
        return False
    from stayon.platforms.daemon.birth import birth_of

    return birth_of(os.environ[DAEMON], os.getpid()) is not None


def _daemons_starter() -> DaemonStarter | None:
    """The starter of this process if it is a daemon that ``--detach`` or ``start`` has made."""
    if DAEMON not in os.environ:
        return None
    from stayon.platforms.daemon.starter import born

    return born(os.environ.pop(DAEMON))


def _refuse_daemons_options(given: Mapping[str, Any]) -> None:
    for name in ("account", "limit", "pid-file"):
        if name in given:
            raise UsageError(
                f"--{name} is for what runs in the background",
                hint=f"Say --detach as well, or leave --{name} out.",
                code="usage.option",
            )


def directory() -> str:
    """The directory we are in; "/" if it has been removed."""
    try:
        return os.getcwd()
    except OSError:
        return "/"


class _Start(Record):
    """What has to be remembered of a start until its end: what was handed over, when, in which directory, and who has
    started it (None: a terminal).
    """

    before: Handover
    at: float
    directory: str
    starter: DaemonStarter | None


def _end(call: Call, ending: Ending, start: _Start) -> None:
    """All that is to be done at the end of a run, but to end the process. Does not return if it is started again."""
    _start_again_if_wanted(call, ending, start)
    if start.starter is not None:
        start.starter.end()


def _start_again_if_wanted(call: Call, ending: Ending, start: _Start) -> None:
    """Replace this process by a new start of the program, if the verb or the policy says so; else return."""
    before = start.before
    if _has_manager():
        return
    if ending.restart:
        _replace(Handover(before.restarts + 1), ending, start)
        return
    policy = _policy(call)
    if policy is None or ending.asked:
        return
    from stayon.app import chance
    from stayon.core import restart

    history = restart.History(before.attempts, before.failures, before.failures_at)
    ended = restart.Ended(ending.exit_code, time.monotonic(), start.at)
    decision = restart.decide(policy, history, ended, chance)
    if isinstance(decision, restart.Restart):
        complain(f"{call.name}: starting again in {decision.in_s:.1f} s: {decision.why}")
        if start.starter is not None:
            start.starter.again(decision.in_s)
        _replace(_after(decision.history, before.restarts + 1, decision.in_s), ending, start)
    elif isinstance(decision, restart.GiveUp):
        complain(f"{call.name}: not starting again: {decision.why}")


def _has_manager() -> bool:
    """Whether starting it again is for somebody else: a manager whose unit has the command line of a person."""
    from stayon import app

    return app.here().starter.is_manager


def _code(ending: Ending) -> int:
    """The process's exit code: one that is to be started again by its manager says so by it."""
    return exits.TEMPORARY if ending.restart and _has_manager() else ending.exit_code


def _policy(call: Call) -> Policy | None:
    """The policy that holds in a console: the one that is declared, or asked for; none by itself."""
    if "no-restart" in call.given or "once" in call.given or call.service is None:
        return None
    declared: Policy | None = call.service.options.get("restart")
    if declared is None and "restart" in call.given:
        from stayon.core.restart import backoff

        return backoff()
    return declared


def _after(history: History, restarts: int, wait_s: float) -> Handover:
    return Handover(restarts, history.attempts, history.failures, history.failures_at, wait_s)


def _replace(handover: Handover, ending: Ending, start: _Start) -> None:
    """Become a new start of this program: same terminal, same pid where that is possible, and the lock is never free in
    between.

    Returns if that cannot be done, having said why: the process then ends as if nothing had been wanted.
    """
    from stayon import app

    machine = app.here()
    if handover.wait_s and not machine.keeps_process:
        # Whoever looks finds this process by the status page, not the next.
        time.sleep(handover.wait_s)
        handover = handover.replace(wait_s=0.0)
    ending.lock.keep_across_exec()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    _return_to(start.directory)
    environment = {HANDOVER: handover.text(), **(start.starter.successor() if start.starter is not None else {})}
    try:
        machine.become(command_again(), environment)
    except OSError as error:
        complain(f"cannot start again: {error}")


def _return_to(path: str) -> None:
    """The words of the command line may be relative to where it was said. If that is gone, those in full are still
    good.
    """
    try:
        os.chdir(path)
    except OSError:
        return


def command_again() -> list[str]:
    """The words that have started this program, for starting it again; its file is named in full."""
    words = [sys.executable, *sys.orig_argv[1:]]
    at = len(words) - len(sys.argv)
    if at > 0 and words[at] == sys.argv[0] and os.path.isfile(words[at]):
        words[at] = os.path.abspath(words[at])
    return words
