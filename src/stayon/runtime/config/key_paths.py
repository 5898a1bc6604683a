"""Names of places in a configuration: ``endpoints[2].url``, and the environment variable that sets one."""

from __future__ import annotations

from stayon.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    KeyPath = tuple[str | int, ...]

ANY = "*"  # in a pattern of a path: whatever key or position is there


def shown(path: KeyPath) -> str:
    """The path as people write it; a key that TOML would want quoted is quoted."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = part.replace("-", "_").replace("_", "a").isalnum() and part.isascii()
            text += f"{'.' if text else ''}{part if bare else _quoted(part)}"
    return text


def _quoted(part: str) -> str:
    inside = "".join(character if character.isprintable() else "?" for character in part)
    return f'"{inside}"'


def parsed(text: str) -> tuple[str, ...]:
    """The keys of a dotted path given on the command line. Raises ``ConfigError`` for an empty part."""
    parts = tuple(part.strip().strip("\"'") for part in text.split("."))
    if not all(parts):
        raise ConfigError(
            f"{text!r} is not the path of a key", hint='Say something like "http.port".', code="config.bad-argument"
        )
    return parts


def environment_prefix(service_name: str) -> str:
    """What the environment variables of a service begin with: ``price-collector`` gives ``PRICE_COLLECTOR``."""
    return "".join(character if character.isalnum() else "_" for character in service_name).upper()


def environment_name(prefix: str, path: KeyPath) -> str:
    """The variable that sets the key at *path*: ``("http", "port")`` gives ``PRICE_COLLECTOR_HTTP_PORT``."""
    return "_".join([prefix, *(environment_prefix(str(part)) for part in path)])


def covers(pattern: KeyPath, path: KeyPath) -> bool:
    """Whether *path* is at, below or above the place that *pattern* names (``ANY`` stands for one part)."""
    return all(expected in (ANY, part) for expected, part in zip(pattern, path, strict=False))


def leaves(tree: dict[str, object], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all values that are not tables; lists count as one value."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key)
