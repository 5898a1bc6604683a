"""One HTTP request and its answer, bounded in time and size; never by a proxy, since the endpoint itself is meant."""

from __future__ import annotations

import http.client
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from stayon.services.monitor.net import Place
from stayon.services.monitor.settings import DEFAULT_PORTS, HTTP, HTTPS, check_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ssl import SSLContext

    from stayon.services.monitor.net import Deadline, Net

BODY_LIMIT = 1024 * 1024
REDIRECTS = 5


class BadAnswerError(OSError):
    """What came is no answer by the rules of HTTP."""


class Request(NamedTuple):
    """What to ask for; a *body* makes it a POST. *trust* gives what https needs."""

    url: str
    headers: Mapping[str, str]
    trust: Callable[[], SSLContext]
    body: bytes | None = None
    follow: bool = False


class Answer(NamedTuple):
    """What came: at most ``BODY_LIMIT`` of the body, and the certificate it came with (empty without TLS)."""

    status: int
    text: str
    certificate: Mapping[str, object]


def exchange(request: Request, net: Net, deadline: Deadline) -> Answer:
    """Send *request*, read the answer. Raises ``OSError`` (late, refused, untrusted, bad) or ``StoppedError``."""
    url = request.url
    for _ in range(1 + REDIRECTS):
        try:
            answer, target = _once(url, request, net, deadline)
        except http.client.HTTPException as error:
            raise BadAnswerError(f"{type(error).__name__}: {error}") from error
        if not (request.follow and target):
            return answer
        try:
            url = urljoin(url, target)
            check_url(url, "a redirect", (HTTP, HTTPS))
        except ValueError as error:
            raise BadAnswerError(str(error)) from None
    raise BadAnswerError(f"more than {REDIRECTS} redirects")


def _once(url: str, request: Request, net: Net, deadline: Deadline) -> tuple[Answer, str]:
    """The answer, and where it redirects to, or nothing."""
    parts = urlsplit(url)
    context = request.trust() if parts.scheme == HTTPS else None
    place = Place(parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme], context)
    with net.connected(place, deadline) as wire:
        wire.send(_head(url, request) + (request.body or b""))
        deadline.doing = "waiting for the answer"
        response = http.client.HTTPResponse(wire, method=_method(request))  # type: ignore[arg-type]  # only makefile is used
        with response:
            response.begin()
            deadline.doing = "reading the answer"
            answer = Answer(response.status, _text(response), wire.certificate)
            redirects = response.status in (301, 302, 303, 307, 308)
            return answer, response.headers.get("Location", "") if redirects else ""


def _method(request: Request) -> str:
    return "GET" if request.body is None else "POST"


def _head(url: str, request: Request) -> bytes:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {
        "Host": parts.netloc,
        "User-Agent": "stayon-monitor",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **request.headers,
    }
    if request.body is not None:
        headers["Content-Length"] = str(len(request.body))
    lines = [f"{_method(request)} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _text(response: http.client.HTTPResponse) -> str:
    body = response.read(BODY_LIMIT)
    if response.length and len(body) < BODY_LIMIT:
        raise BadAnswerError(f"the answer was cut short: {response.length} bytes are missing")
    try:
        return body.decode(response.headers.get_content_charset() or "utf-8", "replace")
    except (LookupError, ValueError):  # a charset that nobody has heard of, or that is none for texts
        return body.decode("utf-8", "replace")
