"""From words to deeds: parse, find the service, call the verb, turn an error into one line and an exit code."""

from __future__ import annotations

import os
import sys

from stayon import exits
from stayon.core.record import Record
from stayon.errors import StayonError, UnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from stayon.runtime.service import Service


class Call(Record):
    """A verb being carried out: the service's name, the service (None if only its name is known), how the program was
    called, the options by name (absent ones are not there), and what stands behind ``--``.
    """

    name: str
    service: Service | None = None
    program: str = "stayon"
    given: Mapping[str, Any] = {}  # never changed: a Record's default is shared
    arguments: tuple[str, ...] = ()


def execute(words: Sequence[str], *, program: str, service: Service | None = None) -> int:
    """Do what *words* say, for *service* or for the one that they name; gives the exit code. Never raises."""
    try:
        return _execute(words, program, service)
    except StayonError as error:
        complain(f"{program}: {error}")
        if error.exit_code == exits.USAGE:
            complain(f"Help: {program} --help")
        return error.exit_code
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left (head, less): that is its right. Let nothing complain at the end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return exits.DONE
    except OSError as error:
        complain(f"{program}: {UnavailableError('the system refused', why=str(error), code='command.system')}")
        return exits.UNAVAILABLE


def _execute(words: Sequence[str], program: str, service: Service | None) -> int:
    if not words and service is not None:
        # The program alone means run, and a running service needs no grammar.
        return _code("run:run")(Call(service.name, service, program))
    from stayon.cli.words import help_text, overview, parse

    with_target = service is None
    if words and words[0] in ("-h", "--help", "help"):
        say(overview(program, with_target=with_target))
        return exits.DONE
    if words and words[0] in ("--version", "version"):
        from stayon import __version__

        say(f"stayon {__version__}, Python {sys.version.split()[0]}")
        return exits.DONE
    understood = parse(words, with_target=with_target)
    if understood.help:
        say(help_text(understood.verb, program, with_target=with_target))
        return exits.DONE
    if service is None:
        from stayon.cli.target import find

        name, service = find(understood.target)
    else:
        name = service.name
    return _code(understood.verb.code)(Call(name, service, program, understood.given, understood.arguments))


def _code(path: str) -> Callable[[Call], int]:
    """The function behind a verb, imported when it is asked for."""
    module, _, function = path.partition(":")
    found = __import__(f"stayon.cli.{module}", fromlist=[function])
    code: Callable[[Call], int] = getattr(found, function)
    return code


def say(text: str) -> None:
    """Print an answer; nobody is there to read it where standard output is closed."""
    if sys.stdout is None:
        return
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print what went wrong; red on a terminal that wants colours."""
    red = sys.stderr is not None and sys.stderr.isatty() and "NO_COLOR" not in os.environ
    if sys.stderr is not None:
        sys.stderr.write(f"\x1b[31m{text}\x1b[0m\n" if red else f"{text}\n")
        sys.stderr.flush()
