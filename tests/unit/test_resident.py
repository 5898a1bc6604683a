"""What the start alone has needed is given back: which parts of memory that may be, and that nothing is lost by it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import stayon
from stayon.platforms.resident import unchanged

TEXT = """\
00400000-00423000 r--p 00000000 08:01 11                                 /usr/bin/python3.11
Size:                140 kB
Rss:                 140 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd mr mw me sd
00423000-006d2000 r-xp 00023000 08:01 11                                 /usr/bin/python3.11
Rss:                2700 kB
Anonymous:             0 kB
Swap:                  0 kB
006d2000-00900000 r--p 002d2000 08:01 11                                 /usr/bin/python3.11
Anonymous:             4 kB
Swap:                  0 kB
00900000-00901000 r--p 00500000 08:01 11                                 /usr/bin/python3.11
Anonymous:             0 kB
Swap:                  4 kB
00946000-00a85000 rw-p 00546000 08:01 11                                 /usr/bin/python3.11
Anonymous:             0 kB
Swap:                  0 kB
1c838000-1c998000 rw-p 00000000 00:00 0                                  [heap]
Anonymous:          1320 kB
7fa3d2e62000-7fa3d3662000 rw-p 00000000 00:00 0
Anonymous:            12 kB
7fa3d4000000-7fa3d4001000 r-xp 00000000 08:01 12                         /opt/a b/lib c.so (deleted)
Anonymous:             0 kB
7fa3d46b0000-7fa3d46b7000 r--s 00000000 08:01 13                         /usr/lib/gconv/gconv-modules.cache
Anonymous:             0 kB
7fa3d46c0000-7fa3d46c7000 r--p 00000000 08:01 14                         /srv/prices.db
Anonymous:             0 kB
7ffd1efa2000-7ffd1efc3000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
"""


def test_only_what_is_in_a_programs_file_is_given_back() -> None:
    """Programs' and libraries' parts that nobody can write to and nobody has written to; no data, and no file of the
    service's own.
    """
    assert unchanged(TEXT.splitlines(keepends=True)) == [
        (0x400000, 0x423000),
        (0x423000, 0x6D2000),
        (0x7FA3D4000000, 0x7FA3D4001000),
    ]


@pytest.mark.parametrize("text", ["", "\n", "Rss: 1 kB\n", "VmFlags: rd\n"])
def test_a_list_that_says_nothing_gives_nothing(text: str) -> None:
    """An odd kernel's is no reason to fail."""
    assert unchanged(text.splitlines(keepends=True)) == []


PROGRAM = """
import sys
from stayon.platforms.resident import give_back

def in_files():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssFile:"))

def work():
    import decimal, json, sqlite3, threading
    done = []
    thread = threading.Thread(target=lambda: done.append(json.dumps({"a": [1.5, None]})))
    thread.start()
    thread.join()
    return done, str(decimal.Decimal(1) / 7), sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()

first = work()
before = in_files()
for _ in range(3):
    give_back()
after = in_files()
assert work() == first
print(before, after)
"""


@pytest.mark.linux
def test_memory_is_given_back_and_nothing_is_lost() -> None:
    """Far less is resident then, and everything works as before, also the second and third time."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": str(Path(stayon.__file__).parents[1])}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    before_kb, after_kb = map(int, done.stdout.split())
    assert after_kb < before_kb * 0.75
