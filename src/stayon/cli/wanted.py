"""What ``install`` is to make: the service's own words, and over them those of the command line."""

from __future__ import annotations

import os
import sys

from stayon import __version__
from stayon.cli import command, keepers
from stayon.cli.target import added, split
from stayon.core.installation import USER, checked_options
from stayon.core.record import Record
from stayon.errors import NotPermittedError, UsageError
from stayon.machine import Program
from stayon.platforms.onefile.places import ROOT_VARIABLE, is_for_all
from stayon.platforms.onefile.program import here
from stayon.platforms.places import HOME_VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from stayon.cli.command import Call
    from stayon.core.installation import Installation
    from stayon.core.places import Places
    from stayon.core.spec import ServiceSpec
    from stayon.runtime.service import Service

PASSWORD = "STAYON_PASSWORD"  # noqa: S105  # the variable's name, not a password

# A user's own manager does not have them from the shell (the XDG Base Directory Specification).
PLACE_VARIABLES = ("XDG_CONFIG_HOME", "XDG_STATE_HOME")

# How what the command line says of the installation is called there and in ``Service.installation``: what goes before
# it, what adds to its lists, and what adds to its names and values.
_OPTIONS = {name: name for name in ("account", "start", "controllers", "memory", "cpu", "tasks")}
_LISTS = {"after": "after", "allow": "allow", "write": "writes"}
_PAIRS = {"env": "environment", "limit": "limits", "socket": "sockets"}
_EXAMPLES = {"env": "--env TZ=UTC", "limit": "--limit nofile=65536", "socket": "--socket http=127.0.0.1:8080"}


class Origin(Record):
    """Where the service is: a file, or the module of a package; and its name there ("": the only one)."""

    path: str
    attribute: str


def service_of(call: Call) -> Service:
    """The service itself. Raises ``UsageError`` where only its name is known."""
    if call.service is None:
        raise UsageError(
            f"{call.name!r} names a service, but its program is needed to install it",
            hint="Say its file: stayon install collector.py",
            code="usage.target",
        )
    return call.service


def wanted_installation(call: Call, command_of: Callable[[Program], tuple[str, ...]]) -> Installation:
    """The installation that the service and the command line ask for. Raises ``StayonError``."""
    from stayon.core.installation import Installation

    service, scope = service_of(call), keepers.scope_wanted(call)
    spec, name = service.spec(), keepers.name_of(call)
    fields = fields_of(service, call.given, _carried(scope))
    environment = dict(fields.pop("environment"))
    places = places_of(call, environment)
    account = fields["account"]
    return Installation(
        name=name,
        display_name=call.given.get("display-name") or name,
        description=spec.description,
        command=command_of(program_of(call, spec)),
        mark=f"stayon {__version__}",
        restart=spec.restart,
        start_timeout_s=spec.start_timeout_s,
        stop_timeout_s=spec.stop_timeout_s,
        **fields,
        environment=tuple(environment.items()),
        directories=(
            (places.config, "read"),
            (places.logs, "write"),
            (places.state, "write"),
            (places.run, "publish"),
        ),
        password=lambda: password_of(account, os.environ),
        fresh_password="new-password" in call.given,
        scope=scope,
        instance=call.given.get("instance", ""),
        probes=spec.probes,
        hang_timeout_s=spec.hang_timeout_s,
        jobs=spec.jobs,
        image=call.given.get("image", ""),
    )


def places_of(call: Call, environment: Mapping[str, str]) -> Places:
    """Where a service with *environment* has its things when it is kept."""
    own = {key: value for key, value in os.environ.items() if key != HOME_VARIABLE}
    management = keepers.here(call)
    places = management.places if management is not None else None
    return (places or call.here().places)(keepers.name_of(call), {**own, **environment})


def _carried(scope: str) -> dict[str, str]:
    """What of this environment becomes the service's own: where its things are is the same for all verbs and for the
    service, or ``status`` would look elsewhere.
    """
    names = [HOME_VARIABLE, *(PLACE_VARIABLES if scope == USER else ()), *([ROOT_VARIABLE] if here() else ())]
    return {name: os.environ[name] for name in names if name in os.environ}


