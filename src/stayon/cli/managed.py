"""The verbs that go to the manager where it keeps the service, and to the service itself where it runs in a console."""

from __future__ import annotations

import sys
import time

from stayon import exits
from stayon.cli import ask, keepers
from stayon.cli.command import answer, harmless
from stayon.cli.keepers import name_of
from stayon.cli.run import is_daemon, run
from stayon.core import states
from stayon.errors import FailedError, NotPermittedError, StayonError, TemporaryError, UnavailableError, UsageError
from stayon.runtime import status_reading as reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from stayon.cli.command import Call
    from stayon.cli.keepers import Keeper
    from stayon.core.installation import Managed
    from stayon.runtime.logs.text import TextRenderer

# What starting and stopping may take besides the service's own limits, which the manager knows.
SLACK_S = 30.0
START_S = 90.0
LAST_LINES = 5
# The first failure, and who did not stop.
WITH_FACTS = (13, 14)

# What a manager's error says that has no word for a verb: then the service itself is asked.
NO_VERB = "manager.verb"

# What ``start`` takes where it makes a daemon.
OF_INSTALLATION = ("config", "set", "account", "limit", "pid-file")

IN_CONSOLE = (reading.RUNNING, reading.STARTING, reading.NOT_RESPONDING)


def start(call: Call) -> int:
    """Have the manager start it, with what stands behind ``--`` as arguments, and wait until it is RUNNING; where
    nobody keeps services, make a daemon of it.
    """
    if is_daemon():
        # The daemon itself, which comes by the words that made it.
        return run(call)
    keeper = keepers.find(call)
    if keeper is not None and keeper.here.manager is None and keepers.uid_of(call) is not None:
        from stayon.cli import detached

        return detached.start(call)
    keeper = keepers.with_manager(keeper, call)
    before = keepers.installed(call, keeper)
    _refuse_installed_otherwise(call)
    if before.state == states.RUNNING:
        _tell(call, before, f"{name_of(call)} is RUNNING already, process {before.pid}")
        return exits.DONE
    if before.state in (states.PAUSED, states.PAUSE_PENDING):
        raise FailedError(
            f"{name_of(call)} is {before.state}", hint=f"Have it go on: {call.command('resume')}", code="manager.paused"
        )
    page = _page(call, before)
    if page is not None and page.verdict in IN_CONSOLE and before.state == states.STOPPED:
        raise TemporaryError(
            f"{name_of(call)} runs already, but not under its manager",
            why=page.text,
            hint=f"Stop that one first: {call.command('stop')}",
            code="lock.held",
        )
    after = begin(call, keeper, call.arguments)
    how = f"is {after.state}, process {after.pid}" if after.state != states.STOPPED else "has run, and is done"
    _tell(call, after, f"{name_of(call)} {how}")
    return exits.DONE


def _refuse_installed_otherwise(call: Call) -> None:
    """Raise ``UsageError`` if something was said of this start that only an installation can have."""
    said = [option for option in OF_INSTALLATION if option in call.given]
    if said:
        raise UsageError(
            f"--{said[0]} can't be said of one start: {name_of(call)} is kept by its manager",
            hint=f"Change the installation: {call.command('install')} --{said[0]} ... Then restart it",
            code="usage.option",
        )


def begin(call: Call, keeper: Keeper, arguments: tuple[str, ...]) -> Managed:
    """Start it. What it raises has the last lines of the service's log below it."""
    default_s = _limit_s(call, "start_timeout_s", START_S)
    began = time.time()
    try:
        return _asked(call, keeper, "start", default_s, arguments)
    except StayonError as error:
        _add_last_words(error, call, began)
        raise


def _asked(call: Call, keeper: Keeper, verb: str, default_s: float, arguments: tuple[str, ...] = ()) -> Managed:
    """What the manager says after *verb*. Raises ``StayonError``; for want of rights, with what has them."""
    manager = keepers.manager_in(keeper.here, call)
    try:
        return manager.ask(name_of(call), verb, ask.timeout_s_of(call, default_s), progress, arguments)
    except NotPermittedError as error:
        keepers.permit(error, call, verb, keeper.scope)
        raise


def _limit_s(call: Call, field: str, default_s: float) -> float:
    """The service's own limit and a margin; *default_s* where it isn't known: a broken file must still be stoppable."""
    try:
        return default_s if call.service is None else getattr(call.service.spec(), field) + SLACK_S
    except StayonError:
        return default_s


def _add_last_words(error: StayonError, call: Call, began: float) -> None:
    """Below *error*, what the service has logged; not where it could not have been started at all."""
    if not isinstance(error, (UsageError, NotPermittedError)):
        error.details = error.details or last_words(call, began)


def last_words(call: Call, began: float) -> tuple[str, ...]:
    """The last lines that it has logged since *began*, or where its log is."""
    from stayon.cli.log_source import Query, read, source_of
    from stayon.runtime.logs import filters
    from stayon.runtime.logs.text import TextRenderer

    source, since = source_of(call), began - 0.001  # a stamp has milliseconds only
    renderer = TextRenderer(color=False, encoding="utf-8")

    def wanted(line: str) -> bool:
        record = filters.decode(line)
        # What the manager says of it is what the error says already.
        return filters.matches(record, since=since) and record is not None and record.get("logger") != "systemd"

    try:
        lines = read(source, Query(LAST_LINES, wanted, since))
    except StayonError as error:
        return (f"its log can't be read: {error}",)
    if not lines:
        return (f"it has logged nothing; its log is in {source.place}",)
    shown = b"".join(_shortly(line, renderer) for line in lines).decode("utf-8", "replace")
    return tuple(shown.splitlines())


