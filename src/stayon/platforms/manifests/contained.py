"""A service in a container, whatever runs it: what its installation comes to there."""

from __future__ import annotations

import math
import os

from stayon.core import restart
from stayon.core.record import Record
from stayon.platforms.onefile.command import is_ours, run_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from stayon.core.installation import Installation

# An account that no image has, and that has no rights: distroless images call it "nonroot".
NOBODY = "65532"

HOME, CONFIG = "/data", "/config"
PROBES_PORT = 9100

# What a stop takes besides the service's own stop_timeout: ending what it left running (3 s), what is left in the
# container (4 s), and what hangs at the exit of its main thread (5 s, seldom).
STOP_MARGIN_S = 10

# Variables of the installer's that mean directories of this computer.
_PLACES = ("STAYON_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")

_MIB = 1 << 20


class Contained(Record):
    """*name* is the service's, *arguments* what its image's entry point (the program) gets besides. *user* and *group*
    are numbers. *notes* are sentences for people about what a container can't have so. *program* is where a program
    that is one file has to be in the image; "" for others.
    """

    name: str
    instance: str
    image: str
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    user: str
    listen: tuple[str, int]
    stop_s: int
    notes: tuple[str, ...]
    program: str = ""


def contained(wanted: Installation) -> Contained:
    """What *wanted* is in a container. A pure function."""
    name = wanted.name.partition("@")[0]
    listen = _listen(wanted.probes)
    arguments = ["run", "--config", f"{CONFIG}/{name}.toml"]
    if wanted.instance:
        arguments += ["--instance", wanted.instance]
    # Two who start again were one too many.
    arguments += [
        "--no-restart",
        "--set",
        "stayon.log.file=false",
        "--set",
        f"stayon.probes.listen={listen[0]}:{listen[1]}",
    ]
    own = tuple((key, value) for key, value in wanted.environment if key not in _PLACES)
    return Contained(
        name,
        wanted.instance,
        wanted.image or f"{name.lower()}:latest",
        (*arguments, *_run_options(wanted.command)),
        (("STAYON_HOME", HOME), *own),
        wanted.account if wanted.account.isdecimal() else NOBODY,
        listen,
        math.ceil(wanted.stop_timeout_s) + STOP_MARGIN_S,
        _notes(wanted),
        _program(wanted.command),
    )


def health_check(service: Contained) -> list[str]:
    """What tells by its exit code whether the service is well, without a look at its program or its port."""
    instance = ["--instance", service.instance] if service.instance else []
    if service.program:
        return [service.program, "status", *instance]
    return ["python", "-P", "-m", "stayon", "status", service.name, *instance]


def binary_size(size_bytes: int, unit: str) -> str:
    """*size_bytes* in MiB, whose *unit* that is, if it is a whole number of them; else in bytes, without a unit."""
    return f"{size_bytes // _MIB}{unit}" if size_bytes % _MIB == 0 else str(size_bytes)


def dns_label(name: str) -> str:
    """*name* as a label of RFC 1123: small letters, digits and "-", at most 63."""
    letters = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower())
    return letters[:63].strip("-") or "service"


def tcp_ports(wanted: Installation) -> list[tuple[str, int]]:
    """The sockets that the service wants opened, by name, as far as they have a port."""
    ports = []
    for name, address in wanted.sockets:
        port = address.rpartition(":")[2]
        if not address.startswith("/") and port.isdecimal():
            ports.append((name, int(port)))
    return ports


def _listen(probes: str) -> tuple[str, int]:
    """The address of the probes as it has to be in a container: on loopback nobody would reach them."""
    host, _, port = str(probes).rpartition(":")
    reachable = "[::]" if host.startswith("[") else "0.0.0.0"  # noqa: S104  # a container is reached by its port only
    return reachable, int(port) if port.isdecimal() and int(port) else PROBES_PORT


def _run_options(command: Sequence[str]) -> tuple[str, ...]:
    """The options of ``run`` in *command*, as the managers' commands have them, but those that are a path of here."""
    options = run_options(command) if is_ours(command) else ()
    entries = [at for at, word in enumerate(command) if os.path.basename(word.replace("\\", "/")).endswith("entry.py")]
    if entries:
        after = tuple(command[entries[0] + 1 :])
        is_windows = after[:1] == ("--service",)
        options = after[after.index("--") + 1 :] if is_windows and "--" in after else () if is_windows else after[2:]
    kept: list[str] = []
    words = iter(options)
    for word in words:
        if word == "--config":
            next(words, "")
        else:
            kept.append(word)
    return tuple(kept)


def _program(command: Sequence[str]) -> str:
    return f"/{os.path.basename(command[0].replace(chr(92), '/')).removesuffix('.exe')}" if is_ours(command) else ""


def _notes(wanted: Installation) -> tuple[str, ...]:
    notes = [f"allow {name}: not said here; see securityContext, cap_add" for name in wanted.allow]
    if wanted.restart is None or wanted.restart.name != restart.NEVER:
        notes.append(
            "restarts are the platform's, with waits of its own; it does not know the exit codes that are final"
        )
    if wanted.sockets:
        notes.append("sockets: the program has to open them itself")
    if wanted.account and not wanted.account.isdecimal():
        notes.append(f"account {wanted.account}: a container knows numbers only")
    if is_ours(wanted.command):
        place = _program(wanted.command)
        notes.append(f"the image has the program at {place}, its entry point, and is made with: RUN {place} info")
    if wanted.after:
        notes.append(f"after {', '.join(wanted.after)}: the program has to wait for them itself")
    return tuple(notes)
