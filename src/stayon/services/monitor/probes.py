"""One check of one endpoint: what was found, and how long it took. Each kind imports what it needs, and no more."""

from __future__ import annotations

import time
from functools import cache
from typing import NamedTuple
from urllib.parse import urlsplit

from stayon.services.monitor.net import Deadline, Place
from stayon.services.monitor.settings import DEFAULT_PORTS, HTTP, HTTPS, TCP, TLS
from stayon.services.monitor.states import DEGRADED, DOWN, UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ssl import SSLContext

    from stayon.services.monitor.net import Net
    from stayon.services.monitor.settings import Endpoint

    Look = Callable[[Net, Deadline], "Seen"]
    Probe = Callable[[Net], "Finding"]

DAY_S = 86_400.0


class Seen(NamedTuple):
    """What there was to see of an endpoint that answered. *expires_at* is a moment of the wall clock."""

    status: int = 0
    text: str = ""
    expires_at: float | None = None


class Finding(NamedTuple):
    """What a check says: up, degraded or down, and why it isn't up."""

    state: str
    latency_s: float
    why: str = ""
    status: int = 0
    expires_at: float | None = None


def probe_of(endpoint: Endpoint) -> Probe:
    """The function that checks *endpoint* once. Raises ``ConfigError`` if what it needs (a CA file) cannot be used.

    It gives a finding within the endpoint's timeout, whatever the other side does; only ``StoppedError`` comes through.
    """
    look = _LOOKS[endpoint.kind](endpoint)

    def probe(net: Net) -> Finding:
        deadline = Deadline(endpoint.timeout.total_seconds())
        try:
            seen = look(net, deadline)
        except OSError as error:
            return Finding(DOWN, deadline.elapsed_s(), said(error))
        return judge(endpoint, seen, deadline.elapsed_s(), time.time())

    return probe


def judge(endpoint: Endpoint, seen: Seen, latency_s: float, now: float) -> Finding:
    """What to think of an endpoint that answered. Pure: *now* is the wall clock's."""
    wrong = _wrong(endpoint, seen)
    lacking = []
    if endpoint.slow is not None and latency_s > endpoint.slow.total_seconds():
        lacking.append(f"slow: it took {latency_s:.3f} s, more than {endpoint.slow.total_seconds():g} s")
    if seen.expires_at is not None and seen.expires_at - now < endpoint.expires_within.total_seconds():
        lacking.append(f"its certificate expires in {max(0.0, seen.expires_at - now) / DAY_S:.1f} days")
    state = DOWN if wrong else DEGRADED if lacking else UP
    return Finding(state, latency_s, wrong or "; ".join(lacking), seen.status, seen.expires_at)


def _wrong(endpoint: Endpoint, seen: Seen) -> str:
    """Why what was seen is not what is wanted, or nothing."""
    if seen.status:
        good = seen.status in endpoint.status if endpoint.status else 200 <= seen.status < 300
        if not good:
            wanted = " or ".join(map(str, endpoint.status)) or "200 to 299"
            redirect = 300 <= seen.status < 400 and not endpoint.follow
            return f"status {seen.status}, not {wanted}" + ("; follow = true would follow it" if redirect else "")
    if endpoint.contains and endpoint.contains not in seen.text:
        return f"the answer does not contain {endpoint.contains!r}"
    return ""


def said(error: OSError) -> str:
    """What an error says, without numbers that only programs understand."""
    untrusted = getattr(error, "verify_message", "")  # of ssl.SSLCertVerificationError
    return f"its certificate is not trusted: {untrusted}" if untrusted else error.strerror or str(error)


def _http(endpoint: Endpoint) -> Look:
    from stayon.services.monitor.http_exchange import Request, exchange

    @cache
    def trusted() -> SSLContext:
        from stayon.services.monitor.trust import trust

        return trust(endpoint.ca_file, verify=endpoint.verify)

    if endpoint.kind == HTTPS:
        trusted()
    request = Request(endpoint.url, {"Accept": "*/*"}, trusted, follow=endpoint.follow)

    def look(net: Net, deadline: Deadline) -> Seen:
        answer = exchange(request, net, deadline)
        return Seen(answer.status, answer.text, _expiry(answer.certificate))

    return look


def _tcp(endpoint: Endpoint) -> Look:
    place = _place(endpoint)

    def look(net: Net, deadline: Deadline) -> Seen:
        with net.connected(place, deadline):
            return Seen()

    return look


def _tls(endpoint: Endpoint) -> Look:
    from stayon.services.monitor.trust import trust

    place = _place(endpoint)._replace(context=trust(endpoint.ca_file))

    def look(net: Net, deadline: Deadline) -> Seen:
        with net.connected(place, deadline) as wire:
            return Seen(expires_at=_expiry(wire.certificate))

    return look


def _place(endpoint: Endpoint) -> Place:
    parts = urlsplit(endpoint.url)
    return Place(parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme])


def _expiry(certificate: Mapping[str, object]) -> float | None:
    """When a certificate, as ``getpeercert`` gives it, ends; None for the empty one that nobody has verified."""
    if not certificate:
        return None
    import ssl

    return float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))


_LOOKS: dict[str, Callable[[Endpoint], Look]] = {HTTP: _http, HTTPS: _http, TLS: _tls, TCP: _tcp}
