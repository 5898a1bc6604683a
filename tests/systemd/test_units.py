"""Our units as systemd itself reads and runs them: words, limits of what a process may, and how they start."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from stayon.core.installation import ALLOWANCES
from stayon.platforms.systemd.hardening import directives
from stayon.platforms.systemd.quoting import command_line, word
from tests.systemd.lab import VENV

if TYPE_CHECKING:
    from tests.systemd.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.linux]

UNITS = "/etc/systemd/system"

NASTY = (
    "",
    " ",
    "a b",
    "$HOME",
    "${HOME}x$$",
    "%h %% %i",
    '"',
    "'",
    'a"b\'c"',
    "\\",
    "a\\",
    "\\n\\x41",
    "\n",
    "\t\r\x01\x7f",
    ";",
    "#x",
    "-",
    "@",
    "é ✓ \x85\u2028",
    "[Unit]",
    "Exec=1",
)
LETTERS = " \"'\\$%;#@-+!:|{}[]~`&*?<>\n\t\r\x01aé✓0"

SHOW = """
import json, os, sys
number, *words = sys.argv[1:]
print(json.dumps([number, words, os.environ.get("NASTY" + number)]), flush=True)
"""

# What Python and our own C code may want of the system, whatever hardens it.
REACH = """
    import ctypes, os, socket, sqlite3, subprocess, sys, tempfile, threading, urllib.request
    service = Service("{name}")

    @service.run
    def main(ctx):
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
        done = {"ctypes": ctypes.CDLL(None).getpid() == os.getpid()}
        try:
            done["callback"] = kind(lambda number: number + 1)(1) == 2
        except (MemoryError, SystemError, OSError) as error:
            done["callback"] = type(error).__name__
        done["subprocess"] = subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True).stdout == b"1\\n"
        with tempfile.NamedTemporaryFile() as file:
            done["temporary"] = os.path.exists(file.name)
        with sqlite3.connect(os.path.join(ctx.state_dir, "x.db")) as base:
            base.execute("create table t (a)")
        done["threads"] = len({threading.get_native_id()}) == 1
        with socket.create_server(("127.0.0.1", 0)) as server:
            with socket.create_connection(server.getsockname()):
                done["network"] = True
        done["names"] = bool(socket.getaddrinfo("localhost", 80))
        done["nice"] = os.nice(1)
        done["cores"] = os.cpu_count() > 0
        done["random"] = len(os.urandom(4))
        try:
            os.listdir("/home/.")
            done["home"] = "readable"
        except OSError as error:
            done["home"] = error.strerror
        try:
            open("/etc/x", "w")
        except OSError as error:
            done["etc"] = error.strerror
        ctx.log.info("reach", **done)
        ctx.ready()
        ctx.stopping.wait()
    """


def test_any_word_reaches_the_program(systemd: Lab) -> None:
    """What is quoted for a unit arrives in ``sys.argv`` and the environment as it was, letter for letter."""
    chance = random.Random(4)
    cases = [list(NASTY), *([each] for each in NASTY)]
    cases += [["".join(chance.choices(LETTERS, k=chance.randrange(9))) for _ in range(3)] for _ in range(20)]
    values = ["".join(each for each in case[0] if each >= " " or each in "\n\t").replace("\x7f", "") for case in cases]
    lines = [f"ExecStart={command_line([systemd.python, '-SEc', SHOW, str(n), *case])}" for n, case in enumerate(cases)]
    lines += [f"Environment={word(f'NASTY{number}={value}')}" for number, value in enumerate(values)]
    systemd.write(f"{UNITS}/words.service", "\n".join(["[Service]", "Type=oneshot", *lines, ""]))
    systemd.check("systemctl", "daemon-reload")
    systemd.check("systemctl", "start", "words")
    said = [str(each.get("MESSAGE")) for each in systemd.journal("--unit=words")]
    told = {number: rest for each in said if each.startswith("[") for number, *rest in [json.loads(each)]}
    assert told == {str(number): [case, values[number]] for number, case in enumerate(cases)}


def test_python_works_within_its_limits(systemd: Lab) -> None:
    """ctypes, processes, threads, databases, network and the temporary directory work in a service that may nothing
    more; homes and the system are out of its reach.
    """
    service = systemd.service(REACH)
    service.install()
    found = service.record("reach")["fields"]
    assert found.pop("home") == "Permission denied"
    assert found.pop("etc") == "Read-only file system"
    assert found.pop("callback") in (True, "MemoryError")
    assert all(found.values()), found


@pytest.mark.parametrize("allow", [tuple(ALLOWANCES), ("namespaces", "realtime"), ("kernel",)])
def test_a_service_starts_with_allowances(systemd: Lab, allow: tuple[str, ...]) -> None:
    """A unit that is relaxed runs, and says by name of what it is."""
    service = systemd.service()
    service.install(*(word for each in allow for word in ("--allow", each)), "--account", "root")
    assert service.show("ActiveState") == "active"
    assert f"Allow={' '.join(allow)}" in systemd.read(f"{UNITS}/{service.unit}")


def test_a_low_port(systemd: Lab) -> None:
    """--allow low-ports lets an account that isn't root listen below 1024; without it, it may not."""
    source = """
        import socket
        service = Service("{name}")

        @service.run
        def main(ctx):
            socket.create_server(("127.0.0.1", 81)).close()
            ctx.ready()
            ctx.stopping.wait()
        """
    systemd.run("sysctl", "-w", "net.ipv4.ip_unprivileged_port_start=1024")
    service = systemd.service(source)
    service.install("--allow", "low-ports")
    assert service.show("ActiveState") == "active"


