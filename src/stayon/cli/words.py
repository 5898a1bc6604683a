"""The command line's grammar: one table of verbs and options, from which parsing, ``--help`` and the reference are
made.

``argparse`` would cost each running service 1.2 MB for words it reads once.
"""

from __future__ import annotations

import os

from stayon.core.nearest import did_you_mean
from stayon.core.record import Record
from stayon.errors import ConfigError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Option(Record):
    """``--name VALUE`` or, without *value*, a switch. *many*: may be given several times, and is a list. *group* is the
    heading below which ``--help`` has it.
    """

    name: str
    summary: str
    value: str = ""
    short: str = ""
    many: bool = False
    group: str = ""


class Verb(Record):
    """What can be asked for: where its code is ("module:function" below ``stayon.cli``), what it takes, and an
    example. *word* may stand behind the service. *alone*: it is not about one service. *passes_on*: what stands behind
    ``--`` goes to the service. *unseen*: what it is about is a name to it, and nothing is imported.
    """

    name: str
    code: str
    summary: str
    example: str
    options: tuple[Option, ...] = ()
    word: str = ""
    alone: bool = False
    passes_on: bool = False
    unseen: bool = False


INSTANCE = Option("instance", "which of several instances is meant", "NAME")
CONFIG = Option("config", "the configuration file, instead of the usual place", "FILE")
SET = Option("set", "a setting that goes before file and environment", "KEY=VALUE", many=True)
JSON = Option("json", "answer in JSON, for scripts")
TIMEOUT = Option("timeout", "how long to wait for it to be done (default: the service's own limit)", "DURATION")
LEVEL = Option("level", "trace, debug, info, notice, warning, error or critical", "LEVEL")
DRY_RUN = Option("dry-run", "say what would be changed, and change nothing")

USER = Option("user", "a service of this account alone, kept by its own manager (Linux, macOS)")
ACCOUNT = Option("account", "who it runs as (default: an account with few rights); passwords are asked for", "ACCOUNT")
LIMIT = Option("limit", "a limit of setrlimit(2) for each of its processes: nofile=65536", "NAME=VALUE", many=True)
PID_FILE = Option("pid-file", "a further pid file, for others (its own is NAME.lock in its run directory)", "FILE")
RESTART = Option("restart", "start again by the service's restart policy when it fails")
NO_RESTART = Option("no-restart", "do not, even if the service declares a policy")

# Headings of ``--help``.
WHEN, RIGHTS, BOUNDS = "when it starts", "who it is, and what it may do", "how much it may have"
BACKGROUND = "in the background"
INSIDE, LOOKS, MAKING = "what goes in", "what it is called and looks like", "how it is made"

# How a service is to be kept: what ``install`` makes so, and ``export`` writes down.
INSTALLATION = (
    USER,
    CONFIG,
    SET,
    INSTANCE,
    Option("env", "a variable of its environment", "KEY=VALUE", many=True),
    Option("display-name", "what lists of services call it", "TEXT"),
    Option("start", "auto (with the computer), delayed, manual or disabled", "WHEN", group=WHEN),
    Option("after", "a service that has to run before it", "SERVICE", many=True, group=WHEN),
    Option("socket", "one to be opened before it starts: http=127.0.0.1:8080", "NAME=ADDRESS", many=True, group=WHEN),
    ACCOUNT.replace(group=RIGHTS),
    Option("controllers", "a group whose members may start and stop it", "GROUP", group=RIGHTS),
    Option("allow", "what services are kept from unless they need it; see below", "NAME", many=True, group=RIGHTS),
    Option("write", "a directory of others where it may write", "DIR", many=True, group=RIGHTS),
    Option("memory", "for all its processes together: 200M", "SIZE", group=BOUNDS),
    Option("cpu", "of one processor: 50%", "PERCENT", group=BOUNDS),
    Option("tasks", "processes and threads at once", "N", group=BOUNDS),
    LIMIT.replace(group=BOUNDS),
)
IN_BACKGROUND = tuple(one.replace(group=BACKGROUND) for one in (CONFIG, SET, RESTART, NO_RESTART))
DETACH = Option("detach", "go on as a daemon; returns when it is RUNNING, or has failed", group=BACKGROUND)
# Of a service that nobody keeps, and that runs in the background all the same (Unix).
DAEMON = (
    ACCOUNT.replace(summary="who it runs as in the background (root only)", group=BACKGROUND),
    LIMIT.replace(group=BACKGROUND),
    PID_FILE.replace(group=BACKGROUND),
)
NEW_PASSWORD = Option(
    "new-password", "the account has another password now: tell the system (STAYON_PASSWORD, or asked)"
)

