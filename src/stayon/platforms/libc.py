"""Functions of the C library, by one of two ways that are chosen once. In a one-file program it is the launcher's
(``libc_native``), elsewhere the C half of ``ctypes`` (``libc_ctypes``).
"""

from __future__ import annotations

import sys

# Of a one-file program; imported before anything else, so that nobody looks for it in a path.
if not hasattr(sys.modules.get("_stayon"), "call"):
    from stayon.platforms.libc_ctypes import Library, Pointer, errno, reference
else:
    from stayon.platforms.libc_native import (  # type: ignore[assignment]  # the same by their names
        Library,
        Pointer,
        errno,
        reference,
    )

__all__ = ["Library", "Pointer", "errno", "reference"]
