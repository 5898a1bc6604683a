"""The known name that a mistyped one most likely means. (``difflib`` would cost 1.3 MB, for good, at the first
typing error.)
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def distance(one: str, other: str) -> int:
    """How many letters have to be added, left out, replaced or swapped with the next to make *one* from *other*.

    It is the "optimal string alignment" of Damerau and Levenshtein.
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, another in enumerate(other, 1):
            cost = min(before[j - 1] + (letter != another), before[j] + 1, row[j - 1] + 1)
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == another:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]


def is_near(one: str, other: str) -> bool:
    """Whether *one* may be *other*, mistyped: not the same, and at most every third letter is wrong."""
    allowed = max(1, max(len(one), len(other)) // 3)
    return abs(len(one) - len(other)) <= allowed and 0 < distance(one, other) <= allowed


def nearest(word: str, known: Iterable[str]) -> str:
    """The name in *known* most like *word*, or the empty string if none is near."""
    near = sorted((distance(word, name), name) for name in known if is_near(word, name))
    return near[0][1] if near else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence for an error's hint: the nearest name, or the list of all."""
    names = sorted(known)
    guess = nearest(word, names)
    if guess:
        return f'Did you mean "{guess}"?'
    return f"Known are: {', '.join(names)}." if names else ""
