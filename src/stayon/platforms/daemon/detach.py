"""How a process becomes a daemon: two forks, a session of its own, and a program that begins afresh.

The second fork's child replaces itself by a new start of the program (exec), so nothing of the process that started it
goes on in it: no thread, no half-full buffer, no exit function, no open file, and not its memory. Between fork and exec
there are only calls of the system, which are harmless whatever threads the user's module has started.
"""

from __future__ import annotations

import os

from stayon import exits
from stayon.core.record import Record
from stayon.errors import NotPermittedError, StayonError, UnavailableError
from stayon.platforms.daemon import account as accounts
from stayon.platforms.daemon import limits, words
from stayon.platforms.daemon.birth import VARIABLE, Birth
from stayon.platforms.daemon.starter import ignore_questions
from stayon.platforms.daemon.witness import Limits, Witness, hear
from stayon.platforms.run_mark import unmarked

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping
    from typing import NoReturn

    from stayon.platforms.daemon.account import Account
    from stayon.platforms.daemon.pid_file import PidFile
    from stayon.platforms.daemon.words import Outcome
else:
    import _signal as signal  # the standard module's C half

_UMASK = 0o027
_STANDARD = (0, 1, 2)


class Plan(Record):
    """What the daemon is to be: *command* with *environment*, begun in *directory*, its standard output and error at
    *output_fd*; *account* (None: this one), resource *limits* and *pid_file* (None: none), which is locked already.
    *patience* is how long its start may take. All descriptors are above 2.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    output_fd: int
    patience: Limits
    account: Account | None = None
    limits: tuple[tuple[str, str], ...] = ()
    pid_file: PidFile | None = None


def detach(plan: Plan) -> Outcome:
    """Start *plan*, and wait until it is RUNNING or has failed. Blocks, for as long as the plan has patience.

    Ctrl-C stops what is being started, a second one kills it; then it is raised. If this process is ended meanwhile,
    the start goes on.
    """
    read_fd, write_fd = os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        witness = _fork()
        if witness == 0:
            _be_witness(plan, write_fd)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(write_fd)
    told, was_interrupted = b"", False
    while True:
        try:
            said = os.read(read_fd, 65536)
        except KeyboardInterrupt:
            # It is our child, so its number is nobody else's.
            os.kill(witness, signal.SIGTERM)
            was_interrupted = True
            continue
        if not said:
            break
        told += said
    os.close(read_fd)
    _reap(witness)
    outcome = words.outcome_of(told)
    if was_interrupted and not outcome.is_running:
        raise KeyboardInterrupt
    return outcome


def _reap(child: int) -> None:
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        return  # where SIGCHLD is ignored, the system has done it


def _fork() -> int:
    import warnings

    with warnings.catch_warnings():
        # It warns of threads (of the user's module), whose locks neither child ever needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _be_witness(plan: Plan, tell_fd: int) -> NoReturn:
    """Leave the terminal, start the daemon, and stay until it is told how that went."""
    try:
        os.setsid()
        _turn_standard_handles(plan.output_fd)
        bell = hear()
        report_fd, daemon_fd = os.pipe()
        daemon = _fork()
        if daemon == 0:
            _be_daemon(plan, daemon_fd)
        _close_all_but((*_STANDARD, report_fd, tell_fd, *bell))
        Witness(daemon, (report_fd, tell_fd, bell[0]), plan.patience).attend()
    except BaseException as error:  # noqa: BLE001  # a process of its own: what it doesn't say here, nobody says
        _complain(f"the start can't be watched: {type(error).__name__}: {error}")
    os._exit(exits.DONE)


def _be_daemon(plan: Plan, report_fd: int) -> NoReturn:
    """No session's leader, so that no terminal it opens becomes its own; then everything that only root may, and then
    the program.
    """
    try:
        # A group of its own, so that all that it starts can be found.
        os.setpgid(0, 0)
        os.umask(_UMASK)
        os.chdir(plan.directory)
        limits.apply(plan.limits)
        birth = Birth(os.getpid(), report_fd)
        if plan.pid_file is not None:
            plan.pid_file.write(birth.pid)
            birth = birth.replace(pid_file_fd=plan.pid_file.fd, pid_file=plan.pid_file.path)
        if plan.account is not None:
            accounts.become(plan.account)
        kept = tuple(fd for fd in (birth.report_fd, birth.pid_file_fd) if fd != -1)
        _close_all_but((*_STANDARD, *kept))
        for fd in kept:
            os.set_inheritable(fd, True)
        _forget_signals()
        _execute(plan, birth)
    except StayonError as error:
        _complain(str(error))
        code = error.exit_code
    except BaseException as error:  # noqa: BLE001  # as above
        _complain(f"{type(error).__name__}: {error}")
        code = exits.FAILED
    os._exit(code)


def _execute(plan: Plan, birth: Birth) -> NoReturn:
    environment = {**unmarked(plan.environment), VARIABLE: birth.text()}
    try:
        os.execve(plan.command[0], plan.command, environment)  # noqa: S606  # no shell: just what is meant
    except OSError as error:
        where, why = plan.command[0], error.strerror or str(error)
        hint = "Its account must be able to read and run it, and all directories above it."
        if isinstance(error, PermissionError):
            raise NotPermittedError(
                "its Python can't be run", where=where, why=why, hint=hint, code="daemon.not-run"
            ) from error
        raise UnavailableError(
            "its Python can't be run", where=where, why=why, hint=hint, code="daemon.not-run"
        ) from error


def _turn_standard_handles(output_fd: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(output_fd, 1)
    os.dup2(output_fd, 2)
    os.close(nothing)


def _close_all_but(kept: tuple[int, ...]) -> None:
    """Close what the shell, or whoever it was, has left open to us. (Up to the limit there may be a billion; and the
    list has only the first three on some BSDs.)
    """
    fds = set(range(1024))
    try:
        fds |= {int(name) for name in os.listdir("/dev/fd")}
    except OSError:
        fds |= set(range(min(os.sysconf("SC_OPEN_MAX"), 65536)))
    for fd in fds:
        if fd not in kept:
            try:
                os.close(fd)
            except OSError:
                continue  # the listing's own


def _forget_signals() -> None:
    """Have them mean what they mean to a new program, whatever nohup, a shell or the user's module has made of them."""
    for signum in signal.valid_signals():
        try:
            signal.signal(signum, signal.SIG_DFL)
        except (OSError, ValueError):
            continue  # SIGKILL and SIGSTOP can't be changed
    ignore_questions()
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _complain(text: str) -> None:
    os.write(2, f"{text}\n".encode("utf-8", "backslashreplace"))
