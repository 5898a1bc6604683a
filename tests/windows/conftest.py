"""What the tests of services in a real Service Control Manager share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.windows import lab as laboratory

# A start takes 0.3 s on a quiet machine, a verb 0.6 s; a busy one is not a failure.
TIMEOUT_S = 300


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """All of these may take longer than others, the making of the lab included."""
    if config.pluginmanager.hasplugin("timeout"):
        for item in items:
            if item.path.parent.name == "windows":
                item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture
def until() -> Callable[..., object]:
    """``until(is_so, "what")``: look until it is so, and fail if that takes too long."""
    return laboratory.wait_until
