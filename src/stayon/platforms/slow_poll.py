"""A directory watch for systems that tell nothing: the caller's slow poll has to look."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class SlowPollWatch:
    """Has no descriptor, and always answers that anything may have changed."""

    def watch(self, directories: Sequence[str], *, writes: bool = False) -> None:
        """Nothing is watched."""

    def fileno(self) -> int:
        """-1: there is none."""
        return -1

    def drain(self) -> set[str]:
        """Unknown: look at everything."""
        return {""}

    def close(self) -> None:
        """There is nothing to give back."""
