"""The live configuration: one reference, swapped as a whole."""

from __future__ import annotations

import dataclasses
import threading

from stayon.runtime.config.live import LiveConfig
from stayon.runtime.config.store import Origin, Store


@dataclasses.dataclass(frozen=True)
class Config:
    a: int = 0
    b: int = 0


def test_no_reader_sees_a_mix() -> None:
    """Threads read both fields while a thousand configurations are swapped in; they always belong together."""
    live = LiveConfig(Store(Origin("svc", kind=Config), {}).load())
    loaded = [live.loaded.replace(config=Config(number, number)) for number in range(1000)]
    mixed, turns = [], [0, 0]
    done = threading.Event()

    def read(number: int) -> None:
        while not done.is_set():
            config = live.current
            turns[number] += 1
            if config.a != config.b:
                mixed.append((config.a, config.b))

    readers = [threading.Thread(target=read, args=(number,)) for number in range(2)]
    for reader in readers:
        reader.start()
    for each in loaded:
        live.swap(each)
    while not all(turns):
        live.swap(loaded[0])
    done.set()
    for reader in readers:
        reader.join()

    assert mixed == []
    assert live.current.a in (0, 999)


def test_a_swap_gives_what_held_before() -> None:
    """So that it can be swapped back."""
    live = LiveConfig(Store(Origin("svc", kind=Config), {}).load())
    before = live.loaded

    assert live.swap(before.replace(config=Config(1))) is before
    assert live.current == Config(1)
