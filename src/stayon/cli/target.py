"""Which service is meant: a file, ``module:service``, or the name of one that runs."""

from __future__ import annotations

import os
import sys

from stayon.errors import FailedError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from stayon.runtime.service import Service

# The module by which a program that is one file is known (``platforms.onefile.program``, without loading that).
LAUNCHER = "_stayon"

# What ``find`` has added to sys.path for a module: the programs that are to start the service later haven't it.
added: list[str] = []


def find(target: str) -> tuple[str, Service | None]:
    """The name of the service that *target* means, and the service itself unless *target* is only a name.

    Imports the user's module, which starts nothing. Raises ``UsageError``, or ``FailedError`` if the import fails.
    """
    place, attribute = split(target)
    if LAUNCHER in sys.modules:
        namespace = _imported(place)  # there is no other in a program of one file
    elif place.endswith(".py") or os.sep in place:
        namespace = _file(place)
    elif attribute:
        namespace = _module(place)
    else:
        return target, None
    service = pick(namespace, attribute, place)
    return service.name, service


def split(target: str) -> tuple[str, str]:
    """The file or module of *target*, and what is meant in it ("": the only one). A drive's colon parts nothing."""
    drive, rest = os.path.splitdrive(target)
    place, _, attribute = rest.partition(":")
    return drive + place, attribute


def pick(namespace: Mapping[str, Any], attribute: str, place: str) -> Service:
    """The service called *attribute* in *namespace*, or the only one there is."""
    from stayon.runtime.service import Service

    services = {name: value for name, value in namespace.items() if isinstance(value, Service)}
    _refuse_same_names(list({id(service): service for service in services.values()}.values()))
    if attribute in services:
        return services[attribute]
    if attribute:
        raise UsageError(
            f"it has no service {attribute!r}", where=place, hint=_which(services, place), code="usage.no-service"
        )
    if len(services) != 1:
        what = "it has several services" if services else "it has no service"
        raise UsageError(what, where=place, hint=_which(services, place), code="usage.no-service")
    return next(iter(services.values()))


def _refuse_same_names(services: list[Service]) -> None:
    seen: dict[str, Service] = {}
    for service in services:
        if service.name in seen:
            raise UsageError(
                f"there are two services named {service.name!r}",
                where=service.where,
                why=f"the first is at {seen[service.name].where}",
                hint="A name is a lock, a log and a status page: give one of them another.",
                code="usage.same-name",
            )
        seen[service.name] = service


def _which(services: Mapping[str, Any], place: str) -> str:
    if services:
        return f"Say which: {', '.join(f'{place}:{name}' for name in services)}."
    return 'It needs one, at its top level: service = Service("price-collector")'


def _file(path: str) -> Mapping[str, Any]:
    if not os.path.isfile(path):
        raise UsageError("there is no such file", where=path, hint="Check the path.", code="usage.no-file")
    # What ``importlib.util`` has them from; itself it imports more.
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import spec_from_file_location

    name = os.path.basename(path).removesuffix(".py")
    spec = spec_from_file_location(name, os.path.abspath(path))
    if spec is None or spec.loader is None:
        raise UsageError("it is no Python file", where=path, hint="Its name must end in .py.", code="usage.no-file")
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _import_failed(path, error) from error
    return vars(module)


def _module(name: str) -> Mapping[str, Any]:
    # Last: where others may write, nothing that they have put there goes before Python's own modules.
    added.append(os.getcwd())
    sys.path.append(added[-1])
    return _imported(name)


def _imported(name: str) -> Mapping[str, Any]:
    from importlib import import_module

    try:
        return vars(import_module(name))
    except (Exception, SystemExit) as error:
        raise _import_failed(name, error) from error


def _import_failed(place: str, error: BaseException) -> FailedError:
    """One line with the innermost place in the user's own code; the whole stack is one command away."""
    failed = FailedError(
        "it cannot be imported",
        where=_innermost(place, error),
        why=f"{type(error).__name__}: {error}",
        hint=f"The whole traceback: python {_as_word(place) if place.endswith('.py') else f'-m {place}'}",
        code="usage.import",
    )
    if LAUNCHER in sys.modules:
        from traceback import format_exception

        failed.hint, failed.details = "", tuple("".join(format_exception(error)).splitlines())
    return failed


def _as_word(path: str) -> str:
    return f'"{path}"' if " " in path else path


def _innermost(place: str, error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    where, step = place, error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if (
            not file.startswith("<")
            and f"{os.sep}stayon{os.sep}" not in file
            and f"{os.sep}importlib{os.sep}" not in file
        ):
            where = f"{file}:{step.tb_lineno}"
        step = step.tb_next
    return where
