"""``ctx.sockets``: those that the service manager opened for the service, or keeps for it while it is away."""

from __future__ import annotations

from _collections_abc import Mapping  # loaded with ``os``; ``collections.abc`` is another name for it
from _thread import allocate_lock

from stayon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from typing import Any

    from stayon.ports import SocketStore

NAME_LENGTH = 255


class Sockets(Mapping[str, "list[socket.socket]"]):
    """A mapping: name -> the sockets of that name, in the manager's order. They are objects of the ``socket`` module,
    made when they are first looked at, and yours; the same ones at every look. From any thread.
    """

    def __init__(self, store: SocketStore) -> None:
        self._store = store
        self._opened: dict[str, list[socket.socket]] = {}
        # Two objects of one descriptor would close it twice.
        self._opening = allocate_lock()

    def __getitem__(self, name: str) -> list[socket.socket]:
        """The sockets called *name*. Raises ``UsageError``, which names those that there are."""
        with self._opening:
            if name not in self._opened:
                self._opened[name] = self._open(name)
            return self._opened[name]

    def __contains__(self, name: object) -> bool:
        return name in self._store.inherited()

    def get(self, name: str, default: Any = None) -> Any:
        """The sockets called *name*, or *default* if there are none."""
        return self[name] if name in self._store.inherited() else default

    def __iter__(self) -> Iterator[str]:
        return iter(self._store.inherited())

    def __len__(self) -> int:
        return len(self._store.inherited())

    def keep(self, name: str, sock: socket.socket) -> bool:
        """Have the manager keep *sock* across restarts, where the next start finds it as ``ctx.sockets[name]``. False
        where nobody keeps any. Raises ``UsageError`` for a name that can't be one, ``OSError`` if it can't be told.
        """
        return self._store.keep(_checked(name), sock.fileno())

    def forget(self, name: str) -> None:
        """Have those called *name* kept no more; harmless if there are none. Raises as ``keep``."""
        self._store.forget(_checked(name))

    def _open(self, name: str) -> list[socket.socket]:
        inherited = self._store.inherited()
        if name not in inherited:
            raise UsageError(
                f"there are no sockets called {name!r}",
                why=f"there are {', '.join(sorted(inherited))}" if inherited else "nobody has opened any for it",
                hint='Declare it: Service.installation(sockets={"NAME": "HOST:PORT"}), and install the service again.',
                code="sockets.unknown",
            )
        import socket

        return [socket.socket(fileno=fd) for fd in inherited[name]]


def _checked(name: str) -> str:
    """*name*, if it can be that of a kept socket: sd_notify(3), FDNAME=."""
    if not 0 < len(name) <= NAME_LENGTH or not name.isascii() or not name.isprintable() or ":" in name:
        raise UsageError(
            f"kept sockets can't be called {name!r}",
            hint=f"Use 1 to {NAME_LENGTH} printable ASCII characters, without a colon.",
            code="sockets.name",
        )
    return name
