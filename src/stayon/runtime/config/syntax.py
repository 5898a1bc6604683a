"""What is wrong with a text that is not what its format asks for."""

from __future__ import annotations


class BadSyntaxError(Exception):
    """The text is not what its format asks for. Says nothing of the text but keys: a value might be a secret."""

    code = "config.syntax"

    def __init__(self, what: str, line: int = 0, column: int = 0, hint: str = "", *, code: str = "") -> None:
        super().__init__(what, line, column, hint)
        self.what, self.line, self.column, self.hint = what, line, column, hint
        if code:
            self.code = code
