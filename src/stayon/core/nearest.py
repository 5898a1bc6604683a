"""The known name that a mistyped one most likely means."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """The name in *known* most like *word*, or the empty string if none is near."""
    import difflib  # 1 MB, so only when somebody has mistyped something

    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence for an error's hint: the nearest name, or the list of all."""
    names = sorted(known)
    guess = nearest(word, names)
    if guess:
        return f'Did you mean "{guess}"?'
    return f"Known are: {', '.join(names)}." if names else ""
