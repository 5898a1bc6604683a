"""``update``: another file in the place of this program, what runs from it started anew, and all back if that doesn't
stay up.
"""

from __future__ import annotations

import json
import os
import sys
import time

from stayon import exits
from stayon.cli import ask, inside, keepers, managed
from stayon.cli.command import answer
from stayon.core import states
from stayon.core.duration import seconds
from stayon.core.installation import SYSTEM
from stayon.core.record import Record
from stayon.errors import FailedError, NotPermittedError, StayonError, UnavailableError, UsageError
from stayon.platforms.onefile import collect, swap
from stayon.platforms.onefile.again import Beginning, beginning
from stayon.runtime import status_reading as reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stayon.cli.command import Call
    from stayon.cli.keepers import Keeper
    from stayon.platforms.onefile.program import OneFile
    from stayon.platforms.onefile.swap import Piece

# How long the new one may take to say what is in it: its first start puts its files on disk.
ANSWER_S = 120.0

CHUNK_BYTES = 1 << 20

# How long a service has to stay up before it counts as started, and how often that is looked at.
SETTLE_S, LOOK_S = 5.0, 0.1


class Running(Record):
    """A service that runs from the file: the call that is about it, who keeps it (None: it runs in a console, or in the
    background), and how it was begun if it is in the background.
    """

    call: Call
    keeper: Keeper | None = None
    begun: Beginning | None = None

    @property
    def name(self) -> str:
        """What its manager calls it."""
        return keepers.name_of(self.call)


def update(call: Call) -> int:
    """Replace the program. Gives 0 if the new one is in place, and runs where the old one did."""
    one_file, source = inside.required(), call.given.get("new", "")
    if not source:
        raise UsageError(
            "which file is to take the place of this program?",
            hint=f"Say it: {call.command('update')} ./new/{os.path.basename(one_file.executable)}",
            code="usage.target",
        )
    settle_s = seconds(call.given["settle"], where="--settle") if "settle" in call.given else SETTLE_S
    staged = _pieces(source, one_file)
    if all(_is_same(each, piece.path) for each, piece in staged):
        _tell(call, one_file.about.get("version"), [], "it is this very file already: nothing to change")
        return exits.DONE
    try:
        with swap.Turn(one_file.executable):
            return _update(call, one_file, staged, settle_s)
    except PermissionError as error:
        refusal = NotPermittedError(
            "this account may not replace the program",
            where=error.filename or one_file.executable,
            why=error.strerror or str(error),
            hint="Say it as an account that may write there.",
            code="update.not-permitted",
        )
        keepers.permit(refusal, call, f"update {source}", SYSTEM)
        raise refusal from error


def _update(call: Call, one_file: OneFile, staged: list[tuple[str, Piece]], settle_s: float) -> int:
    pieces = [piece for _source, piece in staged]
    try:
        for source, piece in staged:
            swap.stage(source, piece)
        new = _checked(call, pieces[0].new, staged[0][0])
        services = running(call, one_file.executable)
        swap.swap(pieces)
    except BaseException:
        for piece in pieces:
            swap.discard(piece.new)
        collect_quietly(one_file)
        raise
    version = f"{new.get('name') or call.name} {new.get('version') or ''}".rstrip()
    try:
        for one in services:
            _restart(one)
        _stay_up(services, settle_s)
    except (StayonError, KeyboardInterrupt) as error:
        raise _rolled_back(call, one_file, (pieces, services), error) from error
    collect.remember(one_file.executable, [each["path"] for each in new["sets"]])
    names = [one.name for one in services]
    _tell(
        call, new.get("version"), names, f"{version} is in place" + (f", and runs: {', '.join(names)}" if names else "")
    )
    for piece in pieces:
        swap.discard(piece.old)
    collect_quietly(one_file)
    return exits.DONE


