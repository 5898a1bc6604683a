"""The port ``SocketStore`` for launchd: the sockets of a property list, by launch_activate_socket(3)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class LaunchdSockets:
    """The sockets called *names* there. launchd keeps its own for as long as the job is loaded, and takes no others."""

    def __init__(self, names: Sequence[str], activate: Callable[[str], Sequence[int]] | None = None) -> None:
        self._names, self._activate = names, activate
        self._found: dict[str, tuple[int, ...]] | None = None

    def inherited(self) -> Mapping[str, tuple[int, ...]]:
        """The descriptors that launchd hands over, by name: it does so once, so the first call asks. Raises
        ``OSError``.
        """
        if self._found is None:
            activate = self._activate or activated
            self._found = {name: tuple(activate(name)) for name in self._names}
        return self._found

    def keep(self, _name: str, _fd: int) -> bool:
        """It is not kept."""
        return False

    def forget(self, _name: str) -> None:
        """There are none that were kept."""


def activated(name: str) -> list[int]:
    """The descriptors of the socket *name* of this process's job. Raises ``OSError``: ESRCH if launchd has not started
    it, ENOENT if there is no such socket, EALREADY if they were taken before.
    """
    import _ctypes
    import os

    from stayon.platforms.libc import Library, Pointer, reference

    class Int(_ctypes._SimpleCData):  # type: ignore[type-arg]  # it cannot be subscripted when it runs
        _type_ = "i"

    libc = Library()
    fds, count = Pointer(), Pointer()  # an int * and a size_t, which is as wide
    error = libc.launch_activate_socket(name.encode(), reference(fds), reference(count))
    if error:
        raise OSError(error, os.strerror(error), name)
    size = _ctypes.sizeof(Int)
    found = [int(Int.from_address((fds.value or 0) + size * index).value) for index in range(count.value or 0)]
    for fd in found:
        os.set_inheritable(fd, False)
    libc.free(fds)
    return found
