"""The program that is one file: its words are the verbs, and its service is inside."""

from __future__ import annotations

import os
import sys

from stayon import exits
from stayon.cli.command import complain, execute
from stayon.cli.program import leave
from stayon.cli.target import find
from stayon.errors import StayonError
from stayon.platforms.onefile.program import OneFile, here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

# What can be done by the service's name alone, where its program can't be imported on this computer.
BY_NAME = ("info", "logs", "status", "stop", "uninstall", "update")


def main(words: Sequence[str]) -> NoReturn:
    """Do what *words* say, and end the process."""
    one_file = here()
    assert one_file is not None  # noqa: S101  # its entry is who calls this
    leave(_done(words, one_file, called(sys.argv[0], one_file.executable)))


def _done(words: Sequence[str], one_file: OneFile, program: str) -> int:
    try:
        _, service = find(one_file.entry)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except StayonError as error:
        complain(f"{program}: {error}")
        if not words or words[0] not in BY_NAME:
            return error.exit_code
        return execute(words, program=program, name=name_noted(one_file))
    return execute(words, program=program, service=service)


def called(word: str, executable: str) -> str:
    """What people type for this program: *word*, by which it was called, or on Windows the name of *executable*. Pure."""
    return os.path.basename(executable) if "\\" in executable or not word else word


def name_noted(one_file: OneFile) -> str:
    """The service's name as far as its builder could tell it: else that of the program."""
    about = one_file.about
    return str(about.get("service") or about.get("name") or os.path.basename(one_file.executable).partition(".")[0])