def fields_of(service: Service, given: Mapping[str, Any], carried: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The checked fields of the installation: *carried* variables, the service's own words, the command line's."""
    said = dict(service.installed_as)
    said |= {field: given[option] for option, field in _OPTIONS.items() if option in given}
    for option, field in _LISTS.items():
        if option in given:
            said[field] = tuple(dict.fromkeys((*said.get(field, ()), *given[option])))
    for option, field in _PAIRS.items():
        if option in given:
            said[field] = {**said.get(field, {}), **_pairs(option, given[option])}
    if carried:
        said["environment"] = {**carried, **said.get("environment", {})}
    try:
        return checked_options(said)
    except UsageError as error:
        if not error.where:
            error.where = service.where
        raise


def _pairs(option: str, said: Sequence[str]) -> dict[str, str]:
    """What was said as ``--option NAME=VALUE``, by name. Raises ``UsageError``."""
    found = {}
    for pair in said:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(
                f"--{option} {pair!r} is not NAME=VALUE", hint=f"Try {_EXAMPLES[option]}.", code="usage.option"
            )
        found[key] = value
    return found


def program_of(call: Call, spec: ServiceSpec) -> Program:
    """What the manager has to run. Raises ``UsageError`` if the service can't be found again in its file."""
    # In a program that is one file there is no other service.
    given, origin = call.given, Origin(sys.executable, "") if call.is_one_file else origin_of(call)
    options: list[str] = []
    if given.get("config"):
        options += ["--config", os.path.abspath(given["config"])]
    for setting in given.get("set", ()):
        options += ["--set", setting]
    return Program(
        name=spec.name,
        path=origin.path,
        attribute=origin.attribute,
        instance=given.get("instance", ""),
        options=tuple(options),
        start_timeout_s=spec.start_timeout_s,
    )


def origin_of(call: Call) -> Origin:
    """Where the service of *call* is written down. Raises ``UsageError``."""
    from stayon.runtime.service import Service

    service = service_of(call)
    for module in _modules(call):
        path = getattr(module, "__file__", None)
        names = [name for name, value in vars(module).items() if value is service]
        if path is None or not names:
            continue
        spec = getattr(module, "__spec__", None)
        if spec is not None and getattr(sys.modules.get(spec.parent), "__file__", None) is not None:
            return Origin(_importable(spec.name, path), names[0])
        services = {id(value) for value in vars(module).values() if isinstance(value, Service)}
        return Origin(os.path.abspath(path), "" if len(services) == 1 else names[0])
    raise UsageError(
        f"the service {service.name!r} can't be found again by who is to start it",
        where=service.where,
        why="it isn't a name at the top level of the program's file",
        hint='Put it there: service = Service("price-collector")',
        code="install.not-found-again",
    )


def _importable(name: str, path: str) -> str:
    """The module *name* of a package, if it is found from everywhere, not only from the directory that we are in."""
    root = os.path.abspath(path)
    for _part in name.removesuffix(".__init__").split("."):
        root = os.path.dirname(root)
    if os.path.basename(path) == "__init__.py":
        root = os.path.dirname(root)
    if root in (os.path.abspath(entry) for entry in sys.path[1:] if entry and id(entry) not in map(id, added)):
        return name
    raise UsageError(
        f"the module {name} can't be imported by who is to start it",
        where=path,
        why="it is found only from this directory",
        hint="Install its package first (python -m pip install .), or put the service into a file that stands alone.",
        code="install.not-importable",
    )


def _modules(call: Call) -> list[Any]:
    """Where to look for it: what was said, else the program itself, then the file in which it is made."""
    place = split(call.target)[0]
    name = os.path.basename(place).removesuffix(".py") if place.endswith(".py") else place
    modules = list(sys.modules.values())
    file = service_of(call).where.rpartition(":")[0]
    made_in = [module for module in modules if getattr(module, "__file__", None) == file]
    return [*[sys.modules[each] for each in (name or "__main__",) if each in sys.modules], *made_in]


def password_of(account: str, environment: Mapping[str, str]) -> str:
    """The password of *account*: from the environment, or from who sits at the terminal. Raises ``StayonError``."""
    if PASSWORD in environment:
        return environment[PASSWORD]
    if not command.has_somebody_to_ask():
        raise NotPermittedError(
            f"the password of {account} is needed, and there is no terminal to ask for it",
            hint=f"Set {PASSWORD} for this one command, or use an account without a password.",
            code="install.password",
        )
    from getpass import getpass

    try:
        return getpass(f"Password of {account}: ")
    except EOFError as error:
        raise NotPermittedError(
            f"the password of {account} was not given",
            hint=f"Type it, or set {PASSWORD} for this one command.",
            code="install.password",
        ) from error


def left_behind(name: str, wanted: Installation, environment: Mapping[str, str]) -> list[str]:
    """The variables that count here, for Python or as settings of the service, and not for *wanted*."""
    from stayon.runtime.config.key_paths import environment_prefix

    prefix = f"{environment_prefix(name)}_"
    own = {key.upper() for key, _value in wanted.environment}
    settings = [key for key in environment if key.upper().startswith(prefix) and key.upper() not in own]
    # What is one file doesn't look at Python's own variables.
    pythons = [] if here() is not None else [key for key in environment if key.upper() == "PYTHONPATH"]
    return sorted([*settings, *pythons])


def exposed(wanted: Installation, settings: Sequence[str]) -> list[str]:
    """The variables of *wanted*, and the *settings* of its command line, whose values look like secrets."""
    from stayon.runtime.config.secrets import gives_away

    pairs = [(setting, *setting.partition("=")[::2]) for setting in settings]
    found = [f"--set {key}" for _setting, key, value in pairs if gives_away(key.strip(), value)]
    return [*(name for name, value in wanted.environment if gives_away(name, value)), *found]


def loaded_from() -> list[str]:
    """The directories that this program's modules came from, the standard library's among them. Of a program that is
    one file those that its launcher has made, if they are the ones that its service will have, too.
    """
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    found = sorted({os.path.dirname(file) for file in files if file and os.path.isabs(file)})
    one_file = here()
    if one_file is None:
        return found
    found = [path for path in found if not path.startswith(one_file.sets)]
    return [*found, *one_file.sets] if is_for_all(os.path.dirname(one_file.sets[0])) else found
