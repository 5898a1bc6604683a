"""What the user's program has registered with ``prometheus_client``, if it has loaded that. We never import it."""

from __future__ import annotations

import sys

from stayon.runtime import metric_names as names
from stayon.runtime.exposition import family_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class _Selection:
    """A registry as ``generate_latest`` sees it: the real one without the metrics whose names are taken."""

    def __init__(self, registry: Any, taken: set[str]) -> None:
        self._registry, self._taken = registry, taken
        self.left_out = 0

    def collect(self) -> Iterator[Any]:
        for metric in self._registry.collect():
            lines = {metric.name, *(sample.name for sample in metric.samples)}
            if lines & self._taken:
                self.left_out += 1
            else:
                yield metric


def foreign_text(taken: set[str]) -> str:
    """``prometheus_client.REGISTRY`` as text without the names in *taken*, and how many those were; "" if not loaded.

    Runs the collectors registered there: may block, and raises what they raise.
    """
    client = sys.modules.get("prometheus_client")
    registry, generate = getattr(client, "REGISTRY", None), getattr(client, "generate_latest", None)
    if registry is None or generate is None:
        return ""  # not loaded, or still being imported by another thread
    selection = _Selection(registry, taken)
    text: str = generate(selection).decode()
    clashing = names.METRICS_CLASHING
    return text + family_text(clashing.name, clashing.kind, clashing.help_text, [("", "", selection.left_out)])
