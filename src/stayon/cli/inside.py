"""The program that is one file: its words are the verbs, and its service is inside."""

from __future__ import annotations

import gc
import os
import sys

from stayon import exits
from stayon.cli import keepers
from stayon.cli.command import complain, execute
from stayon.cli.keepers import Keeper
from stayon.cli.program import leave
from stayon.cli.target import find
from stayon.errors import StayonError, UnavailableError, UsageError
from stayon.platforms.onefile import swap
from stayon.platforms.onefile.program import OneFile, here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from stayon.cli.command import Call
    from stayon.core.installation import Managed

# What can be done by the service's name alone, where its program can't be imported on this computer.
BY_NAME = ("info", "logs", "status", "stop", "uninstall", "update")


def main(words: Sequence[str]) -> NoReturn:
    """Do what *words* say, and end the process."""
    one_file = here()
    assert one_file is not None  # noqa: S101  # its entry is who calls this
    recover(one_file.executable)
    leave(_done(words, one_file, called(sys.argv[0], one_file.executable)))


def recover(executable: str) -> None:
    """Put right what an update has left that was cut short, and remove what one that is over has left."""
    place = swap.original(executable)
    try:
        if place:
            os.rename(executable, place)
            complain(f"{executable} is {place} again: an update was cut short")
    except OSError as error:
        complain(f"an update was cut short: rename {executable} to {place} ({error.strerror})")
    swap.tidy(place or executable)


def _done(words: Sequence[str], one_file: OneFile, program: str) -> int:
    gc.disable()  # nothing that is imported is garbage
    try:
        _, service = find(one_file.entry)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except StayonError as error:
        complain(f"{program}: {error}")
        if not words or words[0] not in BY_NAME:
            return error.exit_code
        return execute(words, program=program, name=name_noted(one_file))
    finally:
        gc.freeze()
        gc.enable()
    return execute(words, program=program, service=service)


def required() -> OneFile:
    """What is known of this program, which has to be one file. Raises ``UsageError``."""
    one_file = here()
    if one_file is None:
        raise UsageError(
            "this verb is for a program that is one file",
            hint="Make one: stayon build collector.py. Of a script, update the file and restart it",
            code="usage.not-one-file",
        )
    return one_file


def kept_from(call: Call, executable: str) -> list[tuple[Keeper, Managed]]:
    """The services of ours that a manager here starts from *executable*, with who keeps them."""
    found = []
    for scope in keepers.scopes(call):
        here_ = keepers.here(call, scope)
        manager = here_.manager if here_ is not None else None
        if here_ is None or manager is None:
            continue
        try:
            looked = [manager.look(name) for name in manager.names()]
        except UnavailableError:
            continue  # this account's own manager does not run
        found += [
            (Keeper(scope, here_, one), one)
            for one in looked
            if one is not None and one.mark and is_program(one.command, executable)
        ]
    return found


def is_program(command: str, executable: str) -> bool:
    """Whether *executable* is the first word of *command*, a line as managers have it. Pure."""
    first = command[1:].partition('"')[0] if command.startswith('"') else command.partition(" ")[0]
    return os.path.normcase(first) == os.path.normcase(executable)


def let_go(call: Call) -> tuple[list[str], list[str]]:
    """Have nothing on disk of this program where no manager starts it any more: what its launcher has put there goes,
    unless other programs need it. Gives what is gone, and what is held yet by a program that runs.

    Call it last: what this process hasn't loaded of it can't be loaded any more.
    """
    from stayon.platforms.onefile import collect

    one_file = here()
    if one_file is None or kept_from(call, one_file.executable):
        return [], []
    try:
        collect.forget(one_file)
        collected = collect.collect(collect.root_of(one_file))
    except OSError:
        return [], []  # another account's, such as root's: nothing of it is this one's
    return list(collected.removed), list(collected.held)


def called(word: str, executable: str) -> str:
    """What people type for this program: *word*, by which it was called; on Windows the name of *executable*. Pure."""
    return os.path.basename(executable) if "\\" in executable or not word else word


def name_noted(one_file: OneFile) -> str:
    """The service's name as far as its builder could tell it: else that of the program."""
    about = one_file.about
    return str(about.get("service") or about.get("name") or os.path.basename(one_file.executable).partition(".")[0])
