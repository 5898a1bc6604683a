"""YAML without its traps: PyYAML's safe loader, and a check of every node before anything is made of it.

PyYAML reads YAML 1.1, the rest of the world 1.2. What the two read differently (``no``, ``0777``, ``1:30``, ``1_000``)
is refused, with the line, instead of guessing which of the two its author had in mind.
"""

from __future__ import annotations

from stayon.runtime.config.syntax import BadSyntaxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from stayon.runtime.config.key_paths import KeyPath

VALUE_LIMIT = 100_000

_PREFIX = "tag:yaml.org,2002:"
_ALLOWED = frozenset(_PREFIX + name for name in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq"))
_MERGE = _PREFIX + "merge"
_PLAIN_WORDS = frozenset({"true", "false"})


def parse_yaml(text: str) -> dict[str, Any]:
    """The tree of *text*. Raises ``BadSyntaxError``; also if PyYAML is not there."""
    yaml = _yaml()
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}
        _Check().size_of(node)
        if not isinstance(node, yaml.MappingNode):
            raise _bad("the outermost value is not a mapping", node, 'Begin with "key: value".')
        tree: dict[str, Any] = loader.construct_document(node)
        return tree
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise BadSyntaxError(_unquoted(error.problem or "it is not YAML"), line, column) from None
    except (yaml.YAMLError, ValueError) as error:
        what = getattr(error, "reason", "") or "a value is out of range"
        raise BadSyntaxError(str(what)) from None
    finally:
        loader.dispose()


def lines_of_yaml(text: str) -> dict[KeyPath, int]:
    """The line of every key path."""
    yaml = _yaml()
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        return dict(_walk(node, ())) if node is not None else {}
    finally:
        loader.dispose()


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise BadSyntaxError(
            "reading YAML needs PyYAML", hint='Run: pip install "stayon[yaml]"', code="config.needs-yaml"
        ) from None
    return yaml


def _walk(node: Any, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    if node.id == "mapping":
        for key, value in node.value:
            inner = (*path, str(key.value))
            yield inner, key.start_mark.line + 1
            yield from _walk(value, inner)
    elif node.id == "sequence":
        for index, value in enumerate(node.value):
            yield (*path, index), value.start_mark.line + 1
            yield from _walk(value, (*path, index))


class _Check:
    """Walks the graph of nodes once; aliases make it a graph, in which a few lines can mean billions of values."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}

    def size_of(self, node: Any) -> int:
        """How many values *node* will be, aliases counted each time. Raises ``BadSyntaxError``."""
        known = self._sizes.get(id(node))
        if known == 0:
            raise _bad("an alias means something that contains it", node, "Write the value out.")
        if known is not None:
            return known
        self._sizes[id(node)] = 0  # being walked
        size = 1
        if node.id == "mapping":
            self._check_keys(node)
            size += sum(self.size_of(value) for _, value in node.value)
        elif node.id == "sequence":
            size += sum(self.size_of(value) for value in node.value)
        else:
            _check_scalar(node)
        if node.tag not in _ALLOWED:
            raise _bad("this tag is not allowed", node, "Use text, numbers, true, false, lists and mappings.")
        if size > VALUE_LIMIT:
            raise _bad(
                f"there are more than {VALUE_LIMIT} values, aliases counted each time", node, "Write less of it."
            )
        self._sizes[id(node)] = size
        return size

    def _check_keys(self, node: Any) -> None:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == _MERGE:
                continue
            if key.id == "scalar":
                _check_scalar(key)
            if key.tag != _PREFIX + "str":
                raise _bad("this key is not text", key, "Put it in quotes.")
            if key.value in seen:
                raise _bad(f'the key "{key.value}" is there twice', key, "Delete one of the two.")
            seen.add(key.value)


def _check_scalar(node: Any) -> None:
    """Refuse a plain scalar that YAML 1.1 and 1.2 read differently."""
    if node.style is not None:
        return
    kind, text = node.tag.removeprefix(_PREFIX), node.value
    if kind == "bool" and text.lower() not in _PLAIN_WORDS:
        raise _bad(
            f'"{text}" is true or false in YAML 1.1, and text in YAML 1.2', node, "Say true or false, or use quotes."
        )
    digits = text.lstrip("+-")
    if kind in ("int", "float") and (
        ":" in text or "_" in text or (digits.isdecimal() and digits[:1] == "0" != digits)
    ):
        raise _bad("YAML 1.1 and 1.2 read this number differently", node, "Write it in decimal digits, or use quotes.")


def _bad(what: str, node: Any, hint: str) -> BadSyntaxError:
    return BadSyntaxError(what, node.start_mark.line + 1, node.start_mark.column + 1, hint)


def _unquoted(problem: str) -> str:
    """PyYAML quotes names of aliases and tags, and a password may begin with ``*`` or ``!``; single characters may
    stay.
    """
    parts = problem.split("'")
    return "'".join(part if index % 2 == 0 or len(part) <= 1 else "…" for index, part in enumerate(parts))