def _pieces(source: str, one_file: OneFile) -> list[tuple[str, Piece]]:
    """What is to be put where: the program, and what stands beside it in the layout "pair"."""
    if not os.path.isfile(source):
        raise UsageError("there is no such file", where=source, hint="Check the path.", code="usage.no-file")
    source = os.path.realpath(source)
    program, beside = swap.pieces(one_file.executable)
    pair = swap.pair_of(source)
    return [(source, program), *([(pair, beside)] if os.path.isfile(pair) else [])]


def _is_same(path: str, other: str) -> bool:
    if not os.path.isfile(other) or os.path.getsize(path) != os.path.getsize(other):
        return False
    with open(path, "rb") as one, open(other, "rb") as two:
        while chunk := one.read(CHUNK_BYTES):
            if chunk != two.read(CHUNK_BYTES):
                return False
    return True


def _checked(call: Call, path: str, source: str) -> dict[str, Any]:
    """What the program at *path* says of itself, if it can take the place of this one. Raises ``StayonError``."""
    try:
        printed, code = _asked(call, path)
    except StayonError as error:
        raise _unfit(source, f"it can't be run here: {error.why or error}") from error
    try:
        told = json.loads(printed)
        service = told["service"]
    except (ValueError, TypeError, LookupError):
        service = None
    if code != exits.DONE or service is None:
        raise _unfit(source, f"asked what is in it, it ended with exit code {code} ({exits.meaning(code)})")
    if not service:
        raise _unfit(source, "its own program can't be imported on this computer")
    if call.service is not None and service != call.name:
        raise UsageError(
            f"it is the service {service!r}, and this one is {call.name!r}",
            where=source,
            hint="Install that one beside it, under its own name.",
            code="update.other-service",
        )
    return dict(told)


def _asked(call: Call, path: str) -> tuple[bytes, int]:
    """What the program at *path* prints as its ``info``, and its exit code; what it complains of goes to our standard
    error. Raises ``StayonError`` if it can't be started.
    """
    from threading import Timer

    child = call.here().launcher.spawn([path, "info", "--json"])
    limit = Timer(ANSWER_S, child.kill)
    limit.start()
    try:
        printed = b"".join(iter(lambda: os.read(child.output, 65536), b""))
        code = child.wait(ANSWER_S)
        return printed, exits.FAILED if code is None else code
    finally:
        limit.cancel()
        os.close(child.output)


def _unfit(source: str, why: str) -> FailedError:
    return FailedError(
        "the file can't take the place of this program, nothing was changed", where=source, why=why, code="update.unfit"
    )


def running(call: Call, executable: str) -> list[Running]:
    """The services that run from *executable*: those that a manager keeps, or this one by itself."""
    found = []
    for keeper, one in inside.kept_from(call, executable):
        if one.state != states.STOPPED:
            _name, _, instance = one.name.partition("@")
            given = {**call.given, **({"instance": instance} if instance else {})}
            found.append(Running(call.replace(given=given), keeper))
    page = ask.peer(call).read()
    by_manager = [one for one in found if one.name == keepers.name_of(call)]
    if not by_manager and page.verdict in (reading.RUNNING, reading.STARTING):
        found.append(Running(call, begun=beginning(page.status.pid) if page.status is not None else None))
    return found


def _restart(one: Running) -> None:
    """Have it start again, and wait until it is RUNNING. Raises ``StayonError``."""
    if one.keeper is None:
        ask.restarted(one.call)
        return
    manager, began = keepers.manager_in(one.keeper.here, one.call), time.time()
    now = manager.look(one.name)
    verb = "start" if now is None or now.state == states.STOPPED else "restart"
    try:
        manager.ask(one.name, verb, ask.timeout_s_of(one.call, _limit_s(one.call)), managed.progress, ())
    except StayonError as error:
        error.details = error.details or managed.last_words(one.call, began)
        raise