BUILDING = (
    Option("target", "windows-x64, windows-arm64, linux-x64 or linux-arm64 (default: this computer's)", "TARGET"),
    Option("output", "the directory to put it into (default: dist)", "DIR", short="o"),
    Option("layout", "one: a single file; pair: launcher and NAME.pkg; trusted: python.org's signed files", "LAYOUT"),
    JSON,
    Option(
        "include", "a module or package more, imported in a way that cannot be seen", "MODULE", many=True, group=INSIDE
    ),
    Option("exclude", "a module or package less, with all that only it needs", "MODULE", many=True, group=INSIDE),
    Option("data", "a file or directory more, at PLACE beside your modules", "FILE[=PLACE]", many=True, group=INSIDE),
    Option(
        "requirements", "what it depends on (default: its inline metadata, or pyproject.toml)", "FILE", group=INSIDE
    ),
    Option("source", "keep: tracebacks show lines of source (default); strip: they don't", "HOW", group=INSIDE),
    Option("explain", "say why MODULE would be in it, or isn't, and build nothing", "MODULE", group=INSIDE),
    Option("name", "the file's name (default: the program's)", "NAME", group=LOOKS),
    Option("version", "its version: 1.2.3", "VERSION", group=LOOKS),
    Option("publisher", "who publishes it", "TEXT", group=LOOKS),
    Option("icon", "an .ico file (Windows)", "FILE", group=LOOKS),
    Option("sign", "sign it, by a .pfx, cert.pem+key.pem, or a thumbprint in Windows' store", "CERT", group=LOOKS),
    Option("timestamp", "who is asked to confirm the time of the signature", "URL", group=LOOKS),
    Option("python", "its version of Python (default: that of the Python that builds)", "3.N", group=MAKING),
    Option(
        "runtime", "its interpreter: a directory, an archive, or an address with #sha256=...", "PLACE", group=MAKING
    ),
    Option("offline", "use nothing from the network", group=MAKING),
)

