"""Threads, as cheap as they can be had.

``threading`` takes 0.3 MB and 2 ms. A service whose program doesn't import it does without: its threads are begun by
``_thread``, and are known to ``threading`` by their names once somebody has imported that.
"""

from __future__ import annotations

import sys
from _thread import get_ident, start_new_thread

if sys.version_info < (3, 13):
    # There, a thread that imports it first passes for the main one.
    import threading as _threading  # noqa: F401  # to be there is enough

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Of those that ``threading`` doesn't know.
_names: dict[int, str] = {}


def start_thread(function: Callable[[], object], name: str) -> None:
    """Have *function* called on a thread of its own, which does not keep the process alive. What it raises goes to
    ``threading.excepthook``. Raises ``RuntimeError`` if there can be no further thread.
    """
    threading = _imported()
    if threading is not None:
        threading.Thread(target=function, name=name, daemon=True).start()
    else:
        start_new_thread(_run, (function, name))


def make_known() -> None:
    """Have ``threading``, if it has been imported since this thread began, know the thread by its name."""
    threading = _imported()
    if threading is not None and get_ident() in _names:
        threading.current_thread().name = _names.pop(get_ident())


def tell_uncaught() -> None:
    """Give the exception that is being handled to ``threading.excepthook``, as one that this thread didn't catch."""
    import threading

    make_known()
    threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))


def names() -> dict[int, str]:
    """The names of all threads that have one, by their identifiers."""
    threading = _imported()
    if threading is None:
        return {_main_ident(): "MainThread", **_names}
    return {**{thread.ident: thread.name for thread in threading.enumerate()}, **_names}


def _main_ident() -> int:
    """The main thread's identifier, as ``threading`` asks for it."""
    import _thread

    ident: int = _thread._get_main_thread_ident()  # type: ignore[attr-defined]  # noqa: SLF001  # from 3.13 on; before it, threading is always there
    return ident


def _imported() -> Any:
    """``threading``, if somebody has imported it; not while that is still being done."""
    threading = sys.modules.get("threading")
    return None if getattr(getattr(threading, "__spec__", None), "_initializing", False) else threading


def _run(function: Callable[[], object], name: str) -> None:
    ident = get_ident()
    _names[ident] = name
    try:
        function()
    except BaseException:  # noqa: BLE001  # as ``threading`` has it
        tell_uncaught()
    finally:
        _names.pop(ident, None)
