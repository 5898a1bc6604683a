"""One tree of three: the command line over the environment over the file. What came as text is marked as ``Text``."""

from __future__ import annotations

from stayon.core.record import Record
from stayon.errors import ConfigError, StayonError
from stayon.runtime.config.key_paths import environment_name, environment_prefix, parsed, shown
from stayon.runtime.config.secrets import looks_secret
from stayon.runtime.config.values import Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from stayon.runtime.config.key_paths import KeyPath
    from stayon.runtime.config.sources import Sources

FILE_SUFFIX = "_FILE"

_LINK_SCHEMES = ("tcp://", "udp://", "sctp://")


class Layered(Record):
    """The joined tree; *origins* tells of each value that is not the file's where it came from; *warnings* are
    sentences.
    """

    tree: dict[str, Any]
    origins: dict[KeyPath, str]
    warnings: tuple[str, ...]


class Outside(Record):
    """What is said from outside the file: *arguments* are the ``a.b=value`` of ``--set``, in order."""

    service_name: str
    arguments: Sequence[str]
    sources: Sources


def layered(tree: dict[str, Any], outside: Outside, known: Iterable[tuple[str, ...]], *, free: bool) -> Layered:
    """*tree* (which is changed) with the environment and the arguments laid over it.

    *known* are the keys that a variable can mean. With *free* (a configuration without a type) an unknown one makes a
    new key; without, it is ignored, and warned of where it is nearly a known one. A variable with ``_FILE`` behind its
    name gives the path of a file with the value. Raises ``ConfigError``.
    """
    layering = _Layering(tree, outside, tuple(dict.fromkeys(known)), free=free)
    layering.lay_environment()
    for argument in outside.arguments:
        layering.lay_argument(argument)
    return Layered(layering.tree, layering.origins, tuple(layering.warnings))


class _Layering:
    def __init__(
        self, tree: dict[str, Any], outside: Outside, known: tuple[tuple[str, ...], ...], *, free: bool
    ) -> None:
        self.tree = tree
        self.origins: dict[KeyPath, str] = {}
        self.warnings: list[str] = []
        self._sources, self._free = outside.sources, free
        self._prefix = environment_prefix(outside.service_name)
        self._names: dict[str, list[tuple[str, ...]]] = {}
        for path in known:
            self._names.setdefault(environment_name(self._prefix, path), []).append(path)

    def lay_environment(self) -> None:
        """Lay every variable that begins with the service's name over the tree."""
        environment = self._sources.environment
        for name in sorted(environment):
            if not name.startswith(f"{self._prefix}_") or is_service_link(self._prefix, name, environment):
                continue
            base = name.removesuffix(FILE_SUFFIX)
            if name in self._names:
                self._lay_variable(name, self._path(name))
            elif base != name and base in self._names:
                self._lay_file(name, base, self._path(base))
            elif self._free:
                self._lay_unknown(name, base)
            self._warn_if_nearly_known(name, base)

    def _path(self, name: str) -> tuple[str, ...]:
        paths = self._names[name]
        if len(paths) > 1:
            raise ConfigError(
                f"it could mean {' or '.join(shown(path) for path in paths)}",
                where=f"environment {name}",
                hint="Set the key in the file, or with --set.",
                code="config.ambiguous-variable",
            )
        return paths[0]

    def _lay_variable(self, name: str, path: tuple[str, ...]) -> None:
        self._set(path, Text(self._sources.read("env", name)), f"environment {name}")

    def _lay_file(self, name: str, base: str, path: tuple[str, ...]) -> None:
        if base in self._sources.environment:
            raise ConfigError(
                f"{base} is set as well",
                where=f"environment {name}",
                hint="Unset one of the two.",
                code="config.ambiguous-variable",
            )
        file = self._sources.read("env", name)
        try:
            value = self._sources.read("file", file)
        except StayonError as error:
            error.where = f"environment {name} ({error.where})"
            raise
        self._set(path, Text(value), f"environment {name}")

    def _lay_unknown(self, name: str, base: str) -> None:
        """Without a type, any key may be meant. ``_FILE`` is a file's path then only where the name sounds secret."""
        if base != name and looks_secret(base.removeprefix(self._prefix)):
            self._lay_file(name, base, self._guessed_path(base))
        else:
            self._lay_variable(name, self._guessed_path(name))

    def _guessed_path(self, name: str) -> tuple[str, ...]:
        """The new key that a variable makes: in the innermost table of the tree that its name leads into."""
        path: tuple[str, ...] = ()
        rest, table = name.removeprefix(f"{self._prefix}_"), self.tree
        while True:
            tables = [
                key
                for key, inner in table.items()
                if isinstance(inner, dict) and rest.startswith(environment_prefix(key) + "_")
            ]
            if not tables:
                return (*path, rest.lower())
            key = max(tables, key=len)
            rest, path, table = rest[len(key) + 1 :], (*path, key), table[key]

    def _warn_if_nearly_known(self, name: str, base: str) -> None:
        if name in self._names or base in self._names:
            return
        from stayon.core.nearest import distance

        near = [known for known in self._names if distance(name, known) in (1, 2)]
        if near:
            keys = ", ".join(f"{known} ({shown(self._names[known][0])})" for known in near[:3])
            ending = "sets a new key" if self._free else "is ignored"
            self.warnings.append(f"the environment variable {name} is nearly {keys}, but not the same, and {ending}")

    def lay_argument(self, argument: str) -> None:
        """Lay one ``a.b=value`` over the tree."""
        name, equals, value = argument.partition("=")
        if not equals:
            raise ConfigError(
                f"{name!r} says no value",
                where="argument --set",
                hint="Say --set http.port=8080.",
                code="config.bad-argument",
            )
        self._set(parsed(name.strip()), Text(value), "argument --set")

    def _set(self, path: tuple[str, ...], value: Text, origin: str) -> None:
        table = self.tree
        for depth, key in enumerate(path[:-1], 1):
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                raise ConfigError(
                    f"{shown(path)} cannot be set: {shown(path[:depth])} is not a table",
                    where=origin,
                    code="config.not-a-table",
                )
        table[path[-1]] = value
        self.origins[path] = origin


def is_service_link(prefix: str, name: str, environment: Mapping[str, str]) -> bool:
    """Whether Kubernetes (or Docker's ``--link``) put it there: for a Service of our name it sets
    ``NAME_PORT=tcp://...``.

    https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables
    """
    if name in (f"{prefix}_SERVICE_HOST", f"{prefix}_SERVICE_PORT") or name.startswith(f"{prefix}_SERVICE_PORT_"):
        return f"{prefix}_SERVICE_HOST" in environment and f"{prefix}_SERVICE_PORT" in environment
    is_port = name == f"{prefix}_PORT" or name.startswith(f"{prefix}_PORT_")
    return is_port and environment.get(f"{prefix}_PORT", "").startswith(_LINK_SCHEMES)