VERBS = (
    Verb(
        "run",
        "run:run",
        "run it here, in the foreground; Ctrl-C stops it gracefully, a second one at once",
        "run --set stayon.log.level=debug",
        (
            CONFIG,
            SET,
            INSTANCE,
            LEVEL,
            RESTART,
            NO_RESTART,
            Option("once", "run one job once, with hooks and configuration, and end as it did", "JOB"),
            DETACH,
            *DAEMON,
        ),
        passes_on=True,
    ),
    Verb(
        "install",
        "install:install",
        "have the system keep it: make its entry there, or bring it up to date, and say what was changed",
        "install --account LocalService --start delayed --now",
        (*INSTALLATION, NEW_PASSWORD, Option("now", "start it at once"), DRY_RUN, JSON),
    ),
    Verb(
        "uninstall",
        "uninstall:uninstall",
        "stop it and take it away from the system; configuration, state and logs stay",
        "uninstall --dry-run",
        (
            INSTANCE,
            Option("purge", "remove its configuration, state and logs as well"),
            Option("yes", "do not ask before that", short="y"),
            DRY_RUN,
            JSON,
        ),
    ),
    Verb(
        "start",
        "managed:start",
        "have the system start it, and wait until it is RUNNING; where nobody keeps services, as a daemon",
        "start --timeout 30s",
        (INSTANCE, TIMEOUT, JSON, *DAEMON, *IN_BACKGROUND),
        passes_on=True,
    ),
    Verb(
        "status",
        "status:status",
        "how it is: state, pid, since when, jobs; works on a hung process too",
        "status --json",
        (INSTANCE, JSON),
    ),
    Verb(
        "stop",
        "managed:stop",
        "stop it gracefully and wait until it is gone",
        "stop --timeout 30s",
        (INSTANCE, TIMEOUT, JSON),
    ),
    Verb("pause", "managed:pause", "let running jobs finish and start no more", "pause", (INSTANCE, TIMEOUT, JSON)),
    Verb("resume", "managed:resume", "go on after a pause", "resume", (INSTANCE, TIMEOUT, JSON)),
    Verb(
        "restart",
        "managed:restart",
        "stop it gracefully and start it again with the same arguments",
        "restart",
        (INSTANCE, TIMEOUT, JSON),
    ),
    Verb(
        "reload",
        "managed:reload",
        "read the configuration again, all of it or nothing",
        "reload",
        (INSTANCE, TIMEOUT, JSON),
    ),
    Verb(
        "logs",
        "logs:logs",
        "its last log lines",
        "logs -f --level warning",
        (
            INSTANCE,
            Option("follow", "go on with what comes, across rotation", short="f"),
            Option("lines", "how many of the last lines (default 50)", "N", short="n"),
            LEVEL,
            Option("job", "only the lines of one job", "NAME"),
            Option("since", "only what is younger: 10m, 2h, or a time such as 2026-01-31T08:00Z", "WHEN"),
            JSON,
        ),
    ),
    Verb(
        "level",
        "level:level",
        "have it log more or less from now on, or (with -) what is configured; alone: say what holds",
        "level debug --for 10m",
        (INSTANCE, Option("for", "for how long (default: until it is reset, or reloads)", "DURATION"), JSON),
        word="LEVEL",
    ),
    Verb(
        "dump", "ask:dump", "the stacks of all its threads and tasks, and what is under way", "dump", (INSTANCE, JSON)
    ),
    Verb(
        "doctor",
        "doctor:doctor",
        "check everything it needs before it needs it",
        "doctor",
        (*INSTALLATION, JSON),
    ),
    Verb("list", "listing:listing", "the services that stayon has installed here", "list --json", (JSON,), alone=True),
    Verb(
        "export",
        "export:export",
        "print what install would make, or a container needs, in words that do not need stayon",
        "export --format kubernetes --image registry.example/prices:1",
        (
            Option("format", "systemd, timer, launchd, sc, powershell, kubernetes or compose", "FORMAT"),
            Option("image", "the image of the container (kubernetes, compose)", "IMAGE"),
            *INSTALLATION,
        ),
    ),
    Verb(
        "info",
        "info:info",
        "what is in a program that is one file, and where it has put what can't stay inside",
        "info --json",
        (JSON,),
    ),
    Verb(
        "update",
        "update:update",
        "replace a program that is one file by another, start it anew, and take it back if it doesn't stay up",
        "update ./new/collector",
        (
            INSTANCE,
            TIMEOUT,
            Option("settle", "how long it has to stay up before the old one goes (default: 5s)", "DURATION"),
            JSON,
        ),
        word="NEW",
    ),
    Verb(
        "build",
        "build:build",
        "make one file of it that runs where there is no Python, on Windows or Linux",
        "build --target windows-x64",
        BUILDING,
        unseen=True,
    ),
    Verb(
        "verify",
        "build:verify",
        "check a file that build has made: its hashes, what is in it, its signature, and whether it starts",
        "verify dist/collector.exe",
        (JSON,),
        word="FILE",
        alone=True,
    ),
)

# What only a program that is one file has, and what none has that was built: it has no Python to make others with.
_INSIDE, _OUTSIDE = ("info", "update"), ("build", "verify")


class Words(Record):
    """A command line, understood: the verb, its options by name (absent ones are not there), and what stands behind
    ``--``.
    """

    verb: Verb
    given: dict[str, Any]
    target: str = ""
    arguments: tuple[str, ...] = ()
    help: bool = False


def parse(words: Sequence[str], *, with_target: bool) -> Words:
    """Understand *words*. *with_target*: the verb is followed by the service (``stayon``), else the program is the
    service.

    Raises ``UsageError`` that names the nearest verb or option.
    """
    left = list(words)
    word = left.pop(0) if left and not left[0].startswith("-") else "" if with_target else "run"
    verb = _verb(word, {verb.name: verb for verb in _verbs(with_target=with_target)})
    options = {f"--{option.name}": option for option in verb.options}
    options |= {f"-{option.short}": option for option in verb.options if option.short}
    given: dict[str, Any] = {}
    targets: list[str] = []
    while left:
        word = left.pop(0)
        if word == "--":
            break
        if word in ("-h", "--help"):
            return Words(verb, given, help=True)
        if word.startswith("-") and word != "-":
            _take(word, left, options, given, verb)
        else:
            targets.append(word)
    before = with_target and not verb.alone
    if verb.word and len(targets) > before:
        given[verb.word.lower()] = targets.pop(before)
    return Words(verb, given, _target(targets, verb, with_target=with_target), tuple(left))


def level_of(text: str, where: str = "--level") -> int:
    """The level that *text* names, given at *where*. Raises ``UsageError``: here a wrong one is a wrong use."""
    from stayon.core import levels

    try:
        return levels.parse(text)
    except ConfigError as error:
        raise UsageError(error.what, where=where, hint=error.hint, code="usage.option") from error


