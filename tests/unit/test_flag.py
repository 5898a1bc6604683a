"""The flag behind ``ctx.stopping``: threads and tasks wait for it, and cost nothing meanwhile."""

from __future__ import annotations

import asyncio
import threading

from stayon.platforms.clock import SystemClock
from stayon.runtime.flag import Flag
from stayon.testing import ManualClock

LIMIT_S = 10.0


def test_a_flag_is_false_until_it_is_set() -> None:
    """Its truth, ``is_set`` and what ``wait`` gives are the same thing; setting and clearing twice is harmless."""
    flag = Flag(SystemClock())
    assert (bool(flag), flag.is_set(), flag.wait(0)) == (False, False, False)
    flag.set()
    flag.set()
    assert (bool(flag), flag.is_set(), flag.wait(0), flag.wait()) == (True, True, True, True)
    flag.clear()
    flag.clear()
    assert (bool(flag), flag.wait(0)) == (False, False)


def test_everyone_who_waits_is_woken() -> None:
    """Setting wakes all threads that wait, and later waits don't block."""
    flag = Flag(SystemClock())
    woken = []
    threads = [threading.Thread(target=lambda: woken.append(flag.wait(LIMIT_S))) for _ in range(5)]
    for thread in threads:
        thread.start()
    flag.set()
    for thread in threads:
        thread.join(LIMIT_S)

    assert woken == [True] * 5


def test_waiting_takes_no_longer_than_it_may() -> None:
    """A wait ends at its limit, by the clock that the flag was given."""
    clock = ManualClock(autojump=True)
    flag = Flag(clock)
    before = clock.monotonic()

    assert not flag.wait(3600)
    assert clock.monotonic() == before + 3600


def test_a_flag_can_be_used_again_and_again() -> None:
    """Set, waited for, cleared, many times over, by two threads: no wait is lost and none comes too early."""
    flag, echo = Flag(SystemClock()), Flag(SystemClock())
    rounds = []

    def other() -> None:
        for number in range(200):
            if not flag.wait(LIMIT_S):
                return
            flag.clear()
            rounds.append(number)
            echo.set()

    thread = threading.Thread(target=other)
    thread.start()
    for _ in range(200):
        flag.set()
        assert echo.wait(LIMIT_S)
        echo.clear()
    thread.join(LIMIT_S)

    assert rounds == list(range(200))


def test_tasks_wait_too() -> None:
    """``wait_async`` blocks only its task; a flag that is set lets through at once, and a limit ends the wait."""
    flag = Flag(SystemClock())

    async def main() -> list[bool]:
        waits = [asyncio.create_task(flag.wait_async(LIMIT_S)) for _ in range(3)]
        limited = await flag.wait_async(0.001)
        threading.Thread(target=flag.set).start()
        return [limited, *await asyncio.gather(*waits), await flag.wait_async()]

    assert asyncio.run(main()) == [False, True, True, True, True]


def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    """A task that is cancelled while it waits is forgotten by the flag."""
    flag = Flag(SystemClock())

    async def main() -> None:
        task = asyncio.create_task(flag.wait_async())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    flag.set()

    assert not flag._listeners  # noqa: SLF001  # nothing else would show it
