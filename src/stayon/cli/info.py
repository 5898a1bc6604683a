"""``info``: what is in a program that is one file, and where it has put what can't stay inside."""

from __future__ import annotations

import os

from stayon import exits
from stayon.cli.command import answer
from stayon.cli.inside import required
from stayon.cli.show import table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stayon.cli.command import Call
    from stayon.platforms.onefile.program import OneFile

# What of the builder's notes is told, and by which name.
_TOLD = ("name", "version", "publisher", "target", "layout", "python", "stayon", "entry", "distributions", "sizes")


def info(call: Call) -> int:
    """Print it; with ``--json`` for scripts, and for the program that this one is to replace."""
    one_file = required()
    fields = facts(one_file, call.name if call.service is not None else "")
    answer(call, fields, "\n".join(_lines(fields)))
    return exits.DONE


def facts(one_file: OneFile, service: str) -> dict[str, Any]:
    """All that is known of it. *service* is its service's name, "" if its program can't be imported here."""
    about = one_file.about
    return {
        "executable": one_file.executable,
        "service": service,
        **{name: about[name] for name in _TOLD if name in about},
        "payload": one_file.payload,
        "size": sum(os.stat(path).st_size for path in {one_file.executable, one_file.payload}),
        "sets": [{"path": path, "size": _size(path)} for path in one_file.sets],
    }


def _size(directory: str) -> int:
    return sum(os.stat(os.path.join(path, name)).st_size for path, _, names in os.walk(directory) for name in names)


def _lines(fields: dict[str, Any]) -> list[str]:
    rows = []
    for name in ("executable", "service", "version", "publisher", "target", "layout", "python", "stayon"):
        value = fields.get(name) or ("(its program can't be imported here)" if name == "service" else "")
        rows += [(name, str(value))] if value else []
    if fields["payload"] != fields["executable"]:
        rows.append(("beside it", fields["payload"]))
    rows.append(("size", f"{fields['size']:,} bytes"))
    rows += [("", f"{size:>12,}  {part}") for part, size in fields.get("sizes", {}).items()]
    rows += [("on disk", f"{each['path']}  {each['size']:,} bytes") for each in fields["sets"]]
    rows += [("contains", f"{name} {version}") for name, version in sorted(fields.get("distributions", {}).items())]
    return table(("", ""), rows)[1:]
