"""What the tests of services in a real Service Control Manager share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.windows import lab as laboratory
from tests.windows.lab import Answer
from tests.windows.suites import run_suites

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


@pytest.fixture(scope="session", autouse=True)
def suites(request: pytest.FixtureRequest) -> Iterator[Future[Answer] | None]:
    """The run of our other suites on Windows' Python, if it was asked for: begun before the first test here, so that
    it is done while the others wait for their services.
    """
    if not any(item.path.name == "test_suites.py" for item in request.session.items):
        yield None
        return
    lab = request.getfixturevalue("lab")
    if not lab.is_wine:
        yield None
        return
    executor = ThreadPoolExecutor(1)
    yield executor.submit(run_suites, lab)
    executor.shutdown(wait=False)  # the lab's end is its end
