"""What the host's loop sleeps on: epoll on Linux, poll(2) elsewhere on Unix."""

from __future__ import annotations

import os
import select

from stayon.core.events import READABLE, WRITABLE

# epoll and poll count milliseconds in an int, which is full after 24 days. Longer waits end after a day, with nothing
# ready.
LONGEST_S = 86_400.0

# READABLE and WRITABLE are POLLIN and POLLOUT (and EPOLLIN, EPOLLOUT), so what is wanted is passed on as it is. What
# comes back may also be a hang-up or an error: those count as readable, as reading is what tells them apart.
_TROUBLE = select.POLLHUP | select.POLLERR | select.POLLNVAL


def _ready(fd: int, flags: int) -> tuple[int, int]:
    return fd, (READABLE if flags & (READABLE | _TROUBLE) else 0) | (flags & WRITABLE)


class EpollPoller:
    """Linux: epoll(7), woken through an eventfd(2)."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Edge-triggered: every wake is one event, and nobody has to read the counter, which is full after 2**64 of
        # them.
        self._epoll.register(self._wake_fd, select.EPOLLIN | select.EPOLLET)

    def register(self, fd: int, events: int) -> None:
        """Report *fd* when it is ``READABLE`` and/or ``WRITABLE`` (a bit set); calling again replaces the set."""
        try:
            self._epoll.register(fd, events)
        except FileExistsError:
            self._epoll.modify(fd, events)

    def unregister(self, fd: int) -> None:
        """Forget *fd*; unknown and closed ones are ignored."""
        try:
            self._epoll.unregister(fd)
        except (OSError, ValueError):
            return

    def wait(self, timeout_s: float | None) -> list[tuple[int, int]]:
        """Sleep until something is ready, ``wake`` was called or *timeout_s* is over.

        CPython rounds up to a millisecond.
        """
        ready = self._epoll.poll(None if timeout_s is None else min(max(timeout_s, 0.0), LONGEST_S))
        return [_ready(fd, flags) for fd, flags in ready if fd != self._wake_fd]

    def wake(self) -> None:
        """Make a ``wait`` (now or the next) return. From any thread, and from a signal handler."""
        os.eventfd_write(self._wake_fd, 1)

    def close(self) -> None:
        """Give the descriptors back. Nothing else may be called afterwards, but this again."""
        if not self._epoll.closed:
            self._epoll.close()
            os.close(self._wake_fd)


class PollPoller:
    """Any Unix: poll(2), woken through a pipe."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._wake_read_fd, self._wake_fd = os.pipe()
        os.set_blocking(self._wake_read_fd, False)
        os.set_blocking(self._wake_fd, False)
        self._poll.register(self._wake_read_fd, select.POLLIN)

    def register(self, fd: int, events: int) -> None:
        """Report *fd* when it is ``READABLE`` and/or ``WRITABLE`` (a bit set); calling again replaces the set."""
        self._poll.register(fd, events)

    def unregister(self, fd: int) -> None:
        """Forget *fd*; unknown ones are ignored."""
        try:
            self._poll.unregister(fd)
        except KeyError:
            return

    def wait(self, timeout_s: float | None) -> list[tuple[int, int]]:
        """Sleep until something is ready, ``wake`` was called or *timeout_s* is over.

        CPython rounds up to a millisecond.
        """
        found = self._poll.poll(None if timeout_s is None else min(max(timeout_s, 0.0), LONGEST_S) * 1000)
        ready = [_ready(fd, flags) for fd, flags in found if fd != self._wake_read_fd]
        if len(ready) < len(found):
            os.read(self._wake_read_fd, 65536)
        return ready

    def wake(self) -> None:
        """Make a ``wait`` (now or the next) return. From any thread, and from a signal handler."""
        try:
            os.write(self._wake_fd, b"\0")
        except BlockingIOError:
            return  # full of wakes that nobody has heard yet: one more says nothing new

    def close(self) -> None:
        """Give the descriptors back. Nothing else may be called afterwards, but this again."""
        if self._wake_fd != -1:
            os.close(self._wake_read_fd)
            os.close(self._wake_fd)
            self._wake_fd = -1
