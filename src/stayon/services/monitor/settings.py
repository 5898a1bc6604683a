"""What can be said in ``monitor.toml``: taken as a whole, or refused with what to change."""

from __future__ import annotations

import os.path
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from stayon import Secret  # noqa: TC001  # the type is looked up when the configuration is read
from stayon.services.monitor.states import Hysteresis

HTTP, HTTPS, TCP, TLS = "http", "https", "tcp", "tls"
DEFAULT_PORTS = {HTTP: 80, HTTPS: 443, TLS: 443, TCP: 0}

# Which kinds of endpoint an option means something to; the others mean something to all.
_OPTIONS = {
    "status": (HTTP, HTTPS),
    "contains": (HTTP, HTTPS),
    "follow": (HTTP, HTTPS),
    "verify": (HTTPS,),
    "ca_file": (HTTPS, TLS),
    "expires_within": (HTTPS, TLS),
}

# Names become jobs, metric labels and keys, so they have a job's letters.
NAME_LIMIT = 64
_NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")

_NOTHING = timedelta()
# A stop waits for the alert under way, and must not be forced because of it.
_LONGEST_ALERT = timedelta(seconds=15)


def check_url(url: str, option: str, schemes: tuple[str, ...]) -> None:
    """Raise ``ValueError`` unless *url* is a whole one with one of *schemes*."""
    _require(url.isascii() and url.isprintable() and " " not in url, f"{option} has characters to be percent-encoded")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{option} is no URL: {error}") from None
    _require(parts.scheme in schemes, f"{option} must begin with {' or '.join(f'{each}://' for each in schemes)}")
    _require(bool(parts.hostname), f"{option} names no host")
    _require(port != 0, f"{option} has port 0, on which nobody can listen")
    _require(not parts.username and not parts.password, f"{option} must not have a password in it: alerts show it")
    if parts.scheme in (TCP, TLS):
        _require(not parts.path and not parts.query, f"{option} ends after the port: {parts.scheme} has no path")
    _require(parts.scheme != TCP or bool(port), f"{option} needs a port: tcp://{parts.hostname}:PORT")


def _require(well: bool, otherwise: str) -> None:
    if not well:
        raise ValueError(otherwise)


@dataclass(frozen=True)
class Endpoint:
    """One thing to watch. *url* says how: ``http://``, ``https://``, ``tcp://host:port`` or ``tls://host:port``."""

    url: str
    every: timedelta = timedelta(seconds=30)
    timeout: timedelta = timedelta(seconds=10)
    # An answer that takes longer makes it degraded.
    slow: timedelta | None = None
    rise: int = 1
    fall: int = 2
    # The statuses that are good; none means 200 to 299.
    status: tuple[int, ...] = ()
    contains: str = ""
    follow: bool = False
    verify: bool = True
    ca_file: str = ""
    # A certificate that expires sooner makes it degraded.
    expires_within: timedelta = timedelta(days=14)

    def __post_init__(self) -> None:
        check_url(self.url, "url", tuple(DEFAULT_PORTS))
        for option, kinds in _OPTIONS.items():
            said = getattr(self, option) != type(self).__dict__[option]
            _require(not said or self.kind in kinds, f"{option} is for {' and '.join(kinds)}, not for {self.kind}")
        _require(self.every > _NOTHING, "every must be longer than nothing")
        _require(self.timeout > _NOTHING, "timeout must be longer than nothing")
        _require(self.slow is None or _NOTHING < self.slow < self.timeout, "slow must be shorter than timeout")
        _require(self.rise >= 1 and self.fall >= 1, "rise and fall count results in a row, from 1 on")
        wrong = [status for status in self.status if not 100 <= status <= 599]
        _require(not wrong, f"status {wrong[:1]} is none: they are 100 to 599")
        _require(not self.ca_file or os.path.isabs(self.ca_file), "ca_file must be an absolute path")
        _require(self.verify or not self.ca_file, "ca_file has no use with verify = false")

    @property
    def kind(self) -> str:
        """``http``, ``https``, ``tcp`` or ``tls``."""
        return urlsplit(self.url).scheme

    @property
    def hysteresis(self) -> Hysteresis:
        """How many like results in a row it takes to change the state."""
        return Hysteresis(self.rise, self.fall)


@dataclass(frozen=True)
class Alerts:
    """Who is told: a *command* (a list of words, no shell) that gets JSON on its stdin, or a *webhook*.

    At most one alert per endpoint and state in *at_most_every*; *token* goes along as ``Authorization: Bearer``.
    """

    command: tuple[str, ...] = ()
    webhook: str = ""
    token: Secret | None = None
    timeout: timedelta = timedelta(seconds=10)
    at_most_every: timedelta = timedelta(minutes=10)

    def __post_init__(self) -> None:
        _require(not (self.command and self.webhook), "command and webhook exclude each other")
        _require(not self.command or bool(self.command[0]), "the first word of command is the program")
        _require(not any("\0" in word for word in self.command), "command has a zero byte in it")
        if self.webhook:
            check_url(self.webhook, "webhook", (HTTP, HTTPS))
        if self.token is not None:
            _require(bool(self.webhook), "token has no use without webhook")
            text = self.token.reveal()
            _require(text.isascii() and text.isprintable(), "token has characters that a header cannot have")
        _require(_NOTHING < self.timeout <= _LONGEST_ALERT, "timeout must be 15s at most: a stop waits for it")
        _require(self.at_most_every >= _NOTHING, "at_most_every cannot be negative")

    def __bool__(self) -> bool:
        return bool(self.command or self.webhook)


@dataclass(frozen=True)
class Keeping:
    """How much of the past is kept: results younger than *age*, and at most *results* of each endpoint."""

    age: timedelta = timedelta(days=30)
    results: int = 10_000

    def __post_init__(self) -> None:
        _require(self.age > _NOTHING, "age must be longer than nothing")
        _require(self.results >= 1, "results must be 1 or more")


@dataclass(frozen=True)
class Settings:
    """The whole file."""

    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    alerts: Alerts = Alerts()
    history: Keeping = Keeping()

    def __post_init__(self) -> None:
        for name in self.endpoints:
            good = 0 < len(name) <= NAME_LIMIT and _NAME_LETTERS.issuperset(name) and name[0].isalnum()
            _require(
                good,
                f"the endpoint {name!r} needs a name of 1 to {NAME_LIMIT} letters, digits, '.', '_' and '-', "
                "beginning with a letter or digit",
            )
