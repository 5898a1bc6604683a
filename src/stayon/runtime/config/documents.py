"""A configuration file, read once and strictly: TOML, YAML or JSON to a plain tree, or an error that names the line."""

from __future__ import annotations

import os
import stat
import sys

from stayon.core.record import Record
from stayon.errors import ConfigError, NotPermittedError
from stayon.runtime.config.syntax import BadSyntaxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stayon.ports import Launcher

SIZE_LIMIT = 1024 * 1024
FORMATS = {".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".json": "json"}

# The module that, once loaded, makes parsing here as cheap as in a child; JSON needs none.
_PARSER_MODULES = {"toml": "tomllib", "yaml": "yaml"}

_BYTE_ORDER_MARKS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


class ChangingError(Exception):
    """The file changed while it was being read: what was read is worthless, and reading again soon will do."""


class Document(Record):
    """The text of a file as it was at one moment; *signature* tells that moment from another."""

    path: str
    format: str
    text: str
    signature: tuple[int, ...] = ()


def read_document(path: str) -> Document:
    """Read the file at *path*. Blocks. Raises ``ConfigError``, ``NotPermittedError``, or ``ChangingError``."""
    syntax = format_of(path)
    data, signature = read_bytes(path, SIZE_LIMIT)
    return Document(path, syntax, decode(data, path), signature)


def format_of(path: str) -> str:
    """The format that the file's name tells. Raises ``ConfigError`` for an unknown one."""
    ending = os.path.splitext(path)[1].lower()
    if ending not in FORMATS:
        raise ConfigError(
            f"the format of a configuration file ending in {ending!r} is not known",
            where=path,
            hint=f"Give it one of {', '.join(FORMATS)}.",
            code="config.unknown-format",
        )
    return FORMATS[ending]


def read_bytes(path: str, limit: int) -> tuple[bytes, tuple[int, ...]]:
    """The content of a regular file and its signature; both from one moment, else ``ChangingError``."""
    try:
        # Asked before opening: opening a named pipe would wait for its other end.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ConfigError("this is not a file", where=path, hint="Name a regular file.", code="config.not-a-file")
        with open(path, "rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            if before.st_size > limit:
                raise ConfigError(
                    f"the file has {before.st_size} bytes; {limit} is the most",
                    where=path,
                    hint="Is it the right file?",
                    code="config.too-big",
                )
            data = b"".join(iter(lambda: file.read(65536), b""))
            after = os.fstat(file.fileno())
        now = os.stat(path)
    except FileNotFoundError as error:
        raise ConfigError(
            "there is no such file", where=path, hint="Make it, or name another.", code="config.missing"
        ) from error
    except PermissionError as error:
        raise NotPermittedError(
            "the file may not be read by this account",
            where=path,
            hint="Change its owner or mode, or run as another account.",
            code="config.not-readable",
        ) from error
    except OSError as error:
        raise ConfigError(
            "the file cannot be read", where=path, why=str(error.strerror), code="config.unreadable"
        ) from error
    if not signature_of(before) == signature_of(after) == signature_of(now) or len(data) != after.st_size:
        raise ChangingError(path)
    return data, signature_of(after)


def signature_of(status: os.stat_result) -> tuple[int, ...]:
    """What changes when a file is written or replaced."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def decode(data: bytes, path: str) -> str:
    """UTF-8 text without a byte order mark and carriage returns. Raises ``ConfigError`` with line and column."""
    for mark, name in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            raise ConfigError(f"the file is {name}", where=path, hint="Save it as UTF-8.", code="config.encoding")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise ConfigError(
            f"byte 0x{data[error.start]:02x} is not UTF-8",
            where=f"{path}:{line}:{column}",
            hint="Save the file as UTF-8.",
            code="config.encoding",
        ) from None
    return text.replace("\r\n", "\n")


def parse_document(document: Document, launcher: Launcher | None = None) -> dict[str, Any]:
    """The tree of a document; an empty one is ``{}``. Raises ``ConfigError`` with file, line and column.

    With a *launcher*, a short-lived child parses, so that the parser's 2.3 MB (``tomllib`` loads ``re`` and ``typing``)
    do not stay in the service; unless this process has the parser already. Blocks either way.
    """
    if not document.text.strip():
        return {}
    try:
        if launcher is not None and _worth_a_child(document.format):
            from stayon.runtime.config.child import parse_in_child

            return parse_in_child(launcher, document.format, document.text)
        from stayon.runtime.config.parsers import parse

        return parse(document.format, document.text)
    except BadSyntaxError as error:
        place = ":".join(str(part) for part in (document.path, error.line, error.column) if part)
        raise ConfigError(error.what, where=place, hint=error.hint, code=error.code) from None


def _worth_a_child(syntax: str) -> bool:
    parser = _PARSER_MODULES.get(syntax)
    if parser is None or parser in sys.modules or not sys.executable:
        return False
    # Of all programs that carry their own interpreter, ours alone can be such a child.
    return not hasattr(sys, "frozen") or "_stayon" in sys.modules
