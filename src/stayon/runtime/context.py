"""What the user's functions are given: ``ctx``."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Unpack

    from stayon.runtime.flag import Flag
    from stayon.runtime.host import Host
    from stayon.runtime.logs.logger import Logger
    from stayon.runtime.metrics import Metrics
    from stayon.runtime.service import Duration, JobOptions
    from stayon.runtime.sockets import Sockets
    from stayon.runtime.watchdog import Beat


class Context:
    """The service, as seen by one of its functions. Everything may be used from any thread.

    ``stopping`` is set when it is time to leave (for a job with a ``timeout``, also when its time is over);
    ``paused`` while the service is to rest. ``log`` carries the job's name. ``job`` is that name, or the empty string.
    """

    __slots__ = ("_beat", "_host", "job", "log", "stopping")

    def __init__(self, host: Host, log: Logger, stopping: Flag, *, job: str = "", beat: Beat | None = None) -> None:
        self._host, self.log, self.stopping, self.job, self._beat = host, log, stopping, job, beat

    @property
    def name(self) -> str:
        """The service's name."""
        return self._host.spec.name

    @property
    def instance(self) -> str:
        """Which of several instances this is; the empty string for the only one."""
        return self._host.instance

    @property
    def arguments(self) -> Sequence[str]:
        """What was said behind ``--`` at the start."""
        return self._host.arguments

    @property
    def start_reason(self) -> str:
        """Why the service manager has started it, where it tells: "demand", "auto", "delayed", "trigger", "restart"
        (after a failure), several with "+"; else the empty string.
        """
        return self._host.equipment.start_reason

    @property
    def paused(self) -> Flag:
        """Set while the service is paused or about to be."""
        return self._host.paused

    @property
    def config(self) -> Any:
        """The configuration that holds now: one immutable object, replaced as a whole by a reload. Keep it in a
        variable for as long as several values must belong together.
        """
        return self._host.config.current

    @property
    def metrics(self) -> Metrics:
        """The registry behind ``/metrics``."""
        return self._host.metrics

    @property
    def state_dir(self) -> str:
        """The directory for the service's own data; it exists, and only this account can write there."""
        return self._host.places.state

    @property
    def sockets(self) -> Sockets:
        """The sockets that the service manager opened for the service (``Service.installation(sockets=...)``), or kept
        for it across a restart: a mapping from their names to lists of them.
        """
        return self._host.sockets

    def ready(self) -> None:
        """The service does its work from now on: the manager is told RUNNING. Later calls do nothing."""
        self._host.ready()

    def status(self, text: str) -> None:
        """One line on what it is doing, shown by ``status`` and by the manager."""
        self._host.loop.post(self._host.set_status, str(text))

    def heartbeat(self) -> None:
        """A sign of life for ``hang_timeout``. Costs well under a microsecond."""
        if self._beat is not None:
            self._beat.touch()

    def every(self, interval: Duration, function: Callable[..., Any], **options: Unpack[JobOptions]) -> None:
        """Add a job while running; as the decorator. Raises ``UsageError`` if there is a job of that name."""
        self._host.add_job("every", function, {"interval": interval, **options})

    def cron(
        self, expression: str, function: Callable[..., Any], *, tz: str = "UTC", **options: Unpack[JobOptions]
    ) -> None:
        """Add a job by the calendar while running; as the decorator."""
        self._host.add_job("cron", function, {"expression": expression, "tz": tz, **options})

    def cancel(self, name: str) -> None:
        """Take the job *name* away; a run under way sees ``ctx.stopping`` set and is not waited for. Unknown names are
        ignored, since the job may have ended by itself.
        """
        self._host.cancel_job(name)
