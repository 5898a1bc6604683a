"""XXH64, by which the launcher finds a damaged payload: 64 bits, as fast as memory is read. It keeps no attacker out.

(https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md)
"""

from __future__ import annotations

from struct import Struct

_MASK = 2**64 - 1
_P1, _P2, _P3, _P4, _P5 = (
    11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579, 2870177450012600261,
)  # fmt: skip
_STRIPE = Struct("<4Q")


def xxh64(data: bytes | bytearray) -> int:
    """The hash of *data* with the seed 0. A megabyte takes about 0.1 s."""
    position, size = 0, len(data)
    total = _P5
    if size >= _STRIPE.size:
        position = size - size % _STRIPE.size
        total = _stripes(memoryview(data)[:position])
    total = (total + size) & _MASK
    while position + 8 <= size:
        total ^= _round(0, int.from_bytes(data[position : position + 8], "little"))
        total = (_rotated(total, 27) * _P1 + _P4) & _MASK
        position += 8
    if position + 4 <= size:
        total ^= int.from_bytes(data[position : position + 4], "little") * _P1 & _MASK
        total = (_rotated(total, 23) * _P2 + _P3) & _MASK
        position += 4
    for byte in data[position:]:
        total ^= byte * _P5 & _MASK
        total = _rotated(total, 11) * _P1 & _MASK
    for shift, prime in ((33, _P2), (29, _P3)):
        total = (total ^ total >> shift) * prime & _MASK
    return total ^ total >> 32


def _stripes(data: memoryview) -> int:
    one, two, three, four = (_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK
    # ``_round`` of four lanes, written out: calls would take twice the time.
    for a, b, c, d in _STRIPE.iter_unpack(data):
        one = (one + a * _P2) & _MASK
        two = (two + b * _P2) & _MASK
        three = (three + c * _P2) & _MASK
        four = (four + d * _P2) & _MASK
        one = ((one << 31) | (one >> 33)) * _P1 & _MASK
        two = ((two << 31) | (two >> 33)) * _P1 & _MASK
        three = ((three << 31) | (three >> 33)) * _P1 & _MASK
        four = ((four << 31) | (four >> 33)) * _P1 & _MASK
    total = _rotated(one, 1) + _rotated(two, 7) + _rotated(three, 12) + _rotated(four, 18) & _MASK
    for lane in (one, two, three, four):
        total = ((total ^ _round(0, lane)) * _P1 + _P4) & _MASK
    return total


def _round(lane: int, value: int) -> int:
    lane = (lane + value * _P2) & _MASK
    return (lane << 31 | lane >> 33) * _P1 & _MASK


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> 64 - bits) & _MASK
