"""A launcher and its payload, put together into an executable."""

from __future__ import annotations

from struct import Struct, error

from stayon.build import elf, pe
from stayon.build.payload import MAGIC, PAGE

_SIZE = Struct("<8sQ")


def with_payload(launcher: bytes, payload: bytes) -> bytes:
    """The executable that *launcher* becomes with *payload*. Raises ``ValueError`` if it is no launcher."""
    if launcher.startswith(b"MZ"):
        return pe.with_section(launcher, pe.PAYLOAD_SECTION, payload)
    return launcher + bytes(-len(launcher) % PAGE) + payload


def payload_of(image: bytes) -> bytes:
    """The payload in an executable, or in a file that is nothing else (the layout "pair"); b"" if there is none.

    Raises ``ValueError`` if *image* is none of these.
    """
    if image.startswith(MAGIC):
        place = 0
    elif image.startswith(b"MZ"):
        place, _ = pe.section(image, pe.PAYLOAD_SECTION)
    else:
        end = elf.read(image).end
        place = end + -end % PAGE
    try:
        magic, size = _SIZE.unpack_from(image, place)
    except error:
        return b""
    return (
        image[place : place + size]
        if place + size <= len(image) and magic == MAGIC and (place or image.startswith(MAGIC))
        else b""
    )
