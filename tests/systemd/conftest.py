"""What the tests of services under systemd share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.systemd import lab as laboratory

TIMEOUT_S = 120  # a busy machine is not a failure
TOLD_OF_A_FAILURE = 60


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """All of these may take longer than others, the boot included."""
    if config.pluginmanager.hasplugin("timeout"):
        for item in items:
            if item.path.parent.name == "systemd":
                item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A failed test shows the lab's journal, as the lab will be gone."""
    report: Any = yield
    lab = getattr(item, "funcargs", {}).get("systemd")
    if report.failed and lab is not None:
        records = lab.run("journalctl", f"-n{TOLD_OF_A_FAILURE}", "--output=short-precise", "--no-pager")
        report.sections.append(("journal of the lab", records.out + records.err))
    return report


@pytest.fixture
def until() -> Callable[..., Any]:
    """``until(is_so, "what")``: look until it is so, and fail if that takes too long."""
    return laboratory.wait_until
