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
    from collections.abc import Mapping

    from stayon.machine import Machine
    from stayon.runtime.config.host_settings import HostSettings
    from stayon.runtime.logs.journal_sink import JournalSink
    from stayon.runtime.logs.pipeline import Pipeline
    from stayon.runtime.logs.sinks import Sink
    from stayon.runtime.logs.syslog_sink import SyslogSink
    from stayon.runtime.logs.system_sink import SystemSink

STDERR = 2

# Who starts a service in a terminal; its log is what the person there reads.
CONSOLE = "console"
# Who starts it where standard error leads nowhere (on Windows that passes for a terminal), or into a file for what
# isn't logged.
WITHOUT_STDERR = ("scm", "daemon", "launchd")
# Who starts it where the computer's own log, if it takes all, is where one looks for all of it.
WITH_JOURNAL = "systemd"

ALL = 0


class LogSetup:
    """Gives *pipeline* its sinks: files in *directory*, and what *machine* has. *level* overrides the settings' until
    the process ends: it was said on the command line.
    """

    def __init__(self, pipeline: Pipeline, directory: str, machine: Machine, *, level: str = "") -> None:
        self._pipeline, self._directory, self._machine, self._level = pipeline, directory, machine, level
        self._file = FileSink(directory, pipeline.service, tell=self._tell)
        self._stderr: tuple[str, Sink] | None = None
        # The computer's own log, which is one or the other.
        self._system: SystemSink | None = None
        self._journal: JournalSink | None = None
        self._syslog: tuple[tuple[str, ...], SyslogSink] | None = None

    def apply(self, settings: HostSettings) -> None:
        """Let the log be as *settings* say. A file that cannot be opened is told on standard error, and tried again
        at each line.
        """
        how = settings["log.system"]
        self._choose_system(how)
        self._file.rotation = _rotation(settings)
        file = self._chosen_file(settings["log.file"])
        self._use(self._stderr_sink(settings["log.stderr"]), file, self._syslog_sink(settings))
        self._pipeline.set_level(parse(self._level or settings["log.level"]))
        if how not in ("auto", "off") and self._journal is None and self._system is None:
            self._pipeline.logger("stayon.log").warning(
                f'stayon.log.system is "{how}", but this computer has no log of its own to write to', event_id=32
            )

    def before_settings(self) -> None:
        """What holds until the configuration is read: standard error or the journal, so that its errors are seen."""
        if self._machine.starter.name == WITH_JOURNAL:
            self._choose_system("auto")
            self._chosen_file("auto")
        self._use(self._stderr_sink("auto"))

    def for_failed_start(self, *, is_ours: bool, system: str = "auto") -> bool:
        """What holds for the error that a start ends with; gives whether that is then where standard error goes, too.
        The file is another process's where the lock isn't ours; *system* is as in the settings.
        """
        self._choose_system(system)
        self._use(self._chosen_file("auto") if is_ours else None)
        return self._journal is not None and is_journal(STDERR, os.environ)

    def _use(self, *sinks: Sink | None) -> None:
        self._pipeline.use([sink for sink in (*sinks, self._journal, self._system) if sink is not None])

    def _chosen_file(self, how: str | bool) -> FileSink | None:
        """The log file, if *how* wants one. Where the journal takes all there is, auto has it only to fall back on."""
        journal = self._journal
        if journal is None:
            return self._file if how else None
        is_wanted = how is True or (how == "auto" and journal.least > ALL)
        journal.file = None if is_wanted else self._file
        return self._file if is_wanted else None

    def _stderr_sink(self, how: str) -> Sink | None:
        if how == "auto" and self._machine.starter.name in WITHOUT_STDERR:
            return None
        if how == "auto" and self._journal is not None and is_journal(STDERR, os.environ):
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

    def _choose_system(self, how: str) -> None:
        """Have the computer's own log as *how* says, if there is one."""
        starter = self._machine.starter.name
        if how == "off" or (how == "auto" and starter == CONSOLE):
            self._system = self._journal = None
            return
        if self._system is None and self._journal is None:
            self._find_system()
        if self._system is not None:
            from stayon.runtime.logs.system_sink import AUTO_LEVEL

            self._system.least = AUTO_LEVEL if how == "auto" else parse(how)
        if self._journal is not None:
            self._journal.least = ALL if how == "auto" else parse(how)
            if how == "auto" and starter != WITH_JOURNAL:
                self._journal = None

    def _find_system(self) -> None:
        service, instance = self._pipeline.service, self._pipeline.instance
        source = f"{service}@{instance}" if instance else service
        log = self._machine.system_log(source, live_path(self._directory, service))
        if log is not None and log.takes_all:
            from stayon.runtime.logs.journal_sink import JournalSink

            self._journal = JournalSink(self._pipeline, log)
        elif log is not None:
            from stayon.runtime.logs.system_sink import SystemSink

            self._system = SystemSink(log, service)

    def _syslog_sink(self, settings: HostSettings) -> SyslogSink | None:
        said = (settings["log.syslog"], settings["log.syslog_facility"], settings["log.syslog_ca"])
        if not said[0]:
            self._syslog = None
            return None
        if self._syslog is None or self._syslog[0] != said:
            from stayon.runtime.logs.syslog_sink import syslog_sink

            self._syslog = (said, syslog_sink(self._pipeline, *said))
        return self._syslog[1]

    def _tell(self, what: str, error: Exception) -> None:
        self._pipeline.logger("stayon.log").failure(what, error)


def is_journal(fd: int, environ: Mapping[str, str]) -> bool:
    """Whether what is written to *fd* goes to the journal: JOURNAL_STREAM says so (systemd.exec(5))."""
    try:
        status = os.fstat(fd)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _rotation(settings: HostSettings) -> Rotation:
    return Rotation(
        max_bytes=settings["log.max_size"],
        max_age_s=settings["log.max_age"],
        keep_files=settings["log.keep"],
        keep_bytes=settings["log.total_size"],
        compress=settings["log.gzip"],
    )
