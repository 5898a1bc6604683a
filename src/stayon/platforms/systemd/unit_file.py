"""Unit files: their text, whose they are, and whether somebody has edited them since."""

from __future__ import annotations

from stayon.core.record import Record
from stayon.platforms.systemd.unit import OURS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from stayon.platforms.systemd.unit import Sections

DIGEST = "Digest"

# What systemd takes for blank; Python has more.
_BLANKS = " \t\r"

HEAD = """\
# Made by stayon; the next install writes it anew, and refuses to if it was edited.
# Changes of your own are kept in a drop-in: systemctl edit UNIT
"""


class UnitFile(Record):
    """What a unit file says: its sections, whether it is *ours*, and if so whether it is still *intact*."""

    text: str
    sections: Mapping[str, list[tuple[str, str]]]
    ours: bool
    intact: bool

    def ours_says(self, name: str) -> str:
        """What our own section says of *name*; "" if nothing."""
        return dict(self.sections.get(OURS, ())).get(name, "")

    def values(self, section: str, directive: str) -> list[str]:
        """All values of *directive*, in their order."""
        return [value for name, value in self.sections.get(section, ()) if name == directive]


def written(sections: Sections, unit: str) -> str:
    """The text of *sections*, with our own last and their digest in it."""
    parts = [HEAD.replace("UNIT", unit)]
    for name, lines in sections.items():
        if lines or name == OURS:
            parts.append(f"[{name}]\n" + "".join(f"{directive}={value}\n" for directive, value in lines))
    text = "\n".join(parts)
    return f"{text}{DIGEST}={digest(text)}\n"


def digest(text: str) -> str:
    """What tells that *text* is as we wrote it."""
    from hashlib import sha256

    return "sha256:" + sha256(text.encode()).hexdigest()


def understood(text: str) -> UnitFile:
    """What *text* says. Lines that go on in the next one are joined (systemd.syntax(7)); we write none."""
    sections: Sections = {}
    current: list[tuple[str, str]] = []
    for line in text.replace("\\\n", " ").split("\n"):
        stripped = line.strip(_BLANKS)
        if stripped.startswith("[") and stripped.endswith("]"):
            current = sections.setdefault(stripped[1:-1], [])
        elif stripped and stripped[0] not in "#;" and "=" in stripped:
            name, _, value = stripped.partition("=")
            current.append((name.strip(_BLANKS), value.strip(_BLANKS)))
    ours = OURS in sections
    head, marker, said = text.rpartition(f"{DIGEST}=")
    return UnitFile(text, sections, ours, ours and bool(marker) and said == digest(head) + "\n")


def difference(there: str, wanted: str, path: str) -> list[str]:
    """How *there*, which is at *path*, differs from *wanted*: a unified diff, without what only we would change."""
    from difflib import unified_diff

    def lines(text: str) -> list[str]:
        return [line for line in text.split("\n") if not line.startswith(f"{DIGEST}=")]

    return list(unified_diff(lines(wanted), lines(there), "stayon's", path, n=1, lineterm=""))
