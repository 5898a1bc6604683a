"""Which modules a start of the program needs: those are kept as they are loaded; all others are packed."""

from __future__ import annotations

from stayon.build import library as tables
from stayon.build.search import BY_C

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.build.search import Closure


def at_start(closure: Closure, platform: str) -> frozenset[str]:
    """The modules that the program and a plain service import until it is idle, as far as imports tell."""
    onward: dict[str, list[str]] = {}
    for name, edge in closure.reasons:
        if not edge.is_soft and edge.why != BY_C:
            onward.setdefault(edge.importer, []).append(name)
    found: set[str] = set()
    left = [closure.program, *tables.SOON[platform], *tables.START]
    while left:
        name = left.pop()
        if name in found or name not in closure.nodes:
            continue
        found.add(name)
        # (A package is imported with what is in it.)
        left += [*onward.get(name, ()), name.rpartition(".")[0]]
    return frozenset(found)