def _start_as_it_was(one: Running) -> None:
    """Start the old program again, also where its process became the new one, and has ended. Raises ``StayonError``."""
    begun = one.begun
    if begun is None or ask.peer(one.call).read().verdict in (reading.RUNNING, reading.STARTING):
        _restart(one)
        return
    os.chdir(begun.directory if os.path.isdir(begun.directory) else "/")
    child = one.call.here().launcher.spawn([sys.executable, *begun.words[1:]], env=begun.environment)
    try:
        while os.read(child.output, 65536):
            pass  # it says how it went by its exit code
    finally:
        os.close(child.output)
    code = child.wait(_limit_s(one.call))
    if code != exits.DONE:
        raise FailedError(
            f"{one.name} could not be begun again",
            why=f"exit code {code}",
            hint=f"Do it yourself: {one.call.command('start')}",
            code="update.not-begun",
        )


def _limit_s(call: Call) -> float:
    """What stopping and starting may take: the service's own limits, and a margin."""
    if call.service is None:
        return ask.STOP_S + managed.START_S
    spec = call.service.spec()
    return spec.stop_timeout_s + spec.start_timeout_s + 2 * managed.SLACK_S


def _stay_up(services: list[Running], settle_s: float) -> None:
    """Watch them for a while. Raises ``FailedError`` for one that ends or is started again meanwhile."""
    before = {one.name: _process(one) for one in services}
    deadline = time.monotonic() + settle_s
    while services and time.monotonic() < deadline:
        time.sleep(LOOK_S)
        for one in services:
            pid, text = _process(one)
            if pid == 0 or pid != before[one.name][0]:
                raise FailedError(
                    f"{one.name} did not stay up for {settle_s:g} s",
                    why=text,
                    hint="Its log says more.",
                    code="update.not-staying",
                )


def _process(one: Running) -> tuple[int, str]:
    """Its process, 0 if it doesn't serve; and how it is, in words."""
    if one.keeper is None:
        page = ask.peer(one.call).read()
        serves = page.verdict == reading.RUNNING and page.status is not None
        return (page.status.pid if serves and page.status is not None else 0), page.text
    now = keepers.manager_in(one.keeper.here, one.call).look(one.name)
    if now is None:
        return 0, "it is gone from its manager"
    why = f"{now.state}, exit code {now.exit_code} ({exits.meaning(now.exit_code)})"
    return (now.pid if now.state == states.RUNNING else 0), now.why or why


def _rolled_back(
    call: Call, one_file: OneFile, done: tuple[list[Piece], list[Running]], cause: BaseException
) -> StayonError:
    """The old program is back in its place, and has been started; gives the error that says both."""
    pieces, services = done
    said = (str(cause) or type(cause).__name__).splitlines()
    try:
        for piece in reversed(pieces):
            swap.take_back(piece)
    except OSError as error:
        failed: StayonError = UnavailableError(
            "the new program failed, and the old one could not be put back",
            where=error.filename or one_file.executable,
            why=error.strerror or str(error),
            hint=f"Rename {pieces[0].old} to {pieces[0].path}, then start the service.",
            code="update.not-back",
        )
        failed.details = tuple(said)
        return failed
    collect.remember(one_file.executable, one_file.sets)
    for one in services:
        try:
            _start_as_it_was(one)
            said.append(f"{one.name} runs again as it was, process {_process(one)[0]}")
        except StayonError as error:
            said.append(f"{one.name} as it was doesn't run either: {error}")
    collect_quietly(one_file)
    failed = FailedError(
        "the new program failed, and the old one is back in its place",
        where=one_file.executable,
        hint=f"Look at its log, correct it, and say it again: {call.command('logs')}",
        code="update.rolled-back",
    )
    failed.details = tuple(said)
    return failed


def collect_quietly(one_file: OneFile) -> None:
    """Remove the sets that nobody needs any more. What can't be goes another time."""
    try:
        collect.collect(collect.root_of(one_file))
    except OSError:
        return  # another account's


def _tell(call: Call, version: object, names: list[str], text: str) -> None:
    answer(call, {"name": call.name, "version": version, "restarted": names}, text)
