"""The program launchctl: each of its verbs that we need as a function, and its refusals as a ``LaunchctlError``.

(``load``, ``unload``, ``start`` and ``stop`` are of an older launchd, and give no exit code.)
"""

from __future__ import annotations

import os

from stayon.errors import FailedError, NotPermittedError, StayonError, TemporaryError, UnavailableError
from stayon.platforms.launchd import plist, printed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.platforms.launchd.printed import Job

LAUNCHCTL = "/bin/launchctl"

# Its exit codes are errno's, or above 100 launchd's own (``launchctl error N`` names them).
NOT_PERMITTED, NO_PROCESS, IO_ERROR, ACCESS = 1, 3, 5, 13
NOW_IN_PROGRESS, ALREADY_IN_PROGRESS = 36, 37
NO_DOMAIN, NO_SERVICE, DISABLED, NO_SUCH_ACTION, NOT_PRIVILEGED = 112, 113, 119, 125, 150

# Longer than any verb of it takes: the slowest waits for a job to end.
LIMIT_S = 60.0


class LaunchctlError(Exception):
    """launchctl has refused *verb*: with *code*, and in *text*."""

    def __init__(self, verb: str, code: int, text: str) -> None:
        super().__init__(f"launchctl {verb}: {text} (exit code {code})")
        self.verb, self.code, self.text = verb, code, text

    @property
    def wants_root(self) -> bool:
        """Whether root would have been heard: newer ones say "Input/output error", and that root would hear more."""
        return self.code in (NOT_PERMITTED, ACCESS, NOT_PRIVILEGED) or " as root " in self.text


class Launchctl:
    """Runs *program*. Everything blocks, for at most a minute, and raises ``LaunchctlError``; ``UnavailableError`` if
    there is no launchctl.
    """

    def __init__(self, program: str = LAUNCHCTL) -> None:
        self.program = program

    def bootstrap(self, domain: str, path: str) -> None:
        """Load the job at *path*; it starts."""
        self._run("bootstrap", domain, path)

    def bootout(self, target: str) -> None:
        """Stop the job *target* (DOMAIN/LABEL), and forget it."""
        self._run("bootout", target)

    def kickstart(self, target: str, *, kill: bool = False) -> None:
        """Start a loaded job now, whatever its throttle; nothing if it runs, unless *kill* is to end it first."""
        self._run("kickstart", *(("-k",) if kill else ()), target)

    def kill(self, target: str, signal: str) -> None:
        """Send its process a signal, by name ("SIGTERM")."""
        self._run("kill", signal, target)

    def job(self, target: str) -> Job | None:
        """How the job *target* is; None if it isn't loaded."""
        try:
            return printed.parsed(self._run("print", target), plist.DIGEST)
        except LaunchctlError as error:
            if error.code in (NO_SERVICE, NO_DOMAIN, NO_PROCESS):
                return None
            raise

    def has_domain(self, domain: str) -> bool:
        """Whether there is the domain (a user has gui/UID while logged in at the screen)."""
        try:
            self._run("print", domain)
        except LaunchctlError:
            return False
        return True

    def _run(self, *words: str) -> str:
        import subprocess

        try:
            # Its answers have to be in the one language that is known here.
            done = subprocess.run(
                [self.program, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=LIMIT_S,
                check=False,
                env={**os.environ, "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired as error:
            raise LaunchctlError(words[0], ALREADY_IN_PROGRESS, f"no answer in {LIMIT_S:g} s") from error
        except OSError as error:
            raise UnavailableError(
                "launchctl can't be run",
                where=self.program,
                why=error.strerror or str(error),
                hint="It is part of macOS, and launchd keeps services only there.",
                code="launchd.no-launchctl",
            ) from error
        if done.returncode:
            said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
            raise LaunchctlError(words[0], done.returncode, "; ".join(said.splitlines()) or "it said nothing")
        return done.stdout.decode("utf-8", "replace")


def explained(error: LaunchctlError, name: str, target: str) -> StayonError:
    """What launchctl's refusal about the service *name* means, and what to do about it."""
    why = f"{error.text} (launchctl {error.verb}, exit code {error.code})"
    if error.wants_root:
        return NotPermittedError(
            f"launchd does not let this account {error.verb} it",
            where=target,
            why=why,
            hint="Use sudo for a daemon; an agent obeys only the user whose it is.",
            code="launchd.access-denied",
        )
    if error.code in (NO_DOMAIN, NO_SUCH_ACTION):
        return UnavailableError(
            "launchd has no place for it now",
            where=target,
            why=why,
            hint="An agent needs its user's session: log in at the screen, or install a daemon with sudo.",
            code="launchd.no-session",
        )
    if error.code in (NOW_IN_PROGRESS, ALREADY_IN_PROGRESS):
        return TemporaryError(
            f"launchd is still busy with {name}", where=target, why=why, hint="Try again.", code="launchd.busy"
        )
    hint = f"Was it disabled? launchctl enable {target}" if error.code in (DISABLED, IO_ERROR) else ""
    return FailedError("launchd refused", where=target, why=why, hint=hint, code="launchd.refused")
