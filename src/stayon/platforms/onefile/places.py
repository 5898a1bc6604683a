"""Where launchers put what can't stay inside a file: for all accounts of a computer, or for one."""

from __future__ import annotations

import os
import sys

# Where everything of that is instead, if it is set.
ROOT_VARIABLE = "STAYON_RUNTIME"

_GROUP_AND_OTHERS_READ = 0o055


def is_for_all(root: str) -> bool:
    """Whether the sets in *root* are those that a service will have whose account is another: they are where a launcher
    looks that administrators have started, and for all to read.
    """
    if ROOT_VARIABLE in os.environ:
        return True  # it is told to the service as well
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "")
        return not local or not os.path.normcase(root).startswith(os.path.normcase(local))
    try:
        found = os.stat(root)
    except OSError:
        return False
    return found.st_uid == 0 and found.st_mode & _GROUP_AND_OTHERS_READ == _GROUP_AND_OTHERS_READ
