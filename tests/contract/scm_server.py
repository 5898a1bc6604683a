"""Runs on Windows' Python: what a test on another system asks of our ``AdvapiStore`` and ``AdvapiCalls``.

A request is a line on standard input, a pickled ``("create", name, config)`` in hexadecimal digits; its answer a line
on standard output, a pickled ``(error, call, result)``.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any

from stayon.platforms.windows.advapi import AdvapiCalls, AdvapiStore
from stayon.platforms.windows.api import ScmError

store, calls = AdvapiStore(), AdvapiCalls()


def answer(act: str, *arguments: Any) -> tuple[int, str, Any]:
    """Do it."""
    try:
        return 0, "", getattr(calls if hasattr(calls, act) else store, act)(*arguments)
    except ScmError as error:
        return error.code, error.call, None


for line in sys.stdin:
    # Both ends are ours, as is the pipe.
    told = answer(*pickle.loads(bytes.fromhex(line)))  # noqa: S301  # as said
    sys.stdout.write(pickle.dumps(told).hex() + "\n")
    sys.stdout.flush()
