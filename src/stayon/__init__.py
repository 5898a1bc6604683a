"""stayon: one Python file becomes a background service that stays on.

The names below are the whole public API; each is imported when it is first used (PEP 562), so that a service pays for
what it uses. ``stayon.testing`` and ``stayon.services`` are public as well, under their own names.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.cli.program import Service as Service
    from stayon.core.events import Event as Event
    from stayon.core.overlap import parallel as parallel
    from stayon.core.restart import backoff as backoff
    from stayon.core.restart import immediate as immediate
    from stayon.core.restart import never as never
    from stayon.errors import ConfigError as ConfigError
    from stayon.errors import FailedError as FailedError
    from stayon.errors import NotPermittedError as NotPermittedError
    from stayon.errors import StayonError as StayonError
    from stayon.errors import TemporaryError as TemporaryError
    from stayon.errors import UnavailableError as UnavailableError
    from stayon.errors import UsageError as UsageError
    from stayon.runtime.config.reload import ReloadAborted as ReloadAborted
    from stayon.runtime.config.secrets import Secret as Secret
    from stayon.runtime.config.shapes import needs_restart as needs_restart
    from stayon.runtime.context import Context as Context

__version__ = "0.1.0"

_HOMES = {
    "Service": "cli.program",
    "Context": "runtime.context",
    "never": "core.restart",
    "immediate": "core.restart",
    "backoff": "core.restart",
    "parallel": "core.overlap",
    "Secret": "runtime.config.secrets",
    "needs_restart": "runtime.config.shapes",
    "ReloadAborted": "runtime.config.reload",
    "Event": "core.events",
    "StayonError": "errors",
    "UsageError": "errors",
    "UnavailableError": "errors",
    "FailedError": "errors",
    "TemporaryError": "errors",
    "NotPermittedError": "errors",
    "ConfigError": "errors",
}

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604  # strings they are


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'stayon' has no attribute {name!r}")
    value = getattr(__import__(f"stayon.{_HOMES[name]}", fromlist=[name]), name)
    globals()[name] = value
    return value
