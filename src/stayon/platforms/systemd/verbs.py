"""Starting, stopping and reloading through systemd, and waiting for its jobs."""

from __future__ import annotations

from stayon.core.duration import text
from stayon.errors import FailedError, StayonError, TemporaryError, UsageError
from stayon.platforms.systemd import sight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stayon.platforms.systemd.systemctl import Answer, Systemctl
    from stayon.ports import Clock

_ALIVE = ("active", "reloading")


class Conversation:
    """What is asked of systemd within *timeout_s* from now on. Raises ``StayonError``."""

    def __init__(self, systemctl: Systemctl, clock: Clock, timeout_s: float, tell: Callable[[str], object]) -> None:
        self._systemctl, self._clock, self._tell = systemctl, clock, tell
        self._timeout_s, self._deadline = timeout_s, clock.monotonic() + timeout_s

    def ask(self, unit: str, verb: str, arguments: Sequence[str], sockets: Sequence[str]) -> None:
        """Do what *verb* says with *unit* and the *sockets* that belong to it, and wait until it is done."""
        if arguments:
            raise UsageError(
                "systemd passes no arguments on at a start",
                why=" ".join(arguments),
                hint="Put them into the configuration, or install it with --set KEY=VALUE.",
                code="systemd.arguments",
            )
        if verb in ("start", "restart"):
            self._start(unit, verb)
        elif verb == "stop":
            # Listening sockets would start it again.
            failed = self._job("stop", [*sockets, unit], unit)
            if failed is not None:
                raise self._not_stopped(unit, failed)
        elif verb == "reload":
            self._reload(unit)
        else:
            raise UsageError(f"systemd can't {verb} a service", hint="Ask the service itself.", code="manager.verb")

    def _start(self, unit: str, verb: str) -> None:
        # Who asks has a reason to believe that it works now, however often it has failed.
        self._systemctl.ask("reset-failed", "--", unit)
        failed = self._job(verb, [unit], unit)
        if failed is not None:
            raise self._not_started(unit, failed)

    def _reload(self, unit: str) -> None:
        failed = self._job("reload", [unit], unit)
        if failed is not None:
            raise FailedError(
                f"{_name(unit)} did not take its new configuration, and goes on with the old one",
                hint=f"Its log says why: journalctl -u {unit} -n 20",
                code="systemd.reload-refused",
            )

    def _job(self, verb: str, units: Sequence[str], unit: str) -> StayonError | None:
        """Have systemd do it and wait; gives why it failed, if it did. Raises what is no failure of the service's."""
        self._tell(f"{verb}: {_name(unit)}")
        answer = self._wait_for(verb, units, unit)
        if not answer.code:
            return None
        error = self._systemctl.explained(answer, f"{verb} {_name(unit)}")
        if type(error) is not FailedError or "Job for" not in answer.text:
            raise error
        return error

    def _wait_for(self, verb: str, units: Sequence[str], unit: str) -> Answer:
        left_s = max(0.0, self._deadline - self._clock.monotonic())
        try:
            return self._systemctl.ask(verb, "--", *units, timeout_s=left_s)
        except TemporaryError as error:
            shown = self._systemctl.show(unit, sight.PROPERTIES)
            said = f": {shown['StatusText']}" if shown["StatusText"] else ""
            raise TemporaryError(
                f"{_name(unit)} is still {shown['ActiveState']} after {text(self._timeout_s)}{said}",
                hint=f"It may get there yet: see systemctl status {unit}. --timeout waits longer.",
                code="systemd.timeout",
            ) from error

    def _not_stopped(self, unit: str, failed: StayonError) -> StayonError:
        """Somebody else has asked for something else meanwhile, which took the place of our job."""
        shown = self._systemctl.show(unit, sight.PROPERTIES)
        return TemporaryError(
            f"{_name(unit)} was not stopped as asked: it is {shown['ActiveState']}",
            why=failed.why,
            hint="Something else was asked of it at the same time; say it again.",
            code="systemd.not-stopped",
        )

    def _not_started(self, unit: str, failed: StayonError) -> StayonError:
        shown = self._systemctl.show(unit, sight.PROPERTIES)
        code, why = sight.ending(shown)
        if code > 0:
            why = f"exit code {code} ({why})"
        if shown["ActiveState"] in _ALIVE:
            why = "it is running by now: systemd has started it again"
        error = FailedError(
            f"{_name(unit)} ended before it was RUNNING",
            why=why or failed.why,
            hint=f"Its log may say why: journalctl -u {unit} -n 20",
            code="systemd.start-failed",
        )
        if 0 < code < sight.BEFORE_IT_RAN:
            error.exit_code = code
        return error


def _name(unit: str) -> str:
    return unit.removesuffix(".service")
