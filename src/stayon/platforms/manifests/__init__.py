"""What a container platform needs to run a service, as text: the same on every system, as it runs elsewhere anyway."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from stayon.core.installation import Installation


def exports() -> dict[str, Callable[[Installation], str]]:
    """The formats by name, each a function from an installation to its text."""
    from stayon.platforms.manifests.compose import compose
    from stayon.platforms.manifests.kubernetes import kubernetes

    return {"kubernetes": kubernetes, "compose": compose}
