"""``status``: what the service says of itself and what its manager says of it, as one answer."""

from __future__ import annotations

from stayon import exits
from stayon.cli import ask, keepers, managed
from stayon.cli.command import answer
from stayon.core import states
from stayon.core.record import Record
from stayon.errors import NotPermittedError
from stayon.runtime import status_reading as reading
from stayon.runtime.status_reading import Reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.cli.command import Call
    from stayon.core.installation import Managed

# What the manager's word alone amounts to.
_VERDICTS = {states.STOPPED: reading.ENDED, states.START_PENDING: reading.STARTING}


class Answer(Record):
    """*reading* as it is told, and *kept*, the service in its manager (None: it isn't kept by one)."""

    reading: Reading
    kept: Managed | None = None


def status(call: Call) -> int:
    """Say how it is: for people, or with ``--json`` everything that the page and the manager have."""
    kept = keepers.kept(call)
    try:
        found: Reading | None = ask.peer_in(call, kept).read()
    except NotPermittedError:
        if kept is None:
            raise
        found = None
    whole = merged(found, kept)
    told = whole.reading
    fields = told.status.as_dict() if told.status is not None else {}
    if kept is not None and told.status is None:
        fields = {"state": kept.state, "pid": kept.pid or None, "exit_code": _code(kept)}
    from stayon.cli.show import status_text

    answer(
        call,
        {
            "verdict": told.verdict,
            "text": told.text,
            "silent_s": round(told.silent_s, 3),
            **fields,
            "manager": kept.as_dict() if kept is not None else None,
        },
        status_text(keepers.name_of(call), told, kept),
    )
    if told.verdict in (reading.RUNNING, reading.STARTING):
        return exits.DONE
    return exits.FAILED if told.verdict in (reading.DIED, reading.NOT_RESPONDING) else ask.NOT_RUNNING


def merged(found: Reading | None, kept: Managed | None) -> Answer:
    """What to tell, of the page (None: it may not be read) and the manager's word. Pure.

    The page knows more, so it is told whenever it is of the process that the manager has; what the manager alone can
    know (a process that never wrote a page, an end without a word) is told in its words.
    """
    if kept is None:
        return Answer(found or Reading(reading.NEVER_RUN, "nobody knows of it"))
    if found is None:
        return Answer(_managers_word(kept, "its status page may not be read by this account"), kept)
    page = found.status
    if kept.state != states.STOPPED:
        ours = page is not None and page.pid == kept.pid and page.exit_code is None
        return Answer(found if ours else _managers_word(kept), kept)
    if found.verdict == reading.DIED and kept.why:
        return Answer(found.replace(text=f"{found.text} ({kept.why})"), kept)
    # A manager is told that a stop that was asked for went well, or it would start the service again.
    is_its_end = found.verdict == reading.ENDED and page is not None and kept.exit_code in (0, page.exit_code)
    if is_its_end or found.verdict in (*managed.IN_CONSOLE, reading.DIED):
        return Answer(found, kept)
    return Answer(_managers_word(kept), kept)


def _managers_word(kept: Managed, note: str = "") -> Reading:
    verdict = _VERDICTS.get(kept.state, reading.RUNNING)
    parts = [kept.state]
    if kept.pid:
        parts.append(f"process {kept.pid}")
    if kept.since:
        from stayon.runtime.logs.stamps import text_of

        parts.append(f"since {text_of(kept.since)}")
    text = ", ".join(parts)
    if kept.state == states.STOPPED and kept.exit_code:
        text = f"{text}, ended with exit code {kept.exit_code} ({exits.meaning(kept.exit_code)})"
    if kept.why and kept.why != exits.meaning(kept.exit_code):
        text = f"{text}: {kept.why}"
    return Reading(verdict, f"{text} ({note})" if note else text)


def _code(kept: Managed) -> int | None:
    return kept.exit_code if kept.state == states.STOPPED else None
