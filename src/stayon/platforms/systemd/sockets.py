"""Sockets that systemd opened for us, or keeps while we are away (sd_listen_fds(3), sd_pid_notify_with_fds(3))."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from stayon.platforms.systemd.notify import NotifySocket

FIRST_FD = 3  # SD_LISTEN_FDS_START
# What a descriptor is called that came without a name.
UNNAMED = "unknown"


class SystemdSockets:
    """Those that the environment told of, and (where there is a *socket* to say so) what is to be kept."""

    def __init__(self, inherited: Mapping[str, tuple[int, ...]], socket: NotifySocket | None) -> None:
        self._inherited, self._socket = inherited, socket
        self._is_taken = False

    def inherited(self) -> Mapping[str, tuple[int, ...]]:
        """The descriptors that were handed over, by name; from the first call on they are ours, and no child's."""
        if not self._is_taken:
            self._is_taken = True
            for fds in self._inherited.values():
                for fd in fds:
                    os.set_inheritable(fd, False)
        return self._inherited

    def keep(self, name: str, fd: int) -> bool:
        """Have *fd* kept as *name* across restarts, as far as FileDescriptorStoreMax= lets systemd; False where it
        doesn't listen. Raises ``OSError``.
        """
        if self._socket is None:
            return False
        self._socket.send(f"FDSTORE=1\nFDNAME={name}", (fd,))
        return True

    def forget(self, name: str) -> None:
        """Have all of *name* kept no more; harmless if there are none. Raises ``OSError``."""
        if self._socket is not None:
            self._socket.send(f"FDSTOREREMOVE=1\nFDNAME={name}")


def listed(env: MutableMapping[str, str], pid: int) -> Mapping[str, tuple[int, ...]]:
    """The descriptors that *env* says were handed to the process *pid*, by name.

    Takes the variables out of it, so that no child takes them for its own.
    """
    count, names, for_pid = (env.pop(f"LISTEN_{what}", "") for what in ("FDS", "FDNAMES", "PID"))
    if for_pid != str(pid) or not count.isdecimal():
        return {}
    named = names.split(":") if names else []
    found: dict[str, tuple[int, ...]] = {}
    for index in range(int(count)):
        name = named[index] if index < len(named) and named[index] else UNNAMED
        found[name] = (*found.get(name, ()), FIRST_FD + index)
    return found
