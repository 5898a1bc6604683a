"""A version of the first page's service that does not start: an update has to take it back."""
# ruff: noqa: INP001  # a script, not a package

from typing import NoReturn

from stayon import Context, Service

service = Service("price-collector")


@service.on_start
def fail(_ctx: Context) -> NoReturn:
    """Fail."""
    raise RuntimeError("this version does not start, on purpose")


@service.every("5s")
def collect(_ctx: Context) -> None:
    """Nothing."""
