"""For tests of services: a year in a second, a computer that is not there, faults where you want them.

Floor: beside ``services``, above ``app``. Nothing of it is loaded by a service.
"""

from __future__ import annotations

from stayon.testing.clock import ManualClock
from stayon.testing.crew import sleep
from stayon.testing.faults import Faults, every_fault
from stayon.testing.log_book import LogRecord
from stayon.testing.machine import FakeMachine
from stayon.testing.simulation import Simulation, simulate

__all__ = ["FakeMachine", "Faults", "LogRecord", "ManualClock", "Simulation", "every_fault", "simulate", "sleep"]
