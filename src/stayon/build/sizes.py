"""How big a program is, by part, as a small bar chart."""

from __future__ import annotations

from collections.abc import Mapping

BAR_WIDTH = 30
_SMALLEST_SHARE = 0.01
_OTHERS = "the rest"


def chart(parts: Mapping[str, int], *, is_plain: bool) -> str:
    """A line for each of *parts* (bytes), the biggest first, with a bar; what is below a hundredth is one part.
    *is_plain*: bars of ASCII.
    """
    total = sum(parts.values())
    shown = {name: size for name, size in parts.items() if size >= total * _SMALLEST_SHARE}
    rows = sorted(shown.items(), key=lambda row: (-row[1], row[0]))
    rest = total - sum(shown.values())
    if rest:
        rows.append((_OTHERS, rest))
    width = max((len(name) for name, _ in rows), default=0)
    biggest = max((1, *(size for _, size in rows)))
    return "\n".join(
        f"  {name:<{width}}  {text(size):>8}  {_bar(size / biggest, is_plain=is_plain)}" for name, size in rows
    )


def text(size: int) -> str:
    """*size* in bytes for people: "842 KB", "3.1 MB"; 1 KB is 1024 bytes."""
    if size < 1024:
        return f"{size} B"
    if size < 1024 * 1000:
        return f"{size / 1024:.0f} KB"
    return f"{size / 1024**2:.1f} MB"


def _bar(share: float, *, is_plain: bool) -> str:
    """A bar of eighths of a character where those can be shown."""
    if is_plain:
        return "#" * max(1, round(share * BAR_WIDTH))
    eighths = max(1, round(share * BAR_WIDTH * 8))
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]
