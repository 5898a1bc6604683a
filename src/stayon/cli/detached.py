"""``run --detach``, and ``start`` where nobody keeps services: the service becomes a daemon, and we are told how it
starts.
"""

from __future__ import annotations

import os
import time

from stayon import exits
from stayon.cli import ask, managed, run, wanted
from stayon.cli.command import answer, complain
from stayon.cli.keepers import name_of
from stayon.core import states
from stayon.errors import FailedError, StayonError, UnavailableError
from stayon.runtime import status_reading as reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stayon.app import Paths
    from stayon.cli.command import Call
    from stayon.platforms.daemon.account import Account
    from stayon.platforms.daemon.detach import Plan
    from stayon.platforms.daemon.output import Output
    from stayon.platforms.daemon.pid_file import PidFile
    from stayon.platforms.daemon.words import Outcome

# What being stopped may take besides the service's own limit, before it is killed.
SLACK_S = 10.0


def start(call: Call) -> int:
    """Start the service as a daemon and wait until it is RUNNING, or has failed: then the exit code is its own.

    Blocks. Raises ``StayonError``.
    """
    if run.is_daemon():
        return run.run(call)  # which comes here by the same words
    service = run.service_of(call)
    if not hasattr(os, "fork"):
        raise UnavailableError(
            "there are no daemons on this system",
            hint=f"Have its service manager keep it: {call.command('install')}",
            code="daemon.unavailable",
        )
    service.spec()  # whose mistakes are told at once
    if "detach" not in call.given:
        found = ask.peer(call).read()
        if found.verdict == reading.RUNNING and found.status is not None:
            page = found.status
            _tell(call, page.state, page.pid, f"{name_of(call)} is {page.state} already, process {page.pid}")
            return exits.DONE
    machine = call.here()
    # Its standard handles are open from here on, so that nothing below gets their numbers.
    machine.prepare()
    paths = ask.peer(call).paths
    fields = wanted.fields_of(service, call.given, {})
    account = _account_of(fields["account"])
    try:
        output, pid_file = _opened(call, paths, account)
    except StayonError as error:
        run.explain(error, call)
        raise
    plan = _plan(call, output, (account, pid_file), fields)
    began = time.time()
    from stayon.platforms.daemon.detach import detach

    try:
        outcome = detach(plan)
    except KeyboardInterrupt:
        complain(f"{name_of(call)} was stopped before it was RUNNING")
        raise
    output.close()
    if pid_file is not None:
        pid_file.close()
    if outcome.is_running:
        _tell(call, states.RUNNING, outcome.pid, f"{name_of(call)} is RUNNING, process {outcome.pid}")
    elif outcome.exit_code == exits.DONE and not outcome.is_late:
        _tell(call, states.STOPPED, 0, f"{name_of(call)} has run, and is done")
    else:
        raise _failed(call, outcome, output, began)
    return exits.DONE


def _account_of(written: str) -> Account | None:
    if not written:
        return None
    from stayon.platforms.daemon import account

    return account.needed(account.find(written))


def _opened(call: Call, paths: Paths, account: Account | None) -> tuple[Output, PidFile | None]:
    """What the daemon has from its beginning: directories of its own, the file for its output, its pid file."""
    from stayon.platforms.daemon.directories import provide
    from stayon.platforms.daemon.output import Output

    places = paths.places
    provide((places.state, places.run, places.logs), account, call.here().make_directory)
    output = Output(places.logs, paths.log_name)
    if account is not None:
        output.give_to(account.uid, account.gid)
    if "pid-file" not in call.given:
        return output, None
    from stayon.platforms.daemon.pid_file import PidFile

    pid_file = PidFile(os.path.join(run.directory(), call.given["pid-file"]))
    pid_file.acquire(is_for_another=account is not None)
    return output, pid_file


def _plan(call: Call, output: Output, of: tuple[Account | None, PidFile | None], fields: dict[str, Any]) -> Plan:
    from stayon.platforms.daemon.account import environment_of
    from stayon.platforms.daemon.detach import Plan
    from stayon.platforms.daemon.witness import MARGIN_S, Limits

    account, pid_file = of
    spec = run.service_of(call).spec()
    environment = {**os.environ, **dict(fields["environment"])}
    if account is not None:
        # Its places stay those that whoever asks after it looks into; named as systemd.exec(5) does.
        places = ask.peer(call).paths.places
        environment = environment_of(account, environment) | {
            "CONFIGURATION_DIRECTORY": places.config,
            "LOGS_DIRECTORY": places.logs,
            "STATE_DIRECTORY": places.state,
            "RUNTIME_DIRECTORY": places.run,
        }
    fixed_s = ask.timeout_s_of(call, 0.0) if "timeout" in call.given else 0.0
    patience = Limits(
        fixed_s or spec.start_timeout_s + MARGIN_S, spec.stop_timeout_s + SLACK_S, is_fixed="timeout" in call.given
    )
    return Plan(
        command=tuple(run.command_again()),
        environment=environment,
        directory=run.directory(),
        output_fd=output.fd,
        patience=patience,
        account=account,
        limits=fields["limits"],
        pid_file=pid_file,
    )


def _failed(call: Call, outcome: Outcome, output: Output, began: float) -> StayonError:
    """The error for a start that failed, with the daemon's own exit code and its last words."""
    name, code = name_of(call), outcome.exit_code
    said = output.news()
    # Its own words are below, with a hint of their own.
    hint = "" if said else f"More is in its log: {call.command('logs')}"
    if outcome.is_late:
        error: StayonError = FailedError(
            f"{name} was not RUNNING in time, and was ended",
            why=outcome.why or "it gave no sign of life",
            hint=hint,
            code="daemon.too-long",
        )
    else:
        how = "nobody saw how" if code is None else f"exit code {code} ({exits.meaning(code)})"
        if code is not None and code < 0:
            how = exits.meaning(code)
        again = "" if outcome.again_s is None else f"; by its restart policy it starts again in {outcome.again_s:.1f} s"
        error = FailedError(
            f"{name} ended before it was RUNNING{again}",
            why=f"{how}: {outcome.why}" if outcome.why else how,
            hint=hint,
            code="daemon.not-started",
        )
        # As a shell has it for a signal.
        error.exit_code = exits.FAILED if code is None else 128 - code if code < 0 else code
    # What it could report, it has logged; what it couldn't is in its output alone.
    logged = managed.last_words(call, began) if outcome.why or not said else ()
    error.details = (*said, *logged)
    return error


def _tell(call: Call, state: str, pid: int, text: str) -> None:
    answer(call, {"state": state, "pid": pid or None, "exit_code": exits.DONE}, text)
