"""A daemon that no manager keeps, begun once more as it was begun. Only ``update`` loads this."""

from __future__ import annotations

import os

from stayon.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# The verbs, and the option, that make a daemon; what tells one process of a daemon about its former ones.
_DAEMONS = ("--detach", "start")
_OF_ONE_PROCESS = ("STAYON_DAEMON", "STAYON_HANDOVER")


class Beginning(Record):
    """What a daemon was begun with: words, environment, and the directory in which they were said."""

    words: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str


def beginning(pid: int) -> Beginning | None:
    """That of the process *pid*, if it is a daemon of this account's, or one that root has given to another; else, and
    where the system doesn't tell, None.
    """
    try:
        owner = os.stat(f"/proc/{pid}").st_uid
        words, variables = (_read(f"/proc/{pid}/{name}") for name in ("cmdline", "environ"))
    except OSError:
        return None
    was_given = os.geteuid() == 0 and any(word.partition("=")[0] == "--account" for word in words)
    if not any(word in _DAEMONS for word in words[1:]) or not (owner == os.geteuid() or was_given):
        return None
    environment = dict(each.split("=", 1) for each in variables if "=" in each)
    directory = environment.get("PWD", "/")
    own = dict(os.environ) if was_given else environment  # the account's own says who it is
    return Beginning(tuple(words), {name: own[name] for name in own if name not in _OF_ONE_PROCESS}, directory)


def _read(path: str) -> list[str]:
    with open(path, "rb") as file:
        return [os.fsdecode(each) for each in file.read().split(b"\0") if each]