def _shortly(line: str, renderer: TextRenderer) -> bytes:
    """*line* as ``logs`` shows it, without the facts that are beside a failure for whoever looks into it."""
    from stayon.runtime.logs import filters

    record = filters.decode(line)
    if record is None or record.get("event") not in WITH_FACTS:
        return renderer.stored(line)
    return renderer.record({**record, "fields": {}})


def stop(call: Call) -> int:
    """Stop it, and wait until it is gone."""
    return _through(call, "stop", ask.stop)


def restart(call: Call) -> int:
    """Stop it and start it again, and wait until it is RUNNING."""
    return _through(call, "restart", ask.restart)


def pause(call: Call) -> int:
    """Have it pause, and wait until it does."""
    return _through(call, "pause", ask.pause)


def resume(call: Call) -> int:
    """Have it go on."""
    return _through(call, "resume", ask.resume)


def reload(call: Call) -> int:
    """Have it read its configuration again, and say what came of it, which only the service itself can tell.

    Who may not talk to it, but may control it, gets it done through the manager.
    """
    keeper = keepers.find(call)
    managed = keeper.ours if keeper is not None else None
    _refuse_absent(call, keeper, _page(call, managed), "reload")
    try:
        return ask.reload(call)
    except NotPermittedError:
        if keeper is None or managed is None or not is_managers(managed, None):
            raise
    after = _asked(call, keeper, "reload", ask.ANSWER_S)
    _tell(call, after, f"{name_of(call)} was asked to read its configuration again; its log says what came of it")
    return exits.DONE


def is_managers(managed: Managed, found: reading.Reading | None, verb: str = "") -> bool:
    """Whether *verb* is for the manager: where it runs the service, or would; not where a console does. Pure.

    *found* is what the status page says; None if it may not be read, or was not asked for.
    """
    if managed.state != states.STOPPED:
        return True
    return verb == "restart" and (found is None or found.verdict not in IN_CONSOLE)


def _through(call: Call, verb: str, directly: Callable[[Call], int]) -> int:
    keeper = keepers.find(call)
    managed = keeper.ours if keeper is not None else None
    page = _page(call, managed)
    if keeper is None or managed is None or not is_managers(managed, page, verb):
        if verb == "stop" and keeper is not None and managed is not None and not _is_in_console(page):
            after = _surely_stopped(call, keeper, managed)
            _tell(call, after, f"{name_of(call)} is not running: {_how_it_is(after, page)}")
            return exits.DONE
        _refuse_absent(call, keeper, page, verb)
        return directly(call)
    default_s = _limit_s(call, "stop_timeout_s", ask.STOP_S)
    if verb == "restart":
        default_s += _limit_s(call, "start_timeout_s", START_S)
    began = time.time()
    try:
        after = _asked(call, keeper, verb, default_s, call.arguments)
    except StayonError as error:
        if error.code == NO_VERB:
            return _by_itself(call, keeper, verb, directly)
        if verb == "restart":
            _add_last_words(error, call, began)
        raise
    process = f", process {after.pid}" if after.pid else ""
    ended = f": {_how_it_ended(call, managed, after)}" if after.state == states.STOPPED else ""
    _tell(call, after, f"{name_of(call)} is {after.state}{process}{ended}")
    return exits.DONE


def _surely_stopped(call: Call, keeper: Keeper, managed: Managed) -> Managed:
    """*managed*, which doesn't run, when its manager won't start it again either: on Unix it may wait for that."""
    if keepers.uid_of(call) is None:
        return managed
    return _asked(call, keeper, "stop", _limit_s(call, "stop_timeout_s", ask.STOP_S))


def _by_itself(call: Call, keeper: Keeper, verb: str, directly: Callable[[Call], int]) -> int:
    """What the service says itself to *verb*, for which its manager has no word."""
    try:
        return directly(call)
    except NotPermittedError as error:
        keepers.permit(error, call, verb, keeper.scope)
        raise


def _how_it_ended(call: Call, before: Managed, after: Managed) -> str:
    """In the words of its page, if that is of this process: the manager hears that a stop went well in any case."""
    page = _page(call, before)
    if page is not None and page.verdict == reading.ENDED and page.status is not None and page.status.pid == before.pid:
        return page.text
    return f"exit code {after.exit_code} ({exits.meaning(after.exit_code)})"


def _is_in_console(page: reading.Reading | None) -> bool:
    return page is not None and page.verdict in IN_CONSOLE


def _how_it_is(managed: Managed, page: reading.Reading | None) -> str:
    from stayon.cli.status import merged

    return merged(page, managed).reading.text


def _refuse_absent(call: Call, keeper: Keeper | None, page: reading.Reading | None, verb: str) -> None:
    """Raise ``StayonError`` if the service is somebody else's, or nobody is there to be asked: then with the manager's
    word, as a page may be of an earlier run.
    """
    if keeper is None or keeper.managed is None or _is_in_console(page):
        return
    managed = keepers.installed(call, keeper)
    if managed.state == states.STOPPED:
        raise UnavailableError(
            f"cannot {verb} {name_of(call)}",
            why=_how_it_is(managed, page),
            hint=f"Start it first: {call.command('start')}. Or look at its log: {call.command('logs')}",
            code="control.not-running",
        )


def _page(call: Call, kept: Managed | None) -> reading.Reading | None:
    try:
        return ask.peer_in(call, kept).read()
    except NotPermittedError:
        return None


def _tell(call: Call, managed: Managed, text: str) -> None:
    answer(call, {"state": managed.state, "pid": managed.pid or None, "exit_code": managed.exit_code}, text)


def progress(text: str) -> None:
    """Tell somebody who sits there how far it is."""
    if sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write(f"{harmless(text)}\n")
        sys.stderr.flush()
