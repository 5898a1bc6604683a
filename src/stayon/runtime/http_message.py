"""As much of HTTP/1.1 (RFC 9112) as probes need: a request's first line in, one answer out, and the connection ends."""

from __future__ import annotations

from stayon.core.record import Record

REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"

_TOKEN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


class HttpRequest(Record):
    """What was asked for. *error* is 0, or the status code with which to refuse it unread."""

    method: str = ""
    path: str = ""
    query: str = ""
    error: int = 0


def parse_request(head: bytes, limit: int) -> HttpRequest | None:
    """The request that *head* begins with, or None while its header fields have not all come.

    Header fields are not looked at. More than *limit* bytes without an end is error 431; bytes that cannot become a
    request are error 400 at once, so that nobody waits for the rest of a TLS handshake.
    """
    if head and not 0x41 <= head[0] <= 0x5A:
        return HttpRequest(error=400)
    end = _end_of_head(head)
    if end > limit or (end < 0 and len(head) > limit):
        return HttpRequest(error=431)
    return _first_line(head[: head.index(b"\n")]) if end >= 0 else None


def is_alone(head: bytes) -> bool:
    """Whether nothing follows the header fields in *head*: no body, no further request."""
    return _end_of_head(head) == len(head)


def _end_of_head(head: bytes) -> int:
    """How many bytes the head has with the empty line that ends it, -1 without one. Bare line feeds will do."""
    ends = [at + len(mark) for mark in (b"\n\r\n", b"\n\n") if (at := head.find(mark)) >= 0]
    return min(ends, default=-1)


def _first_line(line: bytes) -> HttpRequest:
    try:
        method, target, version = line.decode("ascii").rstrip("\r").split(" ")
    except ValueError:  # also what cannot be decoded
        return HttpRequest(error=400)
    if version not in ("HTTP/1.1", "HTTP/1.0") or not method or not _TOKEN.issuperset(method):
        return HttpRequest(error=400)
    if target.startswith("http://"):  # the absolute form, which a server must take (RFC 9112, 3.2.2)
        target = "/" + target[7:].partition("/")[2]
    path, _, query = target.partition("?")
    return HttpRequest(method, path, query)


def response(code: int, content_type: str, body: bytes, *, with_body: bool = True) -> bytes:
    """An answer whole; without its body for HEAD. The reader is told that the connection ends with it."""
    allow = "Allow: GET, HEAD\r\n" if code == 405 else ""
    head = (
        f"HTTP/1.1 {code} {REASONS[code]}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{allow}Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + (body if with_body else b"")


def plain_response(code: int, *, with_body: bool = True) -> bytes:
    """An answer that says no more than its reason."""
    return response(code, TEXT, f"{code} {REASONS[code]}\n".encode(), with_body=with_body)
