"""A service manager at the far end of two pipes: calls as lines of JSON in, answers out. Run where the manager is.

``python manager_driver.py``; the module beside it, ``service_managers``, has the near end.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from stayon.core import restart
from stayon.core.installation import Installation
from stayon.errors import StayonError
from stayon.machine import Program
from stayon.platforms import current


def _wanted(told: dict[str, Any], command_of: Any) -> Installation:
    fields = {name: _tupled(value) for name, value in told.items()}
    fields["command"] = command_of(Program(fields["name"], fields.pop("program")))
    fields["restart"] = getattr(restart, fields["restart"])() if fields["restart"] else None
    return Installation(**fields)


def _tupled(value: Any) -> Any:
    return tuple(_tupled(each) for each in value) if isinstance(value, list) else value


def _answer(here: Any, call: dict[str, Any]) -> Any:
    manager = here.manager
    if call["what"] == "change":
        wanted = call["wanted"] and _wanted(call["wanted"], here.command)
        return [change.as_dict() for change in manager.change(call["name"], wanted, dry_run=call["dry_run"])]
    if call["what"] == "names":
        return manager.names()
    if call["what"] == "look":
        found = manager.look(call["name"])
    else:
        found = manager.ask(call["name"], call["verb"], call["timeout_s"], lambda _said: None)
    return found and {**found.as_dict(), "places": None}


def main() -> None:
    make = current().management
    assert make is not None
    here = make("system")
    for line in sys.stdin:
        try:
            answer = {"gave": _answer(here, json.loads(line))}
        except StayonError as error:
            shown = {field: getattr(error, field) for field in ("what", "where", "why", "hint", "code")}
            answer = {"kind": type(error).__name__, "exit_code": error.exit_code, "details": error.details, **shown}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
