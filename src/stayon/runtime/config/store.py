"""A configuration, loaded: the file, the layers over it, the user's object, the host's settings, and where all of it
came from.
"""

from __future__ import annotations

import os
import time

from stayon.core.record import Record
from stayon.errors import ConfigError, StayonError
from stayon.runtime.config import host_settings
from stayon.runtime.config.host_settings import RESERVED, HostSettings, read_host_settings
from stayon.runtime.config.key_paths import environment_prefix, leaves, shown
from stayon.runtime.config.problems import InvalidConfigError
from stayon.runtime.config.settings import Settings
from stayon.runtime.config.sources import NO_DIGEST, Origins, Sources, digest_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from stayon.ports import Launcher
    from stayon.runtime.config.documents import Document
    from stayon.runtime.config.key_paths import KeyPath
    from stayon.runtime.config.last_good import LastGood
    from stayon.runtime.config.problems import Problem

ATTEMPTS = 20
ATTEMPT_PAUSE_S = 0.05

DEFAULT = "default"


class Origin(Record):
    """What to load. *kind* is the user's type or None; *path* is empty, or a file that must be there if *required*.

    *defaults* are host settings by dotted name, as the program says them; *jobs* the names that ``[stayon.jobs]`` may
    have; *state_directory* is where the last good file is kept (empty: nowhere).
    """

    service_name: str
    path: str = ""
    required: bool = False
    kind: Any = None
    arguments: Sequence[str] = ()
    defaults: Mapping[str, Any] = {}  # never changed: a Record's default is shared
    jobs: Sequence[str] = ()
    state_directory: str = ""


class Loaded(Record):
    """One valid configuration. *config* is the user's, *host* the table ``[stayon]``.

    *tree* has both as plain values, to be compared; *origins* tells where each value came from (default, where it
    doesn't); *sources* knows what was read besides the file; *from_last_good* is why the file itself was not taken, or
    None.
    """

    config: Any
    host: HostSettings
    tree: dict[str, Any]
    origins: dict[KeyPath, str]
    warnings: tuple[str, ...]
    path: str
    exists: bool
    digest: int
    sources: Sources
    from_last_good: ConfigError | None = None

    def files(self) -> tuple[str, ...]:
        """Every file whose change should lead to a reload: the configuration's, and those with secrets."""
        return (*((self.path,) if self.path else ()), *self.sources.files())

    def rows(self) -> tuple[tuple[str, str, str], ...]:
        """``(key, value, where it came from)`` of everything, secrets masked; for ``doctor``."""
        from stayon.runtime.config.secrets import displayed

        return tuple(
            (shown(path), displayed(path, _at(self.tree, path)), self.origins.get(path, DEFAULT))
            for path in leaves(self.tree)
        )


def _at(tree: Any, path: KeyPath) -> Any:
    for part in path:
        tree = tree[part]
    return tree


