"""What a service manager runs beside a service to have it read its configuration again, and to hear what came of it
(systemd.service(5), ExecReload=).
"""

from __future__ import annotations

from stayon import app
from stayon.runtime.control_client import ControlClient

# Longer than all hooks of a service may take, as a rule; its manager may give up sooner.
ANSWER_S = 300.0


def reload(name: str, instance: str) -> None:
    """Have the service *name* reload, and wait for the end of that. In its own account and its own environment.

    Raises what the service says: ``TemporaryError`` where it is refused, ``ConfigError`` where the configuration is
    wrong; ``UnavailableError`` if nobody is there.
    """
    machine = app.here()
    paths = app.paths_of(machine, name, instance)
    ControlClient(machine.control_door, paths.control).ask("reload", {"source": "its manager"}, ANSWER_S)
