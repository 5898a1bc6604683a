"""Why a module is in the file, or why it is not."""

from __future__ import annotations

from collections import deque

from stayon.core.nearest import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.build.search import Closure, Edge


def explained(closure: Closure, module: str) -> str:
    """The shortest chain of imports to *module*, one step a line with file and line; or why it was left out."""
    if module not in closure.nodes:
        if module not in closure.left_out:
            near = nearest(module, closure.nodes)
            return f"{module} is not in the file: nothing imports it.{f' Did you mean {near}?' if near else ''}"
        edge, why = closure.left_out[module]
        steps = [*_chain(closure, edge.importer), _step(closure, edge, module)] if edge.importer else []
        return "\n".join([*steps, f"{module} was left out: {why}. Have it by --include {module}"])
    return "\n".join(_chain(closure, module))


def _chain(closure: Closure, module: str) -> list[str]:
    """The steps from what is there by itself to *module*."""
    before: dict[str, Edge] = {}
    left: deque[str] = deque()
    for name, edge in closure.reasons:
        if name not in before and not edge.importer:
            before[name] = edge
            left.append(name)
    onward: dict[str, list[tuple[str, Edge]]] = {}
    for name, edge in closure.reasons:
        onward.setdefault(edge.importer, []).append((name, edge))
    while left:
        for name, edge in onward.get(left.popleft(), ()):
            if name not in before:
                before[name] = edge
                left.append(name)
    steps: list[str] = []
    at = module
    while at in before:
        steps.append(_step(closure, before[at], at))
        at = before[at].importer
    return steps[::-1]


def _step(closure: Closure, edge: Edge, module: str) -> str:
    if not edge.importer:
        return f"{module}: {edge.why}"
    origin = closure.nodes[edge.importer].found.origin or edge.importer
    where = f"{origin}:{edge.line}" if edge.line else origin
    return f"{where}: {edge.importer} imports {module}" + (f" ({edge.why})" if edge.why else "")
