"""Letting time pass by a clock of the port, as those do who wait for what nobody tells."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.ports import Clock


def pause(clock: Clock, length_s: float) -> None:
    """Let *length_s* pass. Blocks."""
    gate = clock.gate()
    gate.acquire()
    clock.wait(gate, length_s)
