"""Starts processes, each in a Job object of its own: what it starts is in it too, and ends with it or with us.

(https://learn.microsoft.com/windows/win32/procthread/job-objects; nested ones need Windows 8.)
"""

from __future__ import annotations

import os
import time
from _thread import allocate_lock

from stayon.errors import NotPermittedError, UnavailableError
from stayon.platforms.windows import win32
from stayon.platforms.windows.sids import win32_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    _winapi: Any
    msvcrt: Any
else:
    import _winapi
    import msvcrt

# As a killed process ends on Unix: by signal 9.
KILLED = -9
# How long a killed process may take to be gone: one that hangs in a driver never is.
BURIAL_S = 5.0

# The first holds all that a child may be given, with room to spare, so that writing it never waits.
_STDIN_BYTES, _OUTPUT_BYTES = 2 * 65536, 65536
_SUSPENDED, _NEW_PROCESS_GROUP, _NO_WINDOW = 0x4, 0x200, 0x08000000
_USE_STD_HANDLES = 0x100
_EXTENDED_LIMITS = 9  # JobObjectExtendedLimitInformation
_BREAKAWAY_OK, _KILL_ON_JOB_CLOSE = 0x800, 0x2000
_THIS_PROCESS = 2**64 - 1  # GetCurrentProcess's pseudo handle
_ACCESS_DENIED, _ELEVATION_REQUIRED, _BAD_EXE = 5, 740, 193
_LONGEST_MS = 86_400_000

_kernel32 = win32.Library(
    "kernel32.dll",
    AssignProcessToJobObject="PP>i",
    CreateJobObjectW="PZ>P",
    GetConsoleCP=">I",
    ResumeThread="P>I",
    SetInformationJobObject="PiPI>i",
    TerminateJobObject="PI>i",
)

_own_job = 0


def adopt_self() -> bool:
    """Put this process into a job that ends with it: whatever it has started by then ends as well, however it ended.

    A process that is to live on can be started with CREATE_BREAKAWAY_FROM_JOB. Calling it twice is harmless. False
    where it can't be done (within another's job that forbids it), after which everything is as before.
    """
    global _own_job  # noqa: PLW0603  # a fact of the process; the handle is closed by its end, and by nothing else
    if _own_job:
        return True
    try:
        job = _new_job(_KILL_ON_JOB_CLOSE | _BREAKAWAY_OK)
    except OSError:
        return False
    if not _kernel32.AssignProcessToJobObject(job, _THIS_PROCESS):
        _winapi.CloseHandle(job)
        return False
    _own_job = job
    return True


