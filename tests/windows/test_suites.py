"""Our other suites on Windows' CPython: what is stored, locked, watched and started is the same there."""

from __future__ import annotations

import sys
from concurrent.futures import Future
from typing import TYPE_CHECKING

import pytest

from tests.windows.suites import LIMIT_S, run_native_suites

if TYPE_CHECKING:
    from tests.windows.lab import Answer, Lab

pytestmark = pytest.mark.slow


def test_the_suites_pass_on_windows_python(lab: Lab, suites: Future[Answer]) -> None:
    """All contracts, and the units that deal with the system, pass there, or are skipped by name."""
    if not lab.is_wine:
        pytest.skip("on Windows they are run as they are")
    answer = suites.result(LIMIT_S)
    sys.stdout.write(answer.out.rpartition("\n==")[2])  # how many there were, for -s
    assert answer.code == 0, answer.out + answer.err


@pytest.mark.linux
@pytest.mark.needs_mingw
def test_the_suites_pass_through_the_launchers_calls(lab: Lab, suites: Future[Answer]) -> None:
    """The same, with Win32 as one-file programs call it."""
    suites.result(LIMIT_S)  # one at a time
    answer = run_native_suites(lab)
    sys.stdout.write(answer.out.rpartition("\n==")[2])
    assert answer.code == 0, answer.out + answer.err
