"""Processes in the system's list of all, on any computer."""

from __future__ import annotations

import pytest

from stayon.platforms.windows.process import listed_identity


def entry(pid: int, created: int, size: int, following: int) -> bytes:
    """SYSTEM_PROCESS_INFORMATION of winternl.h, as far as it counts here."""
    words = {0: following.to_bytes(4, "little"), 32: created.to_bytes(8, "little"), 80: pid.to_bytes(8, "little")}
    data = bytearray(size)
    for at, word in words.items():
        data[at : at + len(word)] = word
    return bytes(data)


LISTED = entry(0, 0, 184, 184) + entry(4, 11, 264, 264) + entry(4000, 13_344, 184, 0)


@pytest.mark.parametrize(("pid", "identity"), [(4, "11"), (4000, "13344"), (4004, "")])
def test_a_process_that_can_not_be_opened_is_known_by_the_list(pid: int, identity: str) -> None:
    """The time when it was made: what who may open it is told, too."""
    assert listed_identity(LISTED, pid) == identity


@pytest.mark.parametrize("size", [0, 3, 87, 200])
def test_a_list_that_was_cut_ends_there(size: int) -> None:
    """Nothing is found behind its end."""
    assert listed_identity(LISTED[:size], 4000) == ""
