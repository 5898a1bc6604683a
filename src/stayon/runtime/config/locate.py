"""On which line a key stands, for error messages only: best effort, and silent where it doesn't know."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.runtime.config.documents import Document
    from stayon.runtime.config.key_paths import KeyPath


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """The line of *path*, or of the table around it where *path* itself isn't there; 0 if neither is known."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 0


def lines_of(document: Document) -> dict[KeyPath, int]:
    """The line of every key path in a document that has been parsed without an error."""
    try:
        if document.format == "yaml":
            from stayon.runtime.config.yaml_document import lines_of_yaml

            return lines_of_yaml(document.text)
        scanner = Scanner(document.text)
        if document.format == "json":
            scanner.scan_json()
        else:
            scanner.scan_toml()
    except Exception:  # noqa: BLE001  # a line number is a courtesy: without it the message still stands
        return {}
    return scanner.lines


class Scanner:
    """Walks TOML or JSON text (JSON is nearly TOML's inline syntax) and notes where each key stands."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.repeated: tuple[KeyPath, int] | None = None
        self._text = text
        self._at = 0
        self._counted = (0, 1)
        self._counts: dict[KeyPath, int] = {}

    def scan_json(self) -> None:
        """Fill ``lines`` (and ``repeated``: the first key that is there twice) from JSON."""
        self._skip_blank(" \t\r\n")
        self._value(())

    def scan_toml(self) -> None:
        """Fill ``lines`` from TOML."""
        table: KeyPath = ()
        while True:
            self._skip_blank(" \t\r\n")
            if not self._peek():
                return
            if self._peek() == "[":
                table = self._header()
            else:
                self._entry(table)
            self._skip_line()

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip_blank(self, blanks: str) -> None:
        while character := self._peek():
            if character == "#":
                self._skip_line()
            elif character in blanks:
                self._at += 1
            else:
                return

    def _skip_line(self) -> None:
        end = self._text.find("\n", self._at)
        self._at = len(self._text) if end < 0 else end

    def _note(self, path: KeyPath) -> None:
        position, line = self._counted
        line += self._text.count("\n", position, self._at)
        self._counted = (self._at, line)
        if path in self.lines and self.repeated is None:
            self.repeated = (path, line)
        self.lines.setdefault(path, line)

    def _header(self) -> KeyPath:
        """``[a.b]`` or ``[[a.b]]``; a key that names a list of tables means its last one."""
        start = self._at
        several = self._text.startswith("[[", start)
        self._at += 2 if several else 1
        table: KeyPath = ()
        keys = self._keys()
        for number, key in enumerate(keys, 1):
            table = (*table, key)
            if several and number == len(keys):
                self._counts[table] = self._counts.get(table, 0) + 1
            if table in self._counts:
                table = (*table, self._counts[table] - 1)
        end, self._at = self._at, start
        self._note(table)
        self._at = end
        return table

    def _entry(self, table: KeyPath) -> None:
        """``key = value`` or ``"key": value``."""
        start = self._at
        path = (*table, *self._keys())
        end, self._at = self._at, start
        for length in range(len(table) + 1, len(path)):
            if path[:length] not in self.lines:
                self._note(path[:length])
        self._note(path)
        self._at = end + 1
        self._skip_blank(" \t\r\n")
        self._value(path)

    def _keys(self) -> tuple[str, ...]:
        keys: list[str] = []
        while True:
            self._skip_blank(" \t")
            start = self._at
            if self._peek() in ('"', "'"):
                self._string()
                keys.append(self._text[start + 1 : self._at - 1])
            else:
                while self._peek() not in ("", " ", "\t", ".", "=", ":", "]", "\n"):
                    self._at += 1
                keys.append(self._text[start : self._at])
            self._skip_blank(" \t\r\n" if self._peek() == "\n" else " \t")
            if self._peek() != ".":
                return tuple(keys)
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        character = self._peek()
        if character in ('"', "'"):
            self._string()
        elif character == "[":
            self._inside("]", path)
        elif character == "{":
            self._inside("}", path)
        else:
            while self._peek() not in ("", ",", "]", "}", "\n", "#"):
                self._at += 1

    def _inside(self, closing: str, path: KeyPath) -> None:
        self._at += 1
        index = 0
        while True:
            self._skip_blank(" \t\r\n,")
            if self._peek() in (closing, ""):
                self._at += 1
                return
            if closing == "}":
                self._entry(path)
            else:
                start = self._at
                self._note((*path, index))
                self._value((*path, index))
                self._at = max(self._at, start + 1)  # also past what cannot stand here
                index += 1

    def _string(self) -> None:
        """Go behind the string that begins here."""
        quote = self._peek()
        if self._text.startswith(quote * 3, self._at):
            quote *= 3
        self._at += len(quote)
        while self._peek() and not self._text.startswith(quote, self._at):
            self._at += 2 if self._peek() == "\\" and quote[0] == '"' else 1
        self._at += len(quote)
        while len(quote) == 3 and self._peek() == quote[0]:  # up to two quotes may stand before the closing three
            self._at += 1
