"""Sockets that systemd opens and keeps for a service."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.systemd import lab as laboratory

if TYPE_CHECKING:
    from tests.systemd.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.linux]

GREETER = """
    import os, threading
    service = Service("{name}")

    @service.run
    def main(ctx):
        (listener,) = ctx.sockets["http"]
        listener.settimeout(0.05)
        ctx.ready()
        while not ctx.stopping:
            try:
                visitor, _ = listener.accept()
            except TimeoutError:
                continue
            with visitor:
                visitor.sendall(f"{os.getpid()} greets {visitor.recv(100).decode()}".encode())
    """


def greeted(port: int, name: str) -> str:
    """What the service answers *name*."""
    with socket.create_connection(("127.0.0.1", port), timeout=laboratory.PATIENCE_S) as visitor:
        visitor.sendall(name.encode())
        return visitor.makefile().read()


def test_a_visitor_starts_it(systemd: Lab, free_port: Callable[[], int]) -> None:
    """systemd listens before the service runs: the first visitor starts it, waits, and is answered."""
    port = free_port()
    service = systemd.service(GREETER)
    installed = service.verb("install", "--socket", f"http=127.0.0.1:{port}")
    assert installed.code == 0, installed
    socket_unit = f"{service.name}-http.socket"
    systemd.check("systemctl", "start", socket_unit)
    assert service.show("ActiveState") == "inactive"
    assert greeted(port, "Anna").endswith("greets Anna"), service.story()
    assert service.show("ActiveState") == "active"
    assert service.verb("uninstall").code == 0
    assert systemd.run("systemctl", "is-active", socket_unit).code != 0
    with pytest.raises(ConnectionRefusedError):
        greeted(port, "Anna")


def test_no_visitor_is_lost_while_it_starts_again(systemd: Lab, free_port: Callable[[], int]) -> None:
    """The socket stays open while the service is restarted: who comes meanwhile is answered by the next process."""
    port = free_port()
    service = systemd.service(GREETER)
    service.install("--socket", f"http=127.0.0.1:{port}")
    first = greeted(port, "Anna").split()[0]
    with systemd.popen("systemctl", "restart", service.unit) as restarting:
        answers: list[str] = []
        while restarting.poll() is None or answers[-1].split()[0] == first:
            answers.append(greeted(port, "Berta"))
        assert restarting.returncode == 0, service.story()
    assert all(answer.endswith("greets Berta") for answer in answers)


KEEPER = """
    import os, socket
    service = Service("{name}")

    @service.run
    def main(ctx):
        kept = ctx.sockets.get("mine", ())
        if kept:
            ctx.log.info(f"found port {kept[0].getsockname()[1]}")
        else:
            mine = socket.create_server(("127.0.0.1", 0))
            ctx.sockets.keep("mine", mine)
            ctx.log.info(f"opened port {mine.getsockname()[1]}")
        ctx.ready()
        ctx.stopping.wait()
    """


def test_a_socket_is_kept_across_a_restart(systemd: Lab) -> None:
    """What the service hands to systemd (FDSTORE) comes back to its next process."""
    service = systemd.service(KEEPER)
    service.install()
    opened = str(service.wait_journal("opened port")["MESSAGE"]).split()[2]
    laboratory.wait_until(lambda: service.show("NFileDescriptorStore") == "1", "the kept socket")
    assert service.systemctl("restart", service.unit).code == 0, service.story()
    assert str(service.wait_journal("found port")["MESSAGE"]).split()[2] == opened
