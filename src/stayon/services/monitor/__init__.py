"""The endpoint monitor: watches HTTP, TCP and TLS endpoints from one configuration file, and tells when one goes down.

``python -m stayon.services.monitor`` runs it, with the verbs that every service has; ``examples/monitor.toml`` shows
all it can be told. It is an ordinary program: it imports ``stayon`` and nothing deeper.
"""

from __future__ import annotations

from stayon.services.monitor.program import service

__all__ = ["service"]
