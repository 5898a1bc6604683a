"""Runs our other suites on Windows' CPython, in the lab."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.build import ffi_library
from tests.windows import fetch
from tests.windows.lab import Answer, Lab

ROOT = Path(__file__).parents[2]
LIMIT_S = 240.0

# Wine's answer to the WMI question that ``platform`` asks takes for ever, and its KERNEL32 has no CopyFile2, which
# ``shutil`` takes where Python has it.
DRIVER = """
import sys
sys.modules["_wmi"] = None
import _winapi
del _winapi.CopyFile2
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""

# In front of it, where Win32 is called as a one-file program does it.
LAUNCHERS_CALLS = """
import ctypes, sys
library = ctypes.PyDLL(sys.argv.pop(1))
library.start.argtypes = [ctypes.c_void_p]
assert library.start(sys.dllhandle) == 0
from stayon.platforms.windows import win32, win32_native
assert win32.Structure is win32_native.Structure
"""

# The units that deal with the system; what only decides is the same anywhere. (On real Windows all of them are run.)
UNITS = (
    "config_store", "config_watch", "control", "host_threads", "logs_capture", "logs_file", "logs_follow", "loop",
    "monitor_delivery", "pool", "status", "windows_accounts", "windows_entry", "windows_eventlog", "windows_security",
)  # fmt: skip


def run_suites(lab: Lab) -> Answer:
    """Run them. Blocks for about a minute."""
    return _run(lab, "driver.py", DRIVER)


def run_native_suites(lab: Lab) -> Answer:
    """The same, through the launcher's calls instead of those of ``_ctypes``."""
    library = ffi_library.built(ffi_library.WINDOWS, lab.folder)
    return _run(lab, "native_driver.py", LAUNCHERS_CALLS + DRIVER, library)


def _run(lab: Lab, name: str, source: str, *words: Path) -> Answer:
    packages, driver = lab.python / "Lib" / "site-packages", lab.folder / name
    shutil.copytree(fetch.kept(fetch.full_name("packages")), packages, dirs_exist_ok=True)
    driver.write_text(source, "utf-8")
    paths = [ROOT / "tests" / "contract", *(ROOT / "tests" / "unit" / f"test_{name}.py" for name in UNITS)]
    return lab.run_python(
        driver, *words, "-q", "-p", "no:cacheprovider", "--rootdir", ROOT, "-c", ROOT / "pyproject.toml", "--tb=short",
        "-rfE", "--durations=15", "-m", "not slow", "--basetemp", "C:\\basetemp", *paths,
        limit_s=LIMIT_S, PYTHONDONTWRITEBYTECODE="1",
    )  # fmt: skip