class Store:
    """Loads one service's configuration, again and again. Blocks; not for the host's thread once the service runs."""

    def __init__(self, origin: Origin, environment: Mapping[str, str], launcher: Launcher | None = None) -> None:
        self.origin = origin
        self._environment, self._launcher = environment, launcher
        self._restart_patterns: tuple[KeyPath, ...] | None = None

    def load(self) -> Loaded:
        """What the file, the environment and the arguments say now. Raises ``ConfigError`` or ``NotPermittedError``."""
        return self.load_document(self.read())

    def load_at_start(self) -> Loaded:
        """As ``load``; where the file is bad and a last good copy was kept, that one, with ``from_last_good`` set."""
        try:
            return self.load()
        except ConfigError as error:
            copy = self._last_good().load(self.origin.path) if self._keeps_copies() else None
            if copy is None:
                raise
            try:
                loaded = self.load_document(copy)
            except StayonError:
                raise error from None
            warning = f"the configuration is bad, so the last good one is used ({copy.path}): {error}"
            return loaded.replace(
                warnings=(warning, *loaded.warnings), from_last_good=error, digest=NO_DIGEST, path=self.origin.path
            )

    def keep(self, loaded: Loaded) -> None:
        """Keep the file as the last good one if *loaded* asks for it and is still what it says, else see that none is
        kept.

        Blocks. Raises ``UnavailableError`` if it can't be written.
        """
        if not self._keeps_copies() or loaded.from_last_good is not None:
            return
        if not loaded.host["keep_last_good"]:
            self._last_good().discard(self.origin.path)
            return
        document = self.read()
        if document is not None and digest_of(document.text) == loaded.digest:
            self._last_good().save(document)

    def read(self) -> Document | None:
        """The file, read at a moment when nobody wrote it; None if there is none and none is needed."""
        path = self.origin.path
        if not path or not (self.origin.required or os.path.lexists(path)):
            return None
        from stayon.runtime.config.documents import ChangingError, read_document

        for _ in range(ATTEMPTS):
            try:
                return read_document(path)
            except ChangingError:
                time.sleep(ATTEMPT_PAUSE_S)  # on the worker thread of a reload, or before the start
        raise ConfigError(
            "the file kept changing while it was read",
            where=path,
            hint="Write it in one step: to another name, then rename.",
            code="config.unstable",
        )

    def load_document(self, document: Document | None) -> Loaded:
        """What *document* says, with the environment and the arguments over it. Raises ``ConfigError``."""
        tree: dict[str, Any] = {}
        if document is not None:
            from stayon.runtime.config.documents import parse_document

            tree = parse_document(document, self._launcher)
        sources = Sources(
            self._environment, os.path.dirname(os.path.abspath(self.origin.path)) if self.origin.path else ""
        )
        said = set(leaves(tree))
        joined, warnings = self._laid_over(tree, sources)
        places = _Places(document, joined)
        user_tree = {key: value for key, value in tree.items() if key != RESERVED}
        config, host = self._converted(user_tree, tree.get(RESERVED, {}), Origins(places.place_of, sources))
        return Loaded(
            config=config,
            host=host,
            tree={**self._tree_of(config), RESERVED: host.as_tree()},
            origins={**dict.fromkeys(said, f"file {self.origin.path}"), **joined},
            warnings=warnings,
            path=self.origin.path,
            exists=document is not None,
            digest=digest_of(document.text) if document is not None else NO_DIGEST,
            sources=sources,
        )

    def _laid_over(self, tree: dict[str, Any], sources: Sources) -> tuple[dict[KeyPath, str], tuple[str, ...]]:
        """Lay what is said outside the file over *tree*: where that came from, and what is to be warned of."""
        origin, prefix = self.origin, environment_prefix(self.origin.service_name)
        if not origin.arguments and not any(name.startswith(prefix) for name in self._environment):
            return {}, ()
        from stayon.runtime.config.layers import Outside, layered

        outside = Outside(origin.service_name, origin.arguments, sources)
        joined = layered(tree, outside, self._settable(tree), free=origin.kind is None)
        return joined.origins, joined.warnings

    def _converted(self, user_tree: dict[str, Any], host_tree: Any, origins: Origins) -> tuple[Any, HostSettings]:
        """The user's object and the host's settings; the problems of both are raised together."""
        problems: list[Problem] = []
        config, host = None, HostSettings({})
        try:
            config = self._config(user_tree, origins)
        except InvalidConfigError as error:
            problems += error.problems
        try:
            host = read_host_settings(host_tree, self.origin.defaults, self.origin.jobs, origins.place_of)
        except InvalidConfigError as error:
            problems += error.problems
        if problems:
            raise InvalidConfigError(problems)
        return config, host

    def _config(self, tree: dict[str, Any], origins: Origins) -> Any:
        if self.origin.kind is None and not tree:
            return Settings({})
        if self.origin.kind is None:
            from stayon.runtime.config.untyped import convert_untyped

            return convert_untyped(tree, origins)
        from stayon.runtime.config.typed import convert

        return convert(tree, self.origin.kind, origins)

    def _tree_of(self, config: Any) -> Any:
        if self.origin.kind is None:
            return config.as_dict() if config is not None else {}
        return _shapes().as_tree(config)

    def _keeps_copies(self) -> bool:
        return bool(self.origin.state_directory and self.origin.path)

    def _last_good(self) -> LastGood:
        from stayon.runtime.config.last_good import LastGood

        return LastGood(self.origin.state_directory)

    def _settable(self, tree: dict[str, Any]) -> list[tuple[str, ...]]:
        users = leaves(tree) if self.origin.kind is None else _shapes().settable_paths(self.origin.kind)
        return [*(path for path in users if path[0] != RESERVED), *host_settings.settable_paths(self.origin.jobs)]

    def restart_patterns(self) -> tuple[KeyPath, ...]:
        """The patterns of the keys whose change a running service can't take."""
        if self._restart_patterns is None:
            users = () if self.origin.kind is None else _shapes().restart_patterns(self.origin.kind)
            self._restart_patterns = (*users, *host_settings.restart_patterns())
        return self._restart_patterns


def _shapes() -> Any:
    """The room that knows types; a service without one never enters it."""
    from stayon.runtime.config import shapes

    return shapes


class _Places:
    """Where each value came from. The file is scanned for lines only when somebody asks, which is when something is
    wrong.
    """

    def __init__(self, document: Document | None, outside: dict[KeyPath, str]) -> None:
        self._document, self._outside = document, outside
        self._lines: dict[KeyPath, int] | None = None

    def place_of(self, path: KeyPath) -> str:
        for length in range(len(path), 0, -1):
            if path[:length] in self._outside:
                return self._outside[path[:length]]
        if self._document is None:
            return ""
        from stayon.runtime.config.locate import line_of, lines_of

        if self._lines is None:
            self._lines = lines_of(self._document)
        line = line_of(self._lines, path)
        return f"{self._document.path}:{line}" if line else self._document.path
