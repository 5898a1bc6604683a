"""Which sinks the log has, as the settings say, at the start and after each reload."""

from __future__ import annotations

import os
import sys

from stayon.core.levels import parse
from stayon.runtime.logs.file_sink import FileSink
from stayon.runtime.logs.rotate import Rotation, live_path
from stayon.runtime.logs.sinks import DescriptorSink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.machine import Machine
    from stayon.runtime.config.host_settings import HostSettings
    from stayon.runtime.logs.pipeline import Pipeline
    from stayon.runtime.logs.sinks import Sink
    from stayon.runtime.logs.system_sink import SystemSink

STDERR = 2

# Who starts a service in a terminal; its log is what the person there reads.
CONSOLE = "console"
# Who starts it where standard error leads nowhere. (On Windows that passes for a terminal.)
WITHOUT_STDERR = "scm"


class LogSetup:
    """Gives *pipeline* its sinks: files in *directory*, and what *machine* has. *level* overrides the settings' until
    the process ends: it was said on the command line.
    """

    def __init__(self, pipeline: Pipeline, directory: str, machine: Machine, *, level: str = "") -> None:
        self._pipeline, self._directory, self._machine, self._level = pipeline, directory, machine, level
        self._file: FileSink | None = None
        self._stderr: tuple[str, Sink] | None = None
        self._system: SystemSink | None = None

    def apply(self, settings: HostSettings) -> None:
        """Let the log be as *settings* say. A file that cannot be opened is told on standard error, and tried again
        at each line.
        """
        stderr = self._stderr_sink(settings["log.stderr"])
        file: Sink | None = self._file_sink(_rotation(settings)) if settings["log.file"] else None
        if file is None:
            self._file = None
        how = settings["log.system"]
        system = self._system_sink(how)
        self._pipeline.use([sink for sink in (stderr, file, system) if sink is not None])
        self._pipeline.set_level(parse(self._level or settings["log.level"]))
        if system is None and how not in ("auto", "off"):
            self._pipeline.logger("stayon.log").warning(
                f'stayon.log.system is "{how}", but this computer has no log of its own to write to', event_id=32
            )

    def before_settings(self) -> None:
        """What holds until the configuration is read: standard error only, so that its errors are seen."""
        stderr = self._stderr_sink("auto")
        self._pipeline.use([stderr] if stderr is not None else [])

    def for_failed_start(self, *, is_ours: bool, system: str = "auto") -> None:
        """What holds for the error that a start ends with. The file is another process's where the lock isn't ours;
        *system* is as in the settings.
        """
        file = self._file_sink(Rotation()) if is_ours else None
        self._pipeline.use([sink for sink in (file, self._system_sink(system)) if sink is not None])

    def _file_sink(self, rotation: Rotation) -> FileSink:
        if self._file is None:
            self._file = FileSink(self._directory, self._pipeline.service, tell=self._tell)
        self._file.rotation = rotation
        return self._file

    def _stderr_sink(self, how: str) -> Sink | None:
        if how == "auto" and self._machine.starter.name == WITHOUT_STDERR:
            return None
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

    def _system_sink(self, how: str) -> Sink | None:
        if how == "off" or (how == "auto" and self._machine.starter.name == CONSOLE):
            self._system = None
            return None
        from stayon.runtime.logs.system_sink import AUTO_LEVEL, SystemSink

        if self._system is None:
            service, instance = self._pipeline.service, self._pipeline.instance
            source = f"{service}@{instance}" if instance else service
            log = self._machine.system_log(source, live_path(self._directory, service))
            if log is None:
                return None
            self._system = SystemSink(log, service)
        self._system.least = AUTO_LEVEL if how == "auto" else parse(how)
        return self._system

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
