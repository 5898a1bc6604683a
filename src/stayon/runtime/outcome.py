"""How a life ended: state and result are two things, and the first failure is never masked by a later one."""

from __future__ import annotations

from stayon import exits
from stayon.errors import error_number_of, exit_code_of


class Outcome:
    """Collects what happens on the way to STOPPED; says the exit code and why."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.origin = ""
        self.later: list[str] = []
        # Whether somebody wanted it to stop: then no policy starts it again, however it ended.
        self.asked = False
        # Whether whoever asked wants it to be started again.
        self.again = False
        self._code = exits.DONE
        self._why = ""

    def fail(self, error: BaseException, origin: str) -> bool:
        """Note a failure in *origin* ("run", "job collect", "on_stop close"); True if it is the first."""
        if self.error is not None:
            self.later.append(f"{origin}: {text_of(error)}")
            return False
        self.error, self.origin = error, origin
        return True

    def end_with(self, code: int, why: str) -> None:
        """Note how it ended without a failure: done, stopped, forced. A failure goes before it."""
        self._code, self._why = code, why

    @property
    def exit_code(self) -> int:
        """The process's exit code. A failure never looks like a clean stop, whatever number it brings."""
        if self.error is None:
            return self._code
        code = exit_code_of(self.error)
        return code if 0 < code < 256 else exits.FAILED

    @property
    def error_number(self) -> int:
        """The errno of the failure, 0 if it has none."""
        return error_number_of(self.error) if self.error is not None else 0

    @property
    def why(self) -> str:
        """One line for people."""
        if self.error is None:
            return self._why
        rest = f" (then also {'; '.join(self.later)})" if self.later else ""
        return f"{self.origin}: {text_of(self.error)}{rest}"


def text_of(error: BaseException) -> str:
    """``ValueError: text``; our own errors say it all themselves."""
    name = type(error).__name__
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001  # an exception whose __str__ fails is still a failure to be told
        text = "(its text cannot be had)"
    if type(error).__module__ == "stayon.errors":
        return text
    return f"{name}: {text}" if text else name
