"""Where values that are not in the configuration's file come from: variables, and files with secrets."""

from __future__ import annotations

import os

from stayon.core.record import Record
from stayon.errors import ConfigError, NotPermittedError, StayonError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stayon.runtime.config.key_paths import KeyPath

SECRET_FILE_LIMIT = 64 * 1024

NO_DIGEST = -1


class Sources:
    """Reads what a configuration takes from outside its file, and remembers (as digests) what it has read."""

    def __init__(self, environment: Mapping[str, str], directory: str) -> None:
        self.environment, self._directory = environment, directory
        self._seen: dict[tuple[str, str], int] = {}

    def read(self, kind: str, name: str) -> str:
        """The text of an environment variable or a file, without the line's end. Raises ``StayonError``."""
        text = self._variable(name) if kind == "env" else self._file(name)
        self._seen[kind, name] = digest_of(text)
        return text

    def unchanged(self) -> bool:
        """Whether everything that was read would be the same if it were read now."""
        for (kind, name), digest in list(self._seen.items()):
            try:
                text = self._variable(name) if kind == "env" else self._file(name)
            except StayonError:
                return False
            if digest_of(text) != digest:
                return False
        return True

    def files(self) -> tuple[str, ...]:
        """The files that were read."""
        return tuple(self._path(name) for kind, name in self._seen if kind == "file")

    def _variable(self, name: str) -> str:
        if name not in self.environment:
            raise ConfigError(f"the environment variable {name} is not set", code="config.secret-unavailable")
        return self.environment[name]

    def _file(self, name: str) -> str:
        from stayon.runtime.config.documents import decode, read_bytes

        path = self._path(name)
        try:
            data, _ = read_bytes(path, SECRET_FILE_LIMIT)
            return decode(data, path).removesuffix("\n")
        except (ConfigError, NotPermittedError) as error:
            error.where = error.where or path
            raise

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, os.path.expanduser(name))


class Origins(Record):
    """Where values came from, for messages: ``place_of(path)`` gives ``FILE:LINE`` or ``environment NAME``."""

    place_of: Callable[[KeyPath], str]
    sources: Sources


def digest_of(text: str) -> int:
    """What tells one text from another without keeping it: 64 bits of SipHash under this process's own random key.

    (hashlib would load OpenSSL, 3.7 MB, to do no better here.) It is never ``NO_DIGEST``.
    """
    return hash(text)
