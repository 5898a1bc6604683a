"""Text to tree, strictly, for each format. Also run by the child interpreter, so it loads nothing it doesn't need."""

from __future__ import annotations

from stayon.runtime.config.syntax import BadSyntaxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn


def parse(syntax: str, text: str) -> dict[str, Any]:
    """The tree of *text*, in this process. Raises ``BadSyntaxError``."""
    try:
        return _PARSERS[syntax](text)
    except RecursionError:
        raise BadSyntaxError("it is nested too deeply", hint="Flatten it.") from None


def _parse_toml(text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, place = str(error).rpartition(" (at ")
        line, column = _line_and_column(text, place)
        raise BadSyntaxError(_lowered(what), line, column, _toml_hint(text, line)) from None
    except ValueError as error:
        raise BadSyntaxError(_lowered(str(error))) from None


def _line_and_column(text: str, place: str) -> tuple[int, int]:
    """From ``line 3, column 5)`` or ``end of document)``."""
    numbers = [int(word) for word in place.replace(",", " ").replace(")", " ").split() if word.isdecimal()]
    if len(numbers) == 2:
        return numbers[0], numbers[1]
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _toml_hint(text: str, line: int) -> str:
    """For the mistake that everyone makes: a text without quotes."""
    source = text.split("\n")[line - 1] if line else ""
    value = source.partition("=")[2].strip()
    return "Text needs quotes." if value[:1].isalpha() else ""


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


class _Json:
    """What the C scanner asks of its decoder."""

    strict = True
    object_hook = None
    parse_float = float
    parse_int = int

    @staticmethod
    def parse_constant(name: str) -> NoReturn:
        raise BadSyntaxError(f"{name} is not JSON", hint="Leave the key away instead.")

    @staticmethod
    def object_pairs_hook(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            raise BadSyntaxError("")  # the place is found afterwards, by scanning the text
        return table


def _parse_json(text: str) -> dict[str, Any]:
    """With the C scanner alone: ``import json`` costs 1.6 MB. It is loaded to word an error, and only then."""
    import _json

    start = len(text) - len(text.lstrip(" \t\n\r"))
    try:
        tree, end = _json.make_scanner(_Json)(text, start)  # type: ignore[arg-type]  # typeshed wants a whole decoder
    except BadSyntaxError as error:
        raise error if error.what else _repeated_key(text) from None
    except RecursionError:
        raise
    except Exception:  # noqa: BLE001  # StopIteration, or (3.11) SystemError without json
        _raise_json_error(text)
    if text[end:].strip(" \t\n\r"):
        _raise_json_error(text)
    if not isinstance(tree, dict):
        raise BadSyntaxError("the outermost value is not an object", 1, 1, "Begin with { and end with }.")
    return tree


def _raise_json_error(text: str) -> NoReturn:
    import json

    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise BadSyntaxError(_lowered(error.msg), error.lineno, error.colno) from None
    except ValueError as error:
        raise BadSyntaxError(_lowered(str(error))) from None
    raise BadSyntaxError("it is not JSON")


def _repeated_key(text: str) -> BadSyntaxError:
    from stayon.runtime.config.locate import Scanner

    scanner = Scanner(text)
    scanner.scan_json()
    path, line = scanner.repeated or ((), 0)
    return BadSyntaxError(f'the key "{path[-1] if path else ""}" is there twice', line, hint="Delete one of the two.")


def _parse_yaml(text: str) -> dict[str, Any]:
    from stayon.runtime.config.yaml_document import parse_yaml

    return parse_yaml(text)


_PARSERS: dict[str, Callable[[str], dict[str, Any]]] = {"toml": _parse_toml, "json": _parse_json, "yaml": _parse_yaml}
