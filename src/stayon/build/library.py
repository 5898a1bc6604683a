"""Python's own library: where the target's is, what is always needed of it, what is left out unless it is asked for,
and what no import in it tells.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from stayon.build.shelves import BUILTIN, EXTENSION, Archive, Directory, Found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Library:
    """The library of the target's Python: *place*, a directory or an archive; its *extensions* by module, as files;
    and its *builtins*. *platform* is what ``sys.platform`` says there.
    """

    place: str
    extensions: Mapping[str, str]
    builtins: frozenset[str]
    platform: str
    minor: tuple[int, int]
    _shelf: Archive | Directory = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shelf: Archive | Directory
        if os.path.isdir(self.place):
            # What stands among Python's own modules, or is no module of it.
            hidden = frozenset(("site-packages", "dist-packages", "lib-dynload", "test"))
            shelf = Directory(self.place, self.platform, self.minor, hidden)
        else:
            shelf = Archive(self.place)
        object.__setattr__(self, "_shelf", shelf)

    def find(self, name: str) -> Found | None:
        """The module called *name*."""
        if name == "_sysconfigdata":
            return self._sysconfigdata()
        if name in self.builtins or name in _IN_INTERPRETER:
            return Found(name, BUILTIN)
        if name in self.extensions:
            return Found(name, EXTENSION, self.extensions[name])
        found = self._shelf.find(name)
        return found if found is None or found.kind not in {"namespace", EXTENSION} else None

    def _sysconfigdata(self) -> Found | None:
        """What ``sysconfig`` asks for by a name that has the platform in it; Windows has none."""
        names = sorted(os.listdir(self.place)) if os.path.isdir(self.place) else ()
        found = next((name for name in names if name.startswith("_sysconfigdata_") and name.endswith(".py")), "")
        return self._shelf.find(found.removesuffix(".py")) if found else None

    def encodings(self) -> frozenset[str]:
        """The names of all encodings that have a module."""
        shelf = self._shelf
        inside = shelf.names("encodings")
        return frozenset(found.name.rpartition(".")[2] for found in inside) - {"encodings", "aliases"}


# The interpreter's own machinery of imports is built in, in every one.
_IN_INTERPRETER = frozenset((
    "_frozen_importlib", "_frozen_importlib_external", "importlib._bootstrap", "importlib._bootstrap_external",
    "zipimport",
))  # fmt: skip

# What the interpreter imports before anything of ours, and C code at its first need.
START = (
    "encodings", "encodings.aliases", "encodings.utf_8", "codecs", "io", "abc", "os", "stat", "genericpath",
    "posixpath", "ntpath", "_collections_abc", "importlib", "threading", "warnings",
)  # fmt: skip
_LATER = ("encodings.latin_1", "encodings.ascii", "traceback", "linecache", "copyreg", "importlib.machinery",
          "zlib")  # fmt: skip
ALWAYS = {
    "linux": (*(name for name in START if name != "ntpath"), *_LATER),
    "win32": (*START, *_LATER, "encodings.mbcs", "encodings.oem", "encodings.cp1252", "encodings.cp437",
              "encodings.cp850", "encodings.utf_16", "encodings.utf_16_le"),
}  # fmt: skip

# What is left out unless the program or its distributions import it: with what it brings, it is large. (A name stands
# for all below it. What library modules that are needed cannot do without is there all the same.)
HEAVY = frozenset((
    "_hashlib", "_pydatetime", "_pydecimal", "_pyio", "_pyrepl", "_sysconfigdata", "antigravity", "argparse", "ast",
    "asyncio", "bdb", "bz2", "cProfile", "calendar", "cgi", "cmd", "code", "codeop", "compileall",
    "concurrent.futures.process", "configparser", "csv", "ctypes", "curses", "dataclasses", "dbm", "decimal", "dis",
    "distutils", "doctest", "email", "ensurepip", "fractions", "ftplib", "getopt", "gettext", "gzip", "html", "http",
    "idlelib", "imaplib", "importlib.metadata", "importlib.readers", "importlib.resources", "inspect", "lib2to3",
    "logging", "lzma", "mailbox", "mimetypes", "multiprocessing", "netrc", "nntplib", "optparse", "pdb",
    "pickle", "pickletools", "pkgutil", "platform", "plistlib", "poplib", "profile", "pstats", "py_compile", "pydoc",
    "pydoc_data", "readline", "rlcompleter", "runpy", "secrets", "shelve", "site", "smtplib", "sqlite3", "ssl",
    "statistics", "sysconfig", "tarfile", "telnetlib", "test", "timeit", "tkinter", "trace", "tracemalloc",
    "tty", "turtle", "turtledemo", "typing", "unicodedata", "unittest", "urllib.request", "urllib.robotparser", "uuid",
    "venv", "webbrowser", "wsgiref", "xml", "xmlrpc", "zipapp", "zipfile", "zoneinfo",
))  # fmt: skip

# Tools of people who write programs: distributions offer to work with them, in functions, and services do not.
DEVELOPMENT = frozenset((
    "bdb", "cProfile", "cmd", "code", "distutils", "doctest", "ensurepip", "idlelib", "lib2to3", "pdb", "profile",
    "pstats", "py_compile", "pydoc", "test", "tkinter", "trace", "turtle", "unittest", "venv", "webbrowser", "zipapp",
))  # fmt: skip

# What C code imports, which no bytecode tells: by the module that it belongs to.
HIDDEN = {
    "_asyncio": ("asyncio.events", "asyncio.base_futures", "asyncio.base_tasks", "asyncio.exceptions"),
    "_csv": ("re",),
    "_ctypes": ("ctypes",),
    "_datetime": ("_strptime", "time"),
    "_decimal": ("numbers", "collections"),
    "_elementtree": ("copy", "xml.etree.ElementPath", "pyexpat"),
    "_json": ("json.decoder",),
    "_pickle": ("copyreg", "_compat_pickle", "functools"),
    "_sqlite3": ("sqlite3.dump", "collections.abc"),
    "_zoneinfo": ("zoneinfo._common", "zoneinfo._tzpath"),
    "array": ("collections.abc",),
    "datetime": ("_strptime",),
    "faulthandler": ("traceback",),
    "importlib.resources": ("importlib.readers",),
    "sysconfig": ("_sysconfigdata",),
    "zoneinfo": ("importlib.resources", "sysconfig"),
}

# What goes with a module once the program, or a distribution of it, uses it: what most who use it expect.
COMPANIONS = {
    "_socket": ("encodings.idna",),  # getaddrinfo(3) is asked by the encoded name
    "http.client": ("ssl",),  # https
    "multiprocessing": (
        "ast",
        "multiprocessing.spawn",
        "multiprocessing.resource_tracker",
        "multiprocessing.forkserver",
    ),
    "urllib.request": ("ssl",),
}

# Names whose use brings a module that is imported only then.
WORDS = {
    "cron": "zoneinfo",
    "deprecated": "inspect",
    "ProcessPoolExecutor": "concurrent.futures.process",
    "HTTPSConnection": "ssl",
    "NamedTuple": "typing",
    "aclosing": "contextlib",
    "getaddrinfo": "encodings.idna",
    "new_event_loop": "asyncio",
    "node": "platform",
    "popen": "subprocess",
    "strptime": "_strptime",
}

# What the native half of a distribution imports, by the distribution's module: none of its bytecode tells.
NATIVE = {
    "_cffi_backend": ("collections",),
    "_pydantic_core": ("collections", "dataclasses", "datetime", "decimal", "enum", "fractions", "ipaddress", "pathlib",
                       "re", "types", "typing", "urllib.parse", "uuid", "zoneinfo", "copy", "inspect", "warnings"),
    "bit_generator": ("secrets",),
    "_multiarray_umath": ("datetime", "decimal", "math", "os", "pickle", "copyreg", "numbers", "warnings", "builtins",
                          "operator", "json", "io", "threading", "contextvars", "locale"),
    "_rust": ("datetime", "ipaddress", "os", "re", "warnings", "enum", "collections.abc", "abc", "hmac"),
}  # fmt: skip

# What a service imports at its start, and inside functions soon afterwards, besides what these import at their own.
_SOON = (
    "stayon.platforms.onefile.entry", "stayon.platforms.onefile.finder", "stayon.platforms.onefile.command",
    "stayon.cli.inside", "stayon.cli.program", "stayon.cli.run", "stayon.cli.started", "stayon.cli.target",
    "stayon.core.schedule", "stayon.runtime.context", "stayon.runtime.declared", "stayon.runtime.config.last_good",
    "stayon.runtime.logs.filters", "stayon.runtime.logs.text", "stayon.runtime.logs.walk",
)  # fmt: skip
SOON = {
    "linux": (
        *_SOON, "stayon.platforms.unix_entry", "stayon.platforms.clock", "stayon.platforms.console",
        "stayon.platforms.deadman", "stayon.platforms.directories", "stayon.platforms.door",
        "stayon.platforms.identity", "stayon.platforms.init", "stayon.platforms.init_process",
        "stayon.platforms.inotify", "stayon.platforms.launcher", "stayon.platforms.lock", "stayon.platforms.places",
        "stayon.platforms.poller", "stayon.platforms.process", "stayon.platforms.resident", "stayon.platforms.unix",
        "stayon.platforms.slow_poll", "stayon.platforms.systemd.starter", "stayon.platforms.journald",
    ),
    "win32": (
        *_SOON, "encodings.utf_16_le", "stayon.platforms.windows.bell", "stayon.platforms.windows.clock",
        "stayon.platforms.windows.boot", "stayon.platforms.windows.console", "stayon.platforms.windows.controls",
        "stayon.platforms.windows.deadman",
        "stayon.platforms.windows.directory_watch", "stayon.platforms.windows.dispatcher",
        "stayon.platforms.windows.eventlog", "stayon.platforms.windows.jobs",
        "stayon.platforms.windows.launcher_process", "stayon.platforms.windows.lock",
        "stayon.platforms.windows.pipe", "stayon.platforms.windows.poller",
        "stayon.platforms.windows.prepare", "stayon.platforms.windows.process", "stayon.platforms.windows.security",
        "stayon.platforms.windows.service_process", "stayon.platforms.windows.win32_native",
        "stayon.runtime.logs.event_text", "stayon.runtime.logs.system_sink", "stayon.platforms.places",
    ),
}  # fmt: skip

# Names of modules that are words, too: where machine code has them, it says nothing of an import.
WORDLIKE = frozenset((
    "cmd", "code", "email", "html", "http", "multiprocessing", "platform", "profile", "site", "sqlite3", "ssl", "test",
    "trace", "tty", "unittest", "xml",
))  # fmt: skip

# stayon's own: rooms that no service of a system runs, by ``sys.platform``; and what only other systems have.
_ELSEWHERE = ("stayon.build", "stayon.services", "stayon.testing", "stayon.platforms.launchd",
              "stayon.platforms.windows.win32_ctypes", "stayon.platforms.libc_ctypes",
              "stayon.platforms.windows.pack")  # fmt: skip
NOT_THERE = {
    "linux": (*_ELSEWHERE, "stayon.platforms.windows"),
    "win32": (
        *_ELSEWHERE, "stayon.platforms.daemon", "stayon.platforms.systemd", "stayon.platforms.journald",
        "stayon.platforms.journal_reader", "stayon.platforms.unix", "stayon.platforms.unix_access",
        "stayon.platforms.unix_command", "stayon.platforms.unix_entry", "stayon.platforms.init",
        "stayon.platforms.init_process", "stayon.platforms.tree", "stayon.platforms.inotify",
        "stayon.platforms.libc", "stayon.platforms.lock", "stayon.platforms.launcher", "stayon.platforms.poller",
        "stayon.platforms.signals", "stayon.platforms.resident", "stayon.platforms.run_mark",
        "stayon.platforms.process_table", "stayon.platforms.process", "stayon.platforms.door",
        "stayon.platforms.deadman", "stayon.platforms.identity", "stayon.platforms.slow_poll",
        "stayon.platforms.unkept",
    ),
}  # fmt: skip


def is_in(name: str, rooms: frozenset[str] | tuple[str, ...]) -> bool:
    """Whether the module *name*, or a package that it is in, is one of *rooms*."""
    while name:
        if name in rooms:
            return True
        name = name.rpartition(".")[0]
    return False


def heavy_root(name: str) -> str:
    """The one of ``HEAVY`` that *name* belongs to; "": none."""
    while name and name not in HEAVY:
        name = name.rpartition(".")[0]
    return name
