"""Who may do what with a service: the SCM's own list of rights, and ours with a group that may start and stop it."""

from __future__ import annotations

# What the SCM gives a new service: the system and administrators everything that they need; who is logged on, and
# services, may look (https://learn.microsoft.com/windows/win32/services/service-security-and-access-rights).
DEFAULT = (
    "D:(A;;CCLCSWRPWPDTLOCRRC;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)(A;;CCLCSWLOCRRC;;;IU)(A;;CCLCSWLOCRRC;;;SU)"
)

# Query the configuration and the status, enumerate dependents, start, stop, pause, interrogate, our own controls, and
# read this very list: what the system itself has.
CONTROL = "CCLCSWRPWPDTLOCRRC"


# Some well-known SIDs have two letters in SDDL; Windows writes these where it can.
_ALIASES = {
    "SY": "S-1-5-18",
    "LS": "S-1-5-19",
    "NS": "S-1-5-20",
    "IU": "S-1-5-4",
    "SU": "S-1-5-6",
    "AU": "S-1-5-11",
    "WD": "S-1-1-0",
    "BA": "S-1-5-32-544",
    "BU": "S-1-5-32-545",
    "PU": "S-1-5-32-547",
    "RD": "S-1-5-32-555",
}


def with_controllers(sid: str) -> str:
    """The SDDL of a service that the members of the group *sid* may control, besides those who may anyway."""
    return f"{DEFAULT}(A;;{CONTROL};;;{sid})"


def same(one: str, other: str) -> bool:
    """Whether two texts of SDDL give the same rights; their order, and that of the letters, counts for nothing."""
    return entries(one) == entries(other)


def controllers(sddl: str) -> str:
    """The group's SID if *sddl* is the SCM's own list with a group that may control, as ``with_controllers`` makes it;
    "" for the SCM's own list; "?" for one that somebody else made.
    """
    more = entries(sddl) - entries(DEFAULT)
    if entries(DEFAULT) - entries(sddl) or len(more) > 1:
        return "?"
    for kind, _flags, rights, sid in more:
        return sid if kind == "A" and rights == _letters(CONTROL) else "?"
    return ""


def in_words(sddl: str) -> str:
    """Who may control the service: "administrators", and the group's SID."""
    group = controllers(sddl)
    return "by a list of its own" if group == "?" else f"administrators, {group}" if group else "administrators"


def entries(sddl: str) -> frozenset[tuple[str, str, frozenset[str], str]]:
    """The entries of the discretionary list of *sddl*: kind, flags, the set of rights, and whose."""
    found = set()
    for part in sddl.partition("D:")[2].partition("S:")[0].split("(")[1:]:
        fields = part.partition(")")[0].split(";")
        if len(fields) >= 6:
            found.add((fields[0], fields[1], _letters(fields[2]), _ALIASES.get(fields[5], fields[5])))
    return frozenset(found)


def _letters(rights: str) -> frozenset[str]:
    """Rights are pairs of letters, or a number."""
    if rights.startswith("0x"):
        return frozenset({rights})
    return frozenset(rights[at : at + 2] for at in range(0, len(rights), 2))
