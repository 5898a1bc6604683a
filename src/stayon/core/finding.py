"""One thing that was looked at before it is needed: how it is, and what to do if it isn't well."""

from __future__ import annotations

from stayon import exits
from stayon.core.record import Record

OK, WARNING, BAD = "ok", "warning", "bad"


class Finding(Record):
    """*verdict* is one of the names above; *exit_code* is what a start would end with because of a bad one."""

    verdict: str
    subject: str
    text: str
    exit_code: int = exits.DONE
