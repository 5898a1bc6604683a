"""From a wanted ``Installation`` to the property list that launchd keeps, and from that back to words: pure, and total.

A job starts when it is loaded: KeepAlive says so in any case (launchd.plist(5)), so a service that is not to start with
the computer has its list where launchd doesn't look of itself (``sites``).
"""

from __future__ import annotations

import math

from stayon.core.installation import AUTO, DELAYED, USER, Change
from stayon.core.plan import plan
from stayon.core.record import Record
from stayon.errors import UsageError
from stayon.platforms.launchd import policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stayon.core.installation import Installation
    from stayon.core.places import Places

# launchd passes over keys that it doesn't know; this one says that a list is ours.
MARK = "Stayon"

# What the service is told by its environment.
STARTER, PAGE, DIGEST = "STAYON_STARTER", "STAYON_PAGE", "STAYON_DIGEST"
FINAL, UNLOAD, SOCKETS = "STAYON_FINAL", "STAYON_UNLOAD", "STAYON_SOCKETS"
OUR_VARIABLES = (STARTER, PAGE, DIGEST, FINAL, UNLOAD, SOCKETS)

SYSTEM_DOMAIN = "system"

# launchd ends by force what has not stopped after this; the service itself is bounded, and says who was late.
STOP_MARGIN_S = 5.0

# The account of macOS for system services that need none of their own.
LEAST_ACCOUNT, ROOT = "daemon", "root"

UMASK = 0o027

# setrlimit(2)'s names for what launchd can limit.
_LIMITS = {
    "core": "Core",
    "cpu": "CPU",
    "data": "Data",
    "fsize": "FileSize",
    "memlock": "MemoryLock",
    "nofile": "NumberOfFiles",
    "nproc": "NumberOfProcesses",
    "rss": "ResidentSetSize",
    "stack": "Stack",
}
_NO_LIMIT = 2**63 - 1

_WORDS = {
    "ProgramArguments": "command",
    "UserName": "account",
    "KeepAlive": "restart",
    "ThrottleInterval": "restart",
    "ExitTimeOut": "time to stop",
    "EnvironmentVariables": "environment",
    "StandardOutPath": "output",
    "StandardErrorPath": "output",
    "SoftResourceLimits": "limits",
    "HardResourceLimits": "limits",
    "Sockets": "sockets",
    "LimitLoadToSessionType": "session",
}
# The same with everyone, or said by another key.
_UNSAID = ("Label", "RunAtLoad", "WorkingDirectory", "Umask", MARK)


class Site(Record):
    """Where a service is kept: launchd's *domain* for it, and the command that takes it out of there from inside ("":
    its account may not). *places* are the service's, None if it has none.
    """

    domain: str
    places: Places | None = None
    unload: str = ""


class Kept(Record):
    """A property list that is there, at *path*; *content* is None if it can't be understood, and *raw* its bytes."""

    path: str
    raw: bytes
    content: dict[str, Any] | None

    @property
    def mark(self) -> dict[str, Any]:
        """What we have noted in it; empty if it is not ours."""
        noted = self.content.get(MARK) if self.content is not None else None
        return noted if isinstance(noted, dict) and "Version" in noted else {}

    @property
    def is_edited(self) -> bool:
        """Whether somebody has changed it since we wrote it."""
        return bool(self.mark) and self.mark.get("Digest") != digest(self.content or {})