class JobLauncher:
    """Starts processes suspended, puts them into their job, and only then lets them run: nothing gets out of it."""

    def __init__(self) -> None:
        # Asked once: to stop a child, a service is in that one's console for a moment, where no other may begin.
        self._shares_console = bool(_kernel32.GetConsoleCP())

    def spawn(self, command: Sequence[str], *, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> JobChild:
        """Start *command*, looked for in PATH; *stdin* is what it reads, ``output`` a pipe with what it prints.

        Whoever gets the child closes ``output``. Raises ``UnavailableError`` (no such program, no room for a process)
        or ``NotPermittedError``.
        """
        from stayon.platforms.windows.command_line import command_line

        program = _found(command[0])
        read, write = _winapi.CreatePipe(None, _OUTPUT_BYTES)
        theirs = []
        try:
            theirs.append(_inheritable(write))
            theirs.append(_stdin(stdin))
            child = _start(
                program, command_line(command), env, (theirs[1], theirs[0]), shares_console=self._shares_console
            )
        except OSError as error:
            _winapi.CloseHandle(read)
            raise _not_started(command[0], error) from error
        finally:
            for handle in theirs:
                _winapi.CloseHandle(handle)
        child.output = msvcrt.open_osfhandle(read, os.O_RDONLY)
        return child


class JobChild:
    """A started process and its job. With this object goes whatever is left of them."""

    output = -1

    def __init__(self, pid: int, process: int, job: int, *, shares_console: bool) -> None:
        self.pid = pid
        self._process, self._job = process, job
        self._shares_console = shares_console
        self._lock = allocate_lock()

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Its exit code, or None if *timeout_s* was over first. Blocks. Negative: ``KILLED``, or the exception's
        number (NTSTATUS) that ended it.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_ms = _LONGEST_MS if deadline is None else int(max(0.0, deadline - time.monotonic()) * 1000 + 0.999)
            try:
                # (Unlike WaitForSingleObject, this ends at a Ctrl-C.)
                ended = _winapi.WaitForMultipleObjects([self._process], False, min(left_ms, _LONGEST_MS)) == 0
            except InterruptedError:
                continue
            if ended:
                return signed(_winapi.GetExitCodeProcess(self._process))
            if deadline is not None and time.monotonic() >= deadline:
                return None

    def kill(self) -> None:
        """End it and every process that it started, or they did. Does not wait; calling it twice is harmless."""
        with self._lock:
            _kernel32.TerminateJobObject(self._job, KILLED & 0xFFFFFFFF)

    def stop(self, grace_s: float) -> int | None:
        """Ask it to end (Ctrl-Break, and WM_CLOSE for its windows), wait for at most *grace_s*, and kill what is left.

        Gives its exit code; None if it could not even be killed. Blocks.
        """
        from stayon.platforms.windows.asking import ask_to_end

        if self.wait(0) is None:
            ask_to_end(self.pid, shares_console=self._shares_console)
        self.wait(grace_s)
        self.kill()
        return self.wait(BURIAL_S)

    def __del__(self) -> None:
        _winapi.CloseHandle(self._process)
        _winapi.CloseHandle(self._job)


def signed(exit_code: int) -> int:
    """An exit code of Windows, 32 bits without a sign, with one: what a program gives stays as it is, what ended it
    against its will is below 0.
    """
    return exit_code - (1 << 32) if exit_code & 0x80000000 else exit_code


class _StartupInfo:
    """STARTUPINFO as CreateProcess of ``_winapi`` reads it: these three handles, and no other, are inherited."""

    dwFlags = _USE_STD_HANDLES  # noqa: N815  # Win32's names
    wShowWindow = 0  # noqa: N815  # as above

    def __init__(self, stdin: int, output: int) -> None:
        self.hStdInput, self.hStdOutput, self.hStdError = stdin, output, output
        self.lpAttributeList = {"handle_list": [stdin, output]}


def _start(
    program: str, line: str, env: Mapping[str, str] | None, handles: tuple[int, int], *, shares_console: bool
) -> JobChild:
    """Raises ``OSError``, with nothing left."""
    flags = _SUSPENDED | _NEW_PROCESS_GROUP | (0 if shares_console else _NO_WINDOW)
    job = _new_job(_KILL_ON_JOB_CLOSE)
    try:
        process, thread, pid, _tid = _winapi.CreateProcess(
            program, line, None, None, True, flags, env, None, _StartupInfo(*handles)
        )
    except BaseException:
        _winapi.CloseHandle(job)
        raise
    try:
        if not _kernel32.AssignProcessToJobObject(job, process):
            error = win32_error()
            _winapi.TerminateProcess(process, KILLED & 0xFFFFFFFF)
            raise error
        _kernel32.ResumeThread(thread)
    except BaseException:
        _winapi.CloseHandle(process)
        _winapi.CloseHandle(job)
        raise
    finally:
        _winapi.CloseHandle(thread)
    return JobChild(pid, process, job, shares_console=shares_console)


def _new_job(limits: int) -> int:
    """A job that is killed when its last handle is closed. Raises ``OSError``."""
    job: int | None = _kernel32.CreateJobObjectW(None, None)
    if not job:
        raise win32_error()
    # JOBOBJECT_EXTENDED_LIMIT_INFORMATION: 144 bytes, LimitFlags at 16.
    information = b"\0" * 16 + limits.to_bytes(4, "little") + b"\0" * 124
    if not _kernel32.SetInformationJobObject(job, _EXTENDED_LIMITS, information, len(information)):
        error = win32_error()
        _winapi.CloseHandle(job)
        raise error
    return job


def _inheritable(handle: int) -> int:
    """The same for a child, in place of *handle*."""
    here = _winapi.GetCurrentProcess()
    options = _winapi.DUPLICATE_SAME_ACCESS | _winapi.DUPLICATE_CLOSE_SOURCE
    found: int = _winapi.DuplicateHandle(here, handle, here, 0, True, options)
    return found


def _stdin(data: bytes) -> int:
    """A handle for a child from which *data* can be read, to its end. The pipe holds it all, so nobody waits."""
    read, write = _winapi.CreatePipe(None, _STDIN_BYTES)
    try:
        if data:
            _winapi.WriteFile(write, data)
    finally:
        _winapi.CloseHandle(write)
    return _inheritable(read)


def _found(program: str) -> str:
    """The program's path. Not CreateProcess's search, which begins in the current directory, anybody's maybe."""
    if any(letter in program for letter in "/\\:"):
        candidates = [program]
    else:
        directories = [one for one in os.environ.get("PATH", "").split(";") if one]
        candidates = [os.path.join(directory.strip('"'), program) for directory in directories]
    for candidate in candidates:
        for path in (candidate, f"{candidate}.exe", f"{candidate}.com"):
            if os.path.isfile(path):
                return _checked(program, path)
    raise _not_started(program, FileNotFoundError(2, os.strerror(2)))


def _checked(program: str, path: str) -> str:
    """Windows would have cmd.exe run a batch file, and that takes the arguments apart by rules of its own. (It leaves
    out dots and blanks at the end of a name.)
    """
    if path.lower().rstrip(". ").endswith((".bat", ".cmd")):
        raise UnavailableError(
            "a batch file is not started",
            where=program,
            why="a shell would look at its arguments",
            hint="Start the program that it starts; or cmd.exe with /c, if the arguments are your own.",
            code="launch.failed",
        )
    return path


def _not_started(program: str, error: OSError) -> NotPermittedError | UnavailableError:
    why, code = error.strerror or str(error), getattr(error, "winerror", None)
    if code in (_ACCESS_DENIED, _ELEVATION_REQUIRED):
        hint = "This account needs the right to execute the file; one that asks for elevation needs an administrator."
        return NotPermittedError("it can't be started", where=program, why=why, hint=hint, code="launch.not-permitted")
    hint = "Give the program's full path, or add its directory to PATH."
    if code == _BAD_EXE:
        hint = "It is no program for this computer: look at the file, and whether it is for this processor."
    elif code is not None:
        hint = "Look at the limits of this account and at the memory."
    return UnavailableError("it can't be started", where=program, why=why, hint=hint, code="launch.failed")
