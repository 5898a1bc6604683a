"""What systemd keeps a service from, and which of ``ALLOWANCES`` relaxes it: systemd.exec(5).

As little is allowed as Python, the network and the service's own directories need. What is left out, and why:
PrivateUsers= (the accounts of others would be nobody's, and many containers can't have it), ProcSubset=pid (hides what
psutil reads), ~@resources (forbids os.nice), AF_NETLINK is not among the families (glibc asks it, and copes).
"""

from __future__ import annotations

from stayon.core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

YES, NO = "yes", "no"


class Rule(Record):
    """A directive and its strict value; *relaxed* gives a looser one for an allowance, the loosest first. *since* is
    the version of systemd that has it; *for_user* whether the manager of a user can do it.
    """

    directive: str
    strict: str
    relaxed: Mapping[str, str]
    since: int = 0
    for_user: bool = False


RULES = (
    Rule("NoNewPrivileges", YES, {"new-privileges": NO}, for_user=True),
    Rule("ProtectSystem", "strict", {"system-write": NO}),
    Rule("ProtectHome", YES, {"home": NO, "home-read": "read-only"}),
    Rule("PrivateTmp", YES, {"system-write": NO}),
    Rule("PrivateDevices", YES, {"devices": NO}),
    Rule("DevicePolicy", "closed", {"devices": "auto"}),
    Rule("ProtectKernelTunables", YES, {"kernel": NO}),
    Rule("ProtectKernelModules", YES, {"kernel": NO}),
    Rule("ProtectKernelLogs", YES, {"kernel": NO}, since=244),
    Rule("ProtectClock", YES, {"kernel": NO}, since=245),
    Rule("ProtectControlGroups", YES, {"namespaces": NO}),
    Rule("ProtectHostname", YES, {"kernel": NO}, since=242),
    Rule("ProtectProc", "invisible", {"processes": "default"}, since=247),
    Rule("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6", {"raw-network": ""}, for_user=True),
    Rule("RestrictNamespaces", YES, {"namespaces": NO}, for_user=True),
    Rule("RestrictRealtime", YES, {"realtime": NO}, for_user=True),
    Rule("RestrictSUIDSGID", YES, {"new-privileges": NO}, since=242, for_user=True),
    Rule("LockPersonality", YES, {"system-calls": NO}, for_user=True),
    Rule("MemoryDenyWriteExecute", YES, {"jit": NO}, for_user=True),
    Rule("SystemCallArchitectures", "native", {"system-calls": ""}, for_user=True),
    Rule("RemoveIPC", YES, {}),
)

# What has to be given to an account that isn't root, and what only root's own would be.
_GIVEN = {"low-ports": "CAP_NET_BIND_SERVICE", "raw-network": "CAP_NET_RAW", "realtime": "CAP_SYS_NICE"}
_LEFT = {"kernel": "CAP_SYSLOG CAP_SYS_TIME CAP_SYS_MODULE", "processes": "CAP_SYS_PTRACE"}

_CALLS = {
    "new-privileges": "@privileged",
    "kernel": "@clock @module @raw-io",
    "namespaces": "@mount @privileged",
}

# What an account that exists only while the service runs can't have, whatever is said: systemd.exec(5), DynamicUser=.
NOT_DYNAMIC = {
    "home": "only reading: an account that exists only while it runs may not write there; give it an account",
    "system-write": "an account that exists only while it runs may not; give it an account",
    "new-privileges": "an account that exists only while it runs may not; give it an account",
}
_NOT_USER = "the manager of a user can't give it"
NOT_FOR_USER = {"low-ports": _NOT_USER, "raw-network": _NOT_USER, "kernel": _NOT_USER}


def directives(allow: Iterable[str], version: int, *, for_user: bool) -> list[tuple[str, str]]:
    """The lines of [Service] that keep a service from all but *allow*; ``""`` takes a limit away."""
    allowed = frozenset(allow)
    if for_user and "new-privileges" in allowed:
        # Everything that the manager of a user has comes with NoNewPrivileges=.
        return []
    lines = [
        (rule.directive, _value(rule, allowed))
        for rule in RULES
        if version >= rule.since and (rule.for_user or not for_user)
    ]
    if not for_user:
        given = " ".join(_GIVEN[each] for each in _GIVEN if each in allowed)
        left = " ".join(_LEFT[each] for each in _LEFT if each in allowed)
        bounds = "~" if "new-privileges" in allowed else f"{given} {left}".strip()
        lines += [("CapabilityBoundingSet", bounds), ("AmbientCapabilities", given)]
    return lines + _system_calls(allowed)


def _value(rule: Rule, allowed: frozenset[str]) -> str:
    return next((value for allowance, value in rule.relaxed.items() if allowance in allowed), rule.strict)


def _system_calls(allowed: frozenset[str]) -> list[tuple[str, str]]:
    """One that is denied fails with EPERM, as a program expects it to."""
    if "system-calls" in allowed:
        return []
    more = " ".join(_CALLS[each] for each in _CALLS if each in allowed)
    lines = [("SystemCallFilter", "@system-service"), ("SystemCallFilter", "~@privileged")]
    return [*lines, *([("SystemCallFilter", more)] if more else []), ("SystemCallErrorNumber", "EPERM")]


DIRECTIVES = frozenset(rule.directive for rule in RULES) | {
    "CapabilityBoundingSet",
    "AmbientCapabilities",
    "SystemCallFilter",
    "SystemCallErrorNumber",
}
