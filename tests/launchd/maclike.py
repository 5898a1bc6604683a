"""A service on Linux without what only Linux has: ``python -P maclike.py NAME PROGRAM [OPTION ...]``, as
``unix_entry.py``, where Python believes to be on macOS.

What macOS has and Linux lacks (kqueue, LOCAL_PEERCRED) is not there either, so this shows only that nothing leans on
Linux.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import os
import select
import selectors
import signal
import socket
import sys
import time
from importlib import import_module
from typing import Any

_signal, _socket = import_module("_signal"), import_module("_socket")

# The names that CPython has on Linux and not on macOS, among those that a service might use.
PREFIXES: dict[Any, tuple[str, ...]] = {
    os: (
        "EFD_", "MFD_", "POSIX_SPAWN_CLOSEFROM", "P_PIDFD", "SCHED_", "SPLICE_", "TFD_", "CLONE_",
        "copy_file_range", "eventfd", "fdatasync", "getrandom", "getresgid", "getresuid", "getxattr", "listxattr",
        "memfd_create", "pidfd_open", "pipe2", "posix_fadvise", "posix_fallocate", "removexattr", "sched_getaffinity",
        "sched_setaffinity", "setns", "setresgid", "setresuid", "setxattr", "splice", "timerfd_", "unshare", "waitid",
    ),
    select: ("EPOLL", "epoll", "POLLRDHUP"),
    _socket: (
        "SO_PEERCRED", "SO_PASSCRED", "SO_DOMAIN", "SO_PROTOCOL", "SOCK_CLOEXEC", "SOCK_NONBLOCK", "MSG_CMSG_CLOEXEC",
        "MSG_NOSIGNAL", "AF_NETLINK", "AF_VSOCK", "TCP_USER_TIMEOUT",
    ),
    _signal: ("SIGPOLL", "SIGPWR", "SIGRTMAX", "SIGRTMIN", "SIGSTKFLT", "sigtimedwait", "sigwaitinfo"),
    fcntl: ("F_ADD_SEALS", "F_GET_SEALS", "F_OFD_", "F_SEAL_", "F_SETPIPE_SZ"),
    time: ("CLOCK_BOOTTIME",),
}  # fmt: skip
PREFIXES[signal], PREFIXES[socket] = PREFIXES[_signal], PREFIXES[_socket]

LINUX_FUNCTIONS = (
    "prctl", "timer_create", "timer_settime", "timer_delete", "inotify_", "mallopt", "malloc_trim", "gnu_get_libc",
    "epoll_", "signalfd", "sched_",
)  # fmt: skip


def forget_linux() -> None:
    """Take it all away."""
    for module, prefixes in PREFIXES.items():
        for name in [each for each in vars(module) if each.startswith(prefixes)]:
            delattr(module, name)
    if hasattr(os, "O_PATH"):
        del os.O_PATH
    vars(selectors).pop("EpollSelector", None)
    vars(selectors)["DefaultSelector"] = selectors.PollSelector
    sys.platform = "darwin"
    _hide_proc()
    from stayon.platforms import door, libc, process_table

    address = libc.Library.address

    def hidden(self: libc.Library, function: str) -> int:
        if function.startswith(LINUX_FUNCTIONS):
            raise OSError(errno.ENOENT, "not on macOS", function)
        return address(self, function)

    libc.Library.address = hidden  # type: ignore[method-assign]  # that is the point
    # This computer's ps has other words for the same.
    vars(process_table)["PS"] = ("/bin/ps", "axeww", "-o", "pid=,ppid=,pgid=,stat=,command=")
    vars(door)["_peer_uid"] = lambda _visitor: os.geteuid()  # LOCAL_PEERCRED is macOS'


def _hide_proc() -> None:
    def without(function: Any) -> Any:
        def asked(path: Any, *rest: Any, **named: Any) -> Any:
            if isinstance(path, str) and path.startswith(("/proc", "/run/systemd", "/sys/")):
                raise FileNotFoundError(errno.ENOENT, "not on macOS", path)
            return function(path, *rest, **named)

        return asked

    builtins.open = without(open)
    for name in ("open", "listdir", "scandir", "stat", "lstat"):
        setattr(os, name, without(getattr(os, name)))


if __name__ == "__main__":
    sys.path.append(os.environ.pop("MACLIKE_SOURCE"))
    forget_linux()
    from stayon.platforms import unix_entry

    unix_entry.main(sys.argv[1:])