def definition(wanted: Installation, site: Site) -> dict[str, Any]:
    """The property list of *wanted*. Raises ``UsageError`` ("launchd.bad-name")."""
    keep = policy.keeping(wanted.restart)
    content: dict[str, Any] = {
        "Label": checked_name(wanted.name),
        "ProgramArguments": list(wanted.command),
        "RunAtLoad": True,
        "KeepAlive": keep.keep_alive,
        "ThrottleInterval": keep.throttle_s,
        "ExitTimeOut": math.ceil(wanted.stop_timeout_s + STOP_MARGIN_S),
        "WorkingDirectory": "/",
        "Umask": UMASK,
    }
    if site.domain == SYSTEM_DOMAIN:
        content["UserName"] = account_of(wanted)
    elif site.domain.startswith(f"{USER}/"):
        content["LimitLoadToSessionType"] = "Background"
    if site.places is not None:
        content["StandardOutPath"] = content["StandardErrorPath"] = f"{site.places.logs}/{wanted.name}.out"
    if any(name in _LIMITS for name, _value in wanted.limits):
        content["SoftResourceLimits"], content["HardResourceLimits"] = _limits(wanted)
    if wanted.sockets:
        content["Sockets"] = {name: _socket(address) for name, address in wanted.sockets}
    content["EnvironmentVariables"] = _environment(wanted, site, keep.final)
    content["EnvironmentVariables"][DIGEST] = digest(content)
    content[MARK] = {
        "Version": wanted.mark,
        "DisplayName": wanted.display_name,
        "Description": wanted.description,
        "Start": wanted.start,
        "Domain": site.domain,
        "Places": {} if site.places is None else site.places.as_dict(),
    }
    content[MARK]["Digest"] = digest(content)
    return content


def rendered(content: dict[str, Any]) -> bytes:
    """As XML."""
    import plistlib

    return plistlib.dumps(content, sort_keys=False)


def understood(path: str, raw: bytes) -> Kept:
    """The property list whose bytes *raw* stand at *path*."""
    import plistlib

    try:
        content = plistlib.loads(raw)
    except (ValueError, plistlib.InvalidFileException, RecursionError):
        content = None
    except Exception:  # noqa: BLE001  # expat has an exception of its own, in a module that is there only if it is
        content = None
    return Kept(path, raw, content if isinstance(content, dict) else None)


def digest(content: dict[str, Any]) -> str:
    """What tells two lists apart, whatever the order of their keys, without the digest in them."""
    import hashlib
    import plistlib

    told = dict(content)
    if isinstance(told.get(MARK), dict):
        told[MARK] = {key: value for key, value in told[MARK].items() if key != "Digest"}
    return hashlib.sha256(plistlib.dumps(told, sort_keys=True)).hexdigest()[:16]


def checked_name(name: str) -> str:
    """*name*, if it can be a label and a file's name. Raises ``UsageError`` "launchd.bad-name"."""
    if not name or name.startswith((".", "-")) or any(letter in "/\\" or letter <= " " for letter in name):
        raise UsageError(
            "launchd can't have a service of this name",
            where=repr(name),
            hint="Use letters, digits, '-', '_' and '.', and no space.",
            code="launchd.bad-name",
        )
    return name


def account_of(wanted: Installation) -> str:
    """Who a daemon runs as: an account of little rights where nothing is said, never root without being told."""
    return wanted.account or LEAST_ACCOUNT


def starts_by_itself(start: str) -> bool:
    """Whether launchd is to load it at its own start, or the user's login."""
    return start in (AUTO, DELAYED)


def warnings(wanted: Installation, site: Site) -> list[Change]:
    """What *wanted* asks for, and launchd doesn't have; all else holds."""
    said = [
        ("start", wanted.start if wanted.start == DELAYED else "", "launchd knows no delay: it starts with the others"),
        ("restart", policy.words(policy.keeping(wanted.restart)), policy.lost(wanted.restart)),
        ("after", ", ".join(wanted.after), "launchd has no order of starts: the service has to wait by itself"),
        ("groups", ", ".join(wanted.groups), "launchd has no groups"),
        ("triggers", ", ".join(wanted.triggers), "launchd has none of these"),
        ("privileges", ", ".join(wanted.privileges), "macOS has none of these"),
        ("controllers", wanted.controllers, "launchd obeys root, and an agent's own user"),
        ("memory", f"{wanted.memory_bytes} bytes" if wanted.memory_bytes else "", "launchd doesn't limit it"),
        ("cpu", f"{wanted.cpu_percent:g}%" if wanted.cpu_percent else "", "launchd doesn't limit it"),
        ("tasks", str(wanted.tasks or ""), "launchd can't count those of one service"),
        *(("limits", name, "launchd doesn't limit it") for name, _value in wanted.limits if name not in _LIMITS),
    ]
    if wanted.account and site.domain != SYSTEM_DOMAIN:
        said.append(("account", wanted.account, "an agent runs as the user whose it is; install a daemon with sudo"))
    return [Change(name, "", new, f"left out: {why}") for name, new, why in said if new and why]


