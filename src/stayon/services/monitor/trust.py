"""Whom to believe about certificates. Contexts are shared: the system's authorities fill a megabyte each time."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache

from stayon import ConfigError


def trust(ca_file: str = "", *, verify: bool = True) -> ssl.SSLContext:
    """The context for TLS with those who are certified by *ca_file*, or by the system's authorities.

    Raises ``ConfigError`` if the file cannot be used.
    """
    try:
        return _made(ca_file, os.stat(ca_file).st_mtime_ns if ca_file else 0, verify=verify)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            "the CA file cannot be used",
            where=ca_file,
            why=error.strerror or str(error),
            hint="It must be readable, and hold certificates in PEM.",
            code="monitor.ca-file",
        ) from error


@lru_cache(maxsize=64)
def _made(ca_file: str, _changed_at_ns: int, *, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file or None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