def test_systemd_knows_every_directive(systemd: Lab) -> None:
    """Whatever is allowed, this systemd has nothing to say of the lines that harden."""
    version = int(systemd.check("systemctl", "--version").split()[1])
    for allow in ((), tuple(ALLOWANCES), *((each,) for each in ALLOWANCES)):
        lines = [f"{name}={value}" for name, value in directives(allow, version, for_user=False)]
        systemd.write("/run/check/hard.service", "\n".join(["[Service]", "ExecStart=/bin/true", *lines, ""]))
        assert systemd.run("systemd-analyze", "verify", "--man=no", "/run/check/hard.service") == (0, "", ""), allow


def test_a_unit_that_systemd_refuses_changes_nothing(systemd: Lab) -> None:
    """systemd reads the unit before it has to live with it: one it can't start is told, and the old one runs on."""
    service = systemd.service()
    service.install()
    before = systemd.read(f"{UNITS}/{service.unit}")
    python = systemd.path(f"{VENV}/bin/python-elsewhere")
    python.symlink_to("python")
    program = f"import os, runpy, sys; os.unlink({f'{VENV}/bin/python-elsewhere'!r}); sys.argv = sys.argv[1:]; "
    program += "runpy.run_path(sys.argv[0], run_name='__main__')"
    refused = systemd.run(f"{VENV}/bin/python-elsewhere", "-c", program, service.file, "install")
    assert refused.code != 0, refused
    assert "python-elsewhere" in refused.err
    assert systemd.read(f"{UNITS}/{service.unit}") == before
    assert service.show("ActiveState") == "active"


def test_it_starts_after_all_others(systemd: Lab) -> None:
    """A delayed start comes after everything that starts with the computer, without a loop in systemd's order."""
    service = systemd.service()
    assert service.verb("install", "--start", "delayed").code == 0
    assert "multi-user.target" in service.show("After").split()
    assert service.unit in systemd.check("systemctl", "show", "--property=Wants", "multi-user.target")
    assert service.unit not in systemd.check("systemctl", "show", "--property=After", "multi-user.target")
    verified = systemd.run("systemd-analyze", "verify", "--man=no", f"{UNITS}/{service.unit}")
    assert verified == (0, "", "")
    assert "delayed start" in service.verb("status").out


def test_a_disabled_one_is_refused(systemd: Lab) -> None:
    """Nobody can start what is disabled, not even root by systemctl."""
    service = systemd.service()
    assert service.verb("install", "--start", "disabled").code == 0
    assert service.systemctl("start", service.unit).code != 0
    refused = service.verb("start")
    assert refused.code != 0, refused
    assert service.show("ActiveState") == "inactive"
