"""systemctl and systemd-analyze, called by list; and what they say in our words."""

from __future__ import annotations

import os
import select

from stayon.core.record import Record
from stayon.errors import FailedError, NotPermittedError, StayonError, TemporaryError, UnavailableError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stayon.ports import Child, Clock, Launcher

# What systemctl asks for takes a moment; only a job that is waited for takes longer.
QUICK_S = 60.0

_DENIED = ("Access denied", "nteractive authentication required", "ermission denied", "uthentication is required")
_UNREACHABLE = ("Failed to connect to", "System has not been booted", "Failed to get D-Bus connection")


class Answer(Record):
    """How a program ended, and what it printed."""

    code: int
    text: str


class Systemctl:
    """The system's systemd, or that of the user who asks (*for_user*)."""

    def __init__(self, launcher: Launcher, clock: Clock, *, for_user: bool) -> None:
        self.for_user = for_user
        self._launcher, self._clock = launcher, clock

    def ask(self, *words: str, timeout_s: float = QUICK_S) -> Answer:
        """``systemctl`` with *words*. Raises ``TemporaryError`` after *timeout_s*, and what the launcher raises."""
        head = ("systemctl", "--user") if self.for_user else ("systemctl",)
        return self._run((*head, "--no-pager", "--no-ask-password", *words), timeout_s)

    def do(self, *words: str, timeout_s: float = QUICK_S) -> str:
        """As ``ask``; raises ``StayonError`` if it says no, else gives what it printed."""
        answer = self.ask(*words, timeout_s=timeout_s)
        if answer.code:
            raise self.explained(answer, " ".join(words))
        return answer.text

    def show(self, unit: str, properties: Sequence[str]) -> dict[str, str]:
        """The *properties* of *unit*; "" for those that this systemd doesn't know. Raises ``StayonError``."""
        text = self.do("show", f"--property={','.join(properties)}", "--", unit)
        found = dict.fromkeys(properties, "")
        for line in text.splitlines():
            name, equals, value = line.partition("=")
            if equals and name in found:
                found[name] = value
        return found

    def version(self) -> int:
        """The number of its release: 252 for "systemd 252 (252.38-1~deb12u1)". Raises ``UnavailableError``."""
        said = self._run(("systemctl", "--version"), QUICK_S).text
        # What it complains of comes on the same pipe.
        head = next((line.split() for line in said.splitlines() if line.startswith("systemd ")), [])
        number = head[1].partition(".")[0].partition("~")[0] if len(head) > 1 else ""
        if not number.isdigit():
            raise UnavailableError(
                "systemctl doesn't say which version it is", why=said.partition("\n")[0], code="systemd.unreachable"
            )
        return int(number)

    def verify(self, directory: str, units: Sequence[str], version: int) -> Answer:
        """``systemd-analyze verify`` of *units*, which are in *directory*."""
        options = ["--man=no", *(["--recursive-errors=no"] if version >= 250 else [])]
        words = ["systemd-analyze", *(["--user"] if self.for_user else []), "verify", *options]
        return self._run([*words, *(os.path.join(directory, unit) for unit in units)], QUICK_S)

    def explained(self, answer: Answer, asked: str) -> StayonError:
        """What *answer* to what was *asked* means."""
        lines = answer.text.strip().splitlines() or [f"exit code {answer.code}"]
        why = lines[0].rstrip(".")
        if any(sign in answer.text for sign in _DENIED):
            return NotPermittedError(
                f"systemd doesn't let this account {asked}",
                why=why,
                hint="Say it as root.",
                code="systemd.access-denied",
            )
        if any(sign in answer.text for sign in _UNREACHABLE):
            return self._unreachable(why)
        if "Operation refused" in answer.text:
            return UsageError(
                "it is disabled: nobody may start it",
                hint="Have it started by hand: install it with --start manual.",
                code="systemd.disabled",
            )
        error = FailedError(f"systemd refused to {asked}", why=why, code="systemd.refused")
        error.details = tuple(lines[1:])
        return error

    def _unreachable(self, why: str) -> UnavailableError:
        if self.for_user:
            return UnavailableError(
                "this account's own systemd isn't running",
                why=why,
                hint="Log in as it (su and sudo are no login), or have it run always: sudo loginctl enable-linger USER",
                code="systemd.no-user-manager",
            )
        return UnavailableError(
            "systemd isn't running, or not to be reached",
            why=why,
            hint="In a container, run the program itself: its runtime is the manager.",
            code="systemd.unreachable",
        )

    def _run(self, words: Sequence[str], timeout_s: float) -> Answer:
        child = self._launcher.spawn(words, env=_environment(for_user=self.for_user))
        try:
            text = self._read(child, timeout_s)
            code = None if text is None else child.wait(QUICK_S)
            if text is None or code is None:
                raise TemporaryError(
                    f"{words[0]} has not answered within {timeout_s:g} s",
                    hint="It may get there yet; --timeout waits longer.",
                    code="systemd.timeout",
                )
            return Answer(code, text)
        finally:
            child.kill()
            os.close(child.output)

    def _read(self, child: Child, timeout_s: float) -> str | None:
        """All that it prints, to the end; None if that isn't reached in time."""
        deadline, found = self._clock.monotonic() + timeout_s, bytearray()
        poll = select.poll()
        poll.register(child.output, select.POLLIN)
        while poll.poll(max(0.0, deadline - self._clock.monotonic()) * 1000):
            piece = os.read(child.output, 65536)
            if not piece:
                return found.decode("utf-8", "replace")
            found += piece
        return None


def _environment(*, for_user: bool) -> Mapping[str, str]:
    """Ours, with systemd's words in English, and the way to a user's manager where a login has not set it."""
    own = {"LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
    runtime = f"/run/user/{os.getuid()}"
    if for_user and "XDG_RUNTIME_DIR" not in os.environ and os.path.isdir(runtime):
        own["XDG_RUNTIME_DIR"] = runtime
    return {**os.environ, **own}
