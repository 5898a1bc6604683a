"""The configuration that holds now: one reference to one immutable object, so that no reader ever sees a mix."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stayon.runtime.config.store import Loaded


class LiveConfig:
    """Readers take ``current``; only a reload's transaction swaps. *generation* counts the swaps that were kept."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.generation = 1

    @property
    def current(self) -> Any:
        """What the user's code gets: an object of their type, or ``Settings``."""
        return self.loaded.config

    def swap(self, loaded: Loaded) -> Loaded:
        """Let *loaded* hold from now on; gives what held before. One assignment, which is atomic."""
        before, self.loaded = self.loaded, loaded
        return before
