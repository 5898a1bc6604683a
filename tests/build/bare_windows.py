"""A Windows without Python, and the program of one file that is tested on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.build.program_desk import built
from tests.windows.lab import Answer, InstalledService, Lab

# What it does is said by its configuration, so that one program will do.
SOURCE = """\
import os, time
from stayon import Service

service = Service("collector", hang_timeout="1s", stop_timeout="10s")

@service.every("50ms", on_failure="fail")
def collect(ctx):
    ctx.log.info("collected", prices=ctx.config.get("prices", 3))
    mode = ctx.config.get("mode")
    if mode == "fail":
        raise ConnectionError("no such database")
    if mode == "hang":
        ctx._host.loop.post(time.sleep, 60)

@service.on_event
def heard(ctx, event):
    ctx.log.info("heard", code=event.code)
"""

NAME = "collector"
PROGRAM = Path("Program Files", "Collector", "collector.exe")


class File(NamedTuple):
    """What tells one state of a file from another."""

    size: int
    time_ns: int


class Collector(InstalledService):
    """The program on *lab*, at *inside* below its drive; its verbs are words behind the file."""

    def __init__(self, lab: Lab, inside: Path = PROGRAM) -> None:
        self.lab, self.name = lab, NAME
        self.file = lab.drive / inside
        self.folder = self.file.parent

    def copy(self) -> None:
        """Put it there, as a user does: one file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(program(), self.file)

    def verb(self, *words: str, **options: object) -> Answer:
        """``collector.exe WORDS``."""
        return self.lab.exe(self.file, *words, **{"limit_s": 60.0, **options})  # type: ignore[arg-type]  # as given

    def done(self, *words: str) -> Answer:
        """As ``verb``, for what has to succeed."""
        answer = self.verb(*words)
        assert answer.code == 0, answer
        return answer


def program() -> Path:
    """The file, as ``stayon build`` makes it here."""
    return built(SOURCE, "1.0", NAME, "--target", "windows-x64")


def files(lab: Lab, without: Iterable[Path] = ()) -> dict[str, File]:
    """All files of the computer, but those below *without*."""
    kept_out, found = {str(path) for path in without}, {}
    for folder, folders, names in os.walk(lab.drive):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in kept_out]
        for name in names:
            path = os.path.join(folder, name)
            about = os.lstat(path)
            found[os.path.relpath(path, lab.drive)] = File(about.st_size, about.st_mtime_ns)
    return found
