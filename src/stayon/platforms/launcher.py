"""Starts processes: posix_spawn(3), each in a process group of its own."""

from __future__ import annotations

import errno
import os
import select
import time
from _thread import allocate_lock

from stayon.errors import NotPermittedError, UnavailableError
from stayon.platforms.run_mark import new_mark, with_mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence
else:
    import _signal as signal  # the standard module's C half

# The exit code of a child that somebody else in this process has reaped: it is lost.
LOST = 255

# How long a killed process may take to be gone: one that hangs in the kernel never is.
BURIAL_S = 5.0

# Ignored by Python, or handled by us. A handler is reset by exec, an ignored signal stays ignored, so those are set
# back.
_DEFAULT_IN_CHILD = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.001, 0.05


class UnixLauncher:
    """Spawns without forking Python: nothing of this process is copied, and no thread can hold a lock in the child."""

    def spawn(self, command: Sequence[str], *, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> UnixChild:
        """Start *command*, looked for in PATH; *stdin* is what it reads, ``output`` a pipe with what it prints. Its
        environment has a mark besides, by which all that it starts is known again.

        Whoever gets the child closes ``output``. Raises ``UnavailableError`` (no such program, no room for a process)
        or ``NotPermittedError``.
        """
        program, mark = _found(command[0]), new_mark()
        stdin_fd = _readable(stdin)
        read_fd, write_fd = os.pipe()
        actions: list[tuple[int, ...]] = [(os.POSIX_SPAWN_DUP2, stdin_fd, 0)]
        actions += [(os.POSIX_SPAWN_DUP2, write_fd, fd) for fd in (1, 2)]
        actions += _closing()
        try:
            pid = os.posix_spawn(
                program,
                list(command),
                with_mark(os.environ if env is None else env, mark),
                file_actions=actions,
                setpgroup=0,
                setsigmask=(),
                setsigdef=_DEFAULT_IN_CHILD,
            )
        except OSError as error:
            os.close(read_fd)
            raise _not_started(command[0], error) from error
        finally:
            os.close(stdin_fd)
            os.close(write_fd)
        return UnixChild(pid, read_fd, mark)


class UnixChild:
    """A started process, its group, and whatever has its *mark*, also what has left the group and its parents.

    Once it has ended it stays a zombie until ``kill`` or the end of this object: as long as its number is taken, what
    is left of its group can be killed, and never a stranger's. Drop it only after a ``wait`` that told the exit code.
    """

    def __init__(self, pid: int, output: int, mark: str = "") -> None:
        self.pid = pid
        self.output = output
        self._mark = mark
        self._exit_code: int | None = None
        self._reaped = False
        self._lock = allocate_lock()

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Its exit code (negative: the signal that killed it), or None if *timeout_s* was over first. Blocks."""
        if self._exit_code is None and not self._sleep(timeout_s):
            return None
        return self._exit_code

    def kill(self) -> None:
        """End it and every process that it started, or they did. Does not wait; calling it twice is harmless."""
        with self._lock:
            if self._reaped:
                return
            self._signal_tree(signal.SIGKILL)
            if self._exit_code is not None:
                self._reap()

    def stop(self, grace_s: float) -> int | None:
        """Send it and its descendants SIGTERM, wait for it for at most *grace_s*, and kill what is left. Gives its exit
        code; None if even that did not end it. Blocks.
        """
        with self._lock:
            if not self._reaped:
                self._signal_tree(signal.SIGTERM)
        self.wait(grace_s)
        self.kill()
        return self.wait(BURIAL_S)

    def _signal_tree(self, number: int) -> None:
        self._signal_group(number)
        from stayon.platforms import tree

        try:
            tree.signal_tree(tree.Root(self.pid, tree.started_at(self.pid), self._mark), number, but_group=self.pid)
        except (OSError, UnavailableError):
            return  # where the processes can't be seen, there is the group only

    def _signal_group(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return  # nobody is left there; macOS says EPERM when only the zombie is

    def __del__(self) -> None:
        if not self._reaped and self._exit_code is not None:
            self._reap()

    def _sleep(self, timeout_s: float | None) -> bool:
        """Until it has ended (True), or *timeout_s* is over."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            return self._sleep_by_looking(deadline)
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.poll(None if timeout_s is None else max(timeout_s, 0.0) * 1000)
        finally:
            os.close(pidfd)
        return self._look()

    def _sleep_by_looking(self, deadline: float | None) -> bool:
        """Without pidfd_open(2): Linux before 5.3, a seccomp filter that forbids it, macOS."""
        pause_s = _FIRST_PAUSE_S
        while not self._look():
            left_s = pause_s if deadline is None else deadline - time.monotonic()
            if left_s <= 0:
                return False
            time.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        return True

    def _look(self) -> bool:
        """Whether it has ended. Leaves the zombie, where the system can."""
        with self._lock:
            if self._exit_code is None:
                try:
                    self._exit_code = self._peek()
                except ChildProcessError:
                    self._exit_code, self._reaped = LOST, True
            return self._exit_code is not None

    def _peek(self) -> int | None:
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._reaped = pid != 0
            return os.waitstatus_to_exitcode(status) if pid else None
        found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return None
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    def _reap(self) -> None:
        self._reaped = True
        try:
            os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return  # somebody else has


def _found(program: str) -> str:
    """The program's path.

    Not posix_spawnp's: that has a shell run what is no program, and says "not permitted" for a program that is nowhere
    if one directory of PATH is closed to us. And an empty entry is no directory here, not the working directory, where
    anybody may have put a program.
    """
    if "/" in program:
        return program
    for directory in filter(None, os.environ.get("PATH", os.defpath).split(":")):
        path = os.path.join(directory, program)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise _not_started(program, FileNotFoundError(errno.ENOENT, ""))


def _readable(data: bytes) -> int:
    """A descriptor from which *data* can be read, to its end."""
    if not data:
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("stdin")
        os.write(fd, data)
        os.lseek(fd, 0, os.SEEK_SET)
        return fd
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    os.write(write_fd, data)  # a pipe holds 64 KiB, macOS's too once it has grown
    os.close(write_fd)
    return read_fd


def _closing() -> list[tuple[int, ...]]:
    """How to close what the child would inherit: Python's descriptors are closed by exec, those of C libraries may not
    be.
    """
    if hasattr(os, "POSIX_SPAWN_CLOSEFROM"):  # Python 3.13 and glibc 2.34
        return [(os.POSIX_SPAWN_CLOSEFROM, 3)]
    return [(os.POSIX_SPAWN_CLOSE, fd) for fd in map(int, os.listdir("/dev/fd")) if fd > 2 and _is_inheritable(fd)]


def _is_inheritable(fd: int) -> bool:
    try:
        return os.get_inheritable(fd)
    except OSError:
        return False  # the listing's own descriptor, gone by now


def _not_started(program: str, error: OSError) -> NotPermittedError | UnavailableError:
    why = os.strerror(error.errno or 0)
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = "The file has to be executable for this account."
        return NotPermittedError("it can't be started", where=program, why=why, hint=hint, code="launch.not-permitted")
    hint = "Give the program's full path, or add its directory to PATH."
    if error.errno not in (errno.ENOENT, errno.ENOTDIR):
        hint = "Look at the limits of this account and at the memory."
    return UnavailableError("it can't be started", where=program, why=why, hint=hint, code="launch.failed")
