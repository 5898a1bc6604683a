"""Says when a disk is nearly full: the long form of a service.

One function that runs, a typed configuration that can be changed while it does, and a health check.

    python examples/disk_guard.py run --set least_percent=20
    python examples/disk_guard.py status
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta

from stayon import Context, Service, UnavailableError


@dataclass(frozen=True)
class Settings:
    """What ``disk-guard.toml`` may say; a key that isn't here is an error that names the nearest one."""

    directory: str = "/"
    least_percent: float = 10.0
    every: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        if not 0 < self.least_percent < 100:
            raise ValueError("least_percent must be between 0 and 100")


service = Service("disk-guard", description="Says when a disk is nearly full", config=Settings)


def free_percent(directory: str) -> float:
    """How much of the disk with *directory* is free. Raises ``OSError`` if there is none."""
    usage = shutil.disk_usage(directory)
    return 100 * usage.free / usage.total


@service.run
def main(ctx: Context) -> None:
    """Look again and again, until it is time to leave."""
    gauge = ctx.metrics.gauge("disk_free_percent", "Free space.", ("directory",))
    ctx.ready()
    while True:
        settings: Settings = ctx.config  # one look: these values belong together, also while they are being changed
        free = free_percent(settings.directory)
        gauge.set(free, directory=settings.directory)
        ctx.log.info("looked", directory=settings.directory, free_percent=round(free, 1))
        ctx.status(f"{free:.0f} % of {settings.directory} is free")
        if ctx.stopping.wait(settings.every.total_seconds()):
            return


@service.on_reload
def reload(_ctx: Context, new: Settings, _old: Settings) -> None:
    """Raising refuses the new configuration, and the old one goes on."""
    free_percent(new.directory)


@service.check(every="10s", fall=1)
def enough_space(ctx: Context) -> None:
    """Raising makes ``/readyz`` answer 503, with the reason."""
    free = free_percent(ctx.config.directory)
    if free < ctx.config.least_percent:
        raise UnavailableError(f"only {free:.1f} % is free", where=ctx.config.directory)


if __name__ == "__main__":
    service.main()