def changes(current: dict[str, Any] | None, wanted: dict[str, Any]) -> list[Change]:
    """What differs, for people: one line for each thing, at least one. *current* is None for a service that is new."""
    before, after = (_seen(content) for content in (current or {}, wanted))
    found = [Change(step.name, _text(step.old), _text(step.new)) for step in plan(before, after)]
    if current is None:
        return [Change("service", "", str(wanted["Label"])), *found]
    return found or [Change("property list", "an older form", "this version's")]


def _text(seen: tuple[str, Any] | None) -> str:
    return "" if seen is None else seen[0]


def _seen(content: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """*content* by what people call it: in words, and what they stand for."""
    noted = content.get(MARK) if isinstance(content.get(MARK), dict) else {}
    said = {"display name": "DisplayName", "description": "Description", "start": "Start", "version": "Version"}
    found: dict[str, tuple[str, Any]] = {
        name: (str(noted[key]), None) for name, key in said.items() if noted and noted.get(key)
    }
    for key, value in content.items():
        if key in _UNSAID:
            continue
        name = _WORDS.get(key, key)
        words, behind = found.get(name, ("", ()))
        found[name] = words or _said(key, value, content), (*behind, _without_ours(value))
    return {name: seen for name, seen in found.items() if seen[0]}


def _said(key: str, value: Any, content: dict[str, Any]) -> str:
    if key == "EnvironmentVariables":
        return ", ".join(_without_ours(value))  # their values may be secret
    if key == "KeepAlive":
        return policy.words(policy.Keeping(value, int(content.get("ThrottleInterval", policy.USUAL_S)), ()))
    if key == "ExitTimeOut":
        return f"{value}s"
    if isinstance(value, dict):
        return ", ".join(f"{name}={each}" for name, each in value.items())
    return " ".join(str(each) for each in value) if isinstance(value, list) else str(value)


def _without_ours(value: Any) -> Any:
    """*value*, without the variables that we have put among the user's."""
    if not isinstance(value, dict):
        return value
    return {name: each for name, each in value.items() if name not in OUR_VARIABLES}


def _environment(wanted: Installation, site: Site, final: tuple[int, ...]) -> dict[str, str]:
    told = dict(wanted.environment)
    told[STARTER] = "launchd"
    if site.places is not None:
        told[PAGE] = page_path(wanted.name, site.places)
    if final and site.unload:
        told[FINAL], told[UNLOAD] = " ".join(str(code) for code in final), site.unload
    if wanted.sockets:
        told[SOCKETS] = " ".join(name for name, _address in wanted.sockets)
    return told


def page_path(name: str, places: Places) -> str:
    """Where the service says how it is."""
    return f"{places.run}/{name}.launchd"


def _limits(wanted: Installation) -> tuple[dict[str, int], dict[str, int]]:
    soft: dict[str, int] = {}
    hard: dict[str, int] = {}
    for name, value in wanted.limits:
        if name in _LIMITS:
            first, _, second = value.partition(":")
            soft[_LIMITS[name]], hard[_LIMITS[name]] = _limit(first), _limit(second or first)
    return soft, hard


def _limit(said: str) -> int:
    return int(said) if said.isdigit() else _NO_LIMIT


def _socket(address: str) -> dict[str, Any]:
    if address.startswith("/"):
        return {"SockPathName": address, "SockPathMode": 0o600}
    host, _, port = address.rpartition(":")
    return {
        "SockNodeName": host.strip("[]"),
        "SockServiceName": port,
        "SockType": "stream",
        "SockFamily": "IPv6" if host.startswith("[") else "IPv4",
    }