def _verbs(*, with_target: bool) -> list[Verb]:
    """Those that there are: for ``stayon`` all, so that its help tells of all."""
    if with_target:
        return list(VERBS)
    from stayon.platforms.onefile.program import here

    missing: tuple[str, ...]
    if here() is not None:
        missing = _OUTSIDE
    elif os.path.isdir(os.path.join(os.path.dirname(os.path.dirname(__file__)), "build")):
        missing = _INSIDE
    else:
        missing = _INSIDE + _OUTSIDE  # a directory with python.org's own files (the layout "trusted")
    return [verb for verb in VERBS if verb.name not in missing]


def _verb(word: str, known: dict[str, Verb]) -> Verb:
    if word in known:
        return known[word]
    what = f"there is no verb {word!r}" if word else "a verb is missing"
    raise UsageError(what, hint=did_you_mean(word, known), code="usage.verb")


def _take(word: str, left: list[str], options: dict[str, Option], given: dict[str, Any], verb: Verb) -> None:
    name, equals, value = word.partition("=")
    option = options.get(name)
    if option is None:
        raise UsageError(f"{verb.name} has no option {name}", hint=did_you_mean(name, options), code="usage.option")
    if not option.value:
        if equals:
            raise UsageError(f"{name} takes no value", hint=f"Say {name} alone.", code="usage.option")
        given[option.name] = True
        return
    if not equals:
        if not left:
            raise UsageError(f"{name} needs {option.value}", hint=f"Try {name} {option.value}.", code="usage.option")
        value = left.pop(0)
    if option.many:
        given.setdefault(option.name, []).append(value)
    else:
        given[option.name] = value


def _target(targets: list[str], verb: Verb, *, with_target: bool) -> str:
    with_target = with_target and not verb.alone
    if with_target and len(targets) == 1:
        return targets[0]
    if with_target and not targets:
        raise UsageError(
            f"{verb.name} needs a service",
            hint=f"Say a file, module:service or a service's name: stayon {verb.name} collector.py",
            code="usage.target",
        )
    if targets[with_target:]:
        extra = targets[with_target]
        raise UsageError(
            f"{extra!r} is one word too many",
            hint="What is meant for the service itself stands behind --.",
            code="usage.extra-word",
        )
    return ""


def overview(program: str, *, with_target: bool) -> str:
    """What ``--help`` without a verb prints."""
    behind = " SERVICE" if with_target else ""
    verbs = _verbs(with_target=with_target)
    width = max(len(verb.name) for verb in verbs)
    lines = [f"usage: {program} VERB{behind} [OPTIONS]", ""]
    if with_target:
        lines += [
            "SERVICE is a file (collector.py), module:service, or the name of a service that runs or is installed.",
            "",
        ]
    lines += [f"  {verb.name:<{width}}  {verb.summary}" for verb in verbs]
    lines += ["", f"example: {program} {verbs[0].name}{' collector.py' if with_target else ''}"]
    lines += [f"More on one: {program} VERB --help"]
    return "\n".join(lines)


def help_text(verb: Verb, program: str, *, with_target: bool) -> str:
    """What ``VERB --help`` prints."""
    with_target = with_target and not verb.alone
    behind = " SERVICE" if with_target else ""
    rest = f" [{verb.word}]" if verb.word else " [-- ARGUMENT...]" if verb.passes_on else ""
    lines = [
        f"usage: {program} {verb.name}{behind}{' [OPTIONS]' if verb.options else ''}{rest}",
        "",
        f"  {verb.summary}",
        "",
    ]
    lines += _option_lines(verb)
    where = verb.example.split(" ", 1)
    example = " ".join([where[0], "collector.py", *where[1:]]) if with_target else verb.example
    return "\n".join([*lines, "", f"example: {program} {example}"])


def _option_lines(verb: Verb) -> list[str]:
    """The options, below their headings, and what those that need it can be."""
    width = max((len(_shown(option)) for option in verb.options), default=0)
    lines: list[str] = []
    for group in dict.fromkeys(("", *(option.group for option in verb.options))):
        lines += ["", f"{group}:"] if group else []
        lines += [f"  {_shown(option):<{width}}  {option.summary}" for option in verb.options if option.group == group]
    if any(option.name == "allow" for option in verb.options):
        from stayon.core.installation import ALLOWANCES

        width = max(len(name) for name in ALLOWANCES)
        lines += ["", "what may be allowed:", *(f"  {name:<{width}}  {text}" for name, text in ALLOWANCES.items())]
    return lines


def _shown(option: Option) -> str:
    short = f"-{option.short}, " if option.short else ""
    return f"{short}--{option.name}{' ' + option.value if option.value else ''}"
