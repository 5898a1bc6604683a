"""From words to deeds: parse, find the service, call the verb, turn an error into one line and an exit code."""

from __future__ import annotations

import os
import sys

from stayon import exits
from stayon.core.record import Record
from stayon.errors import StayonError, UnavailableError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from stayon.machine import Machine
    from stayon.runtime.service import Service


class Call(Record):
    """A verb being carried out: the service's name, the service (None if only its name is known), how the program was
    called, the options by name (absent ones are not there), what stands behind ``--``, which service was said ("" where
    the program is the service), and the computer (None: this one).
    """

    name: str
    service: Service | None = None
    program: str = "stayon"
    given: Mapping[str, Any] = {}  # never changed: a Record's default is shared
    arguments: tuple[str, ...] = ()
    target: str = ""
    machine: Machine | None = None

    def here(self) -> Machine:
        """The ports of the computer that it is about."""
        if self.machine is not None:
            return self.machine
        from stayon import app

        return app.here()

    @property
    def is_one_file(self) -> bool:
        """Whether the program is one file, without a Python beside it."""
        from stayon.platforms.onefile.program import here

        return here() is not None

    def command(self, verb: str) -> str:
        """What has to be typed for *verb*."""
        instance = f" --instance {self.given['instance']}" if "instance" in self.given else ""
        if self.program == "stayon":
            service = self.target or self.name or "collector.py"
            return f'stayon {verb} "{service}"{instance}' if " " in service else f"stayon {verb} {service}{instance}"
        python = f"{os.path.basename(sys.executable).removesuffix('.exe')} " if self.program.endswith(".py") else ""
        program = f'"{self.program}"' if " " in self.program and self.is_one_file else self.program
        return f"{python}{program} {verb}{instance}"

    def sudo(self, verb: str) -> str:
        """What has to be typed for *verb* to be done as root, with this very Python: root's path has another first."""
        python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
        if self.is_one_file:
            return f"sudo {self.replace(program=sys.executable).command(verb)}"
        said = self.command(verb)
        if self.program == "stayon":
            return f"sudo {python} -m {said}"
        return f"sudo {python} {said.partition(' ')[2]}" if said.startswith("python") else f"sudo {said}"


def execute(
    words: Sequence[str],
    *,
    program: str,
    service: Service | None = None,
    machine: Machine | None = None,
    name: str = "",
) -> int:
    """Do what *words* say, for *service*, for the one called *name*, or for the one that they name, on *machine* (None:
    this computer); gives the exit code. Never raises.
    """
    try:
        return _execute(words, Call(service.name if service is not None else name, service, program, machine=machine))
    except StayonError as error:
        complain(f"{program}: {error}")
        if error.exit_code == exits.USAGE:
            complain(f"Help: {program} help")
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


def _execute(words: Sequence[str], call: Call) -> int:
    service, program = call.service, call.program
    if not words and service is not None:
        # The program alone means run, and a running service needs no grammar.
        return _code("run:run")(call)
    from stayon.cli.words import help_text, overview, parse

    with_target = service is None and not call.name
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
    name = call.name
    if understood.target and not understood.verb.unseen:
        from stayon.cli.target import find

        name, service = find(understood.target)
    found = call.replace(
        name=name, service=service, given=understood.given, arguments=understood.arguments, target=understood.target
    )
    return _code(understood.verb.code)(found if service is not None else _by_instance(found))


def _by_instance(call: Call) -> Call:
    """*call* with its NAME@INSTANCE, as managers and lists call it, taken apart; a service's own name has no "@"."""
    name, at, instance = call.name.partition("@")
    if not at:
        return call
    said = call.given.get("instance", instance)
    if said != instance:
        raise UsageError(f"{call.name} is not the instance {said!r}", hint="Leave --instance out.", code="usage.option")
    return call.replace(name=name, target=name, given={**call.given, "instance": instance})


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
    try:
        sys.stdout.write(f"{text}\n")
    except UnicodeEncodeError:
        # What Windows has a pipe or a file take is a code page; what that lacks is escaped.
        encoding = sys.stdout.encoding
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stdout.flush()


def answer(call: Call, fields: object, text: str) -> None:
    """Print what came of *call*: *text*, or *fields* where ``--json`` was said."""
    if "json" in call.given:
        import json

        say(json.dumps(fields, default=str))
        return
    say(harmless(text))


def harmless(text: str) -> str:
    r"""*text* with an escape such as ``\x1b`` for all that isn't printable but line breaks and tabs: much of what verbs
    tell was said by a service, which must not move the cursor of an administrator's terminal.
    """
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    from stayon.runtime.logs.text import printable

    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def has_somebody_to_ask() -> bool:
    """Whether a person sits at a terminal. (Windows takes NUL for one, but a real one has a size.)"""
    if sys.stdin is None or sys.stderr is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    try:
        os.get_terminal_size(sys.stderr.fileno())
    except OSError:
        return False
    return True


def complain(text: str) -> None:
    """Print what went wrong; red on a terminal that wants colours."""
    red = sys.stderr is not None and sys.stderr.isatty() and "NO_COLOR" not in os.environ
    if sys.stderr is not None:
        text = harmless(text)
        sys.stderr.write(f"\x1b[31m{text}\x1b[0m\n" if red else f"{text}\n")
        sys.stderr.flush()
