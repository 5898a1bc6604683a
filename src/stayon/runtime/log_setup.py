"""Which sinks the log has, as the settings say, at the start and after each reload."""

from __future__ import annotations

import os
import sys

from stayon.core.levels import parse
from stayon.runtime.logs.file_sink import FileSink
from stayon.runtime.logs.rotate import Rotation
from stayon.runtime.logs.sinks import DescriptorSink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.runtime.config.host_settings import HostSettings
    from stayon.runtime.logs.entry import Sink
    from stayon.runtime.logs.pipeline import Pipeline

STDERR = 2


class LogSetup:
    """Gives *pipeline* its sinks. *level* overrides the settings' until the process ends: it was said on the command
    line.
    """

    def __init__(self, pipeline: Pipeline, directory: str, name: str, *, level: str = "") -> None:
        self._pipeline, self._directory, self._name, self._level = pipeline, directory, name, level
        self._file: FileSink | None = None
        self._stderr: tuple[str, Sink] | None = None

    def apply(self, settings: HostSettings) -> None:
        """Let the log be as *settings* say. A file that cannot be opened is told on standard error, and tried again
        at each line.
        """
        sinks = []
        stderr = self._stderr_sink(settings["log.stderr"])
        if stderr is not None:
            sinks.append(stderr)
        if settings["log.file"]:
            sinks.append(self._file_sink(_rotation(settings)))
        else:
            self._file = None
        self._pipeline.use(sinks)
        self._pipeline.set_level(parse(self._level or settings["log.level"]))

    def before_settings(self) -> None:
        """What holds until the configuration is read: standard error only, so that its errors are seen."""
        stderr = self._stderr_sink("auto")
        self._pipeline.use([stderr] if stderr is not None else [])

    def _file_sink(self, rotation: Rotation) -> FileSink:
        if self._file is None:
            self._file = FileSink(self._directory, self._name, tell=self._tell)
        self._file.rotation = rotation
        return self._file

    def _stderr_sink(self, how: str) -> Sink | None:
        is_terminal = os.isatty(STDERR)
        form = how if how != "auto" else "text" if is_terminal else "json"
        if form == "off":
            return None
        if self._stderr is None or self._stderr[0] != form:
            render = None
            if form == "text":
                from stayon.runtime.logs.text import TextRenderer

                colored = is_terminal and "NO_COLOR" not in os.environ
                render = TextRenderer(color=colored, encoding=getattr(sys.stderr, "encoding", None) or "utf-8").entry
            self._stderr = (form, DescriptorSink(STDERR, render))
        return self._stderr[1]

    def _tell(self, what: str, error: Exception) -> None:
        self._pipeline.logger("stayon.log").failure(what, error)


def _rotation(settings: HostSettings) -> Rotation:
    return Rotation(
        max_bytes=settings["log.max_size"],
        max_age_s=settings["log.max_age"],
        keep_files=settings["log.keep"],
        keep_bytes=settings["log.total_size"],
        compress=settings["log.gzip"],
    )
