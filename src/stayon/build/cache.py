"""Where builds keep what the next one needs again: runtimes, packed files."""

from __future__ import annotations

import os
import sys

from stayon.errors import NotPermittedError

_WRITABLE_BY_OTHERS = 0o022


def directory(room: str) -> str:
    """The directory of *room*, made if it is missing, for this account alone.

    Raises ``NotPermittedError`` if another account could have put something there: what is in it is run.
    """
    if sys.platform == "win32":
        top = os.environ.get("LOCALAPPDATA") or os.path.expanduser(
            "~\\AppData\\Local"
        )  # its ACL lets in the account alone
    elif sys.platform == "darwin":
        top = os.path.expanduser("~/Library/Caches")
    else:
        top = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    place = os.path.join(top, "stayon", room)
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
    except OSError as error:
        raise NotPermittedError(
            "the cache cannot be made", where=place, why=str(error), hint="Set XDG_CACHE_HOME to a directory of yours.",
            code="build.cache",
        ) from error  # fmt: skip
    if sys.platform != "win32":
        for path in (os.path.dirname(place), place):
            found = os.lstat(path)
            if found.st_uid != os.geteuid() or found.st_mode & _WRITABLE_BY_OTHERS or os.path.islink(path):
                raise NotPermittedError(
                    "the cache is another account's, a link, or others may write there", where=path,
                    hint="Remove it: it is made anew.", code="build.cache",
                )  # fmt: skip
    return place
