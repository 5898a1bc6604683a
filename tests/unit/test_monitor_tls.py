"""The monitor's checks by TLS, against servers of our own with certificates of our own.

The certificates were made for these tests: an authority (until 2120), one for localhost, 127.0.0.1 and ::1 (until
2119), and one for the same that ended with 2020. Their keys are no secret.
"""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from stayon import ConfigError
from stayon.services.monitor.net import Net
from stayon.services.monitor.probes import probe_of
from stayon.services.monitor.settings import Endpoint
from stayon.services.monitor.states import DEGRADED, DOWN, UP

AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBdzCCAR6gAwIBAgIUMa3QDs36+EhhvSnLnM4dfAShhvcwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOc3RheW9uIHRlc3QgQ0EwIBcNMjAwMTAxMDAwMDAwWhgPMjEy
MDAxMDEwMDAwMDBaMBkxFzAVBgNVBAMMDnN0YXlvbiB0ZXN0IENBMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEUmmycFRhsspeGYt0c+OgRSyVarVTiKHyjjJK55+z
S4vBKTsY27w5SUNczhSVi9ZqgPz9FgVt7NhwuN9yMzfh16NCMEAwDwYDVR0TAQH/
BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFKkC/2bDrXDzUlwL3NlR
uoYY5u31MAoGCCqGSM49BAMCA0cAMEQCIAmwAM7CGVt4ljdfmcpThv+Gp0j+g4QA
uMQYQskfY3vyAiBp88tGDw7QQzU951Ek1uxFGbbxqXu5jrFOl7UpmMoy4Q==
-----END CERTIFICATE-----
"""

GOOD = """\
-----BEGIN CERTIFICATE-----
MIIB0DCCAXagAwIBAgIURgzEQay9/VHe8zRoWNsQU4jhnPEwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOc3RheW9uIHRlc3QgQ0EwIBcNMjAwMTAxMDAwMDAwWhgPMjEx
OTAxMDEwMDAwMDBaMBQxEjAQBgNVBAMMCWxvY2FsaG9zdDBZMBMGByqGSM49AgEG
CCqGSM49AwEHA0IABMzNWVxDbd+xLm7kvTZ5dPc24WkQo3M7ilhHjc6Br765HVPD
qnz+FAs9CrjJ+9FegflQIUfbze4CopQrcZx60eajgZ4wgZswLAYDVR0RBCUwI4cE
fwAAAYcQAAAAAAAAAAAAAAAAAAAAAYIJbG9jYWxob3N0MAkGA1UdEwQCMAAwCwYD
VR0PBAQDAgeAMBMGA1UdJQQMMAoGCCsGAQUFBwMBMB0GA1UdDgQWBBTErE5lZeEE
UIphfpHRLTsQMPBnFjAfBgNVHSMEGDAWgBSpAv9mw61w81JcC9zZUbqGGObt9TAK
BggqhkjOPQQDAgNIADBFAiAFuZrVtKeRUKVVrxtaOCObEywGVOPVA7S26n9M7v2d
cwIhAJM+L6yvivuJaolnGlXSaOSCXIceQJJSiihVhcSxOgl3
-----END CERTIFICATE-----
"""

EXPIRED = """\
-----BEGIN CERTIFICATE-----
MIIBzjCCAXSgAwIBAgIUe/Xx5iEsVKWe2qy8A2L05/ZodPIwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOc3RheW9uIHRlc3QgQ0EwHhcNMjAwMTAxMDAwMDAwWhcNMjEw
MTAxMDAwMDAwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggq
hkjOPQMBBwNCAATMzVlcQ23fsS5u5L02eXT3NuFpEKNzO4pYR43Oga++uR1Tw6p8
/hQLPQq4yfvRXoH5UCFH283uAqKUK3GcetHmo4GeMIGbMCwGA1UdEQQlMCOHBH8A
AAGHEAAAAAAAAAAAAAAAAAAAAAGCCWxvY2FsaG9zdDAJBgNVHRMEAjAAMAsGA1Ud
DwQEAwIHgDATBgNVHSUEDDAKBggrBgEFBQcDATAdBgNVHQ4EFgQUxKxOZWXhBFCK
YX6R0S07EDDwZxYwHwYDVR0jBBgwFoAUqQL/ZsOtcPNSXAvc2VG6hhjm7fUwCgYI
KoZIzj0EAwIDSAAwRQIgN+y7cFIpbOROK9ThwI1T46PtUWqw00aI7zlZhsQu9gcC
IQDCDFJo1kQjYvIvct5K9hWI71WN6qlzAfhRuEOuBSL/rA==
-----END CERTIFICATE-----
"""

KEY = """\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIHeirxdaN8NF+Vm1vUI+NePICW0Mgs/zXThTTFaBPrFqoAoGCCqGSM49
AwEHoUQDQgAEzM1ZXENt37EubuS9Nnl09zbhaRCjczuKWEeNzoGvvrkdU8OqfP4U
Cz0KuMn70V6B+VAhR9vN7gKilCtxnHrR5g==
-----END EC PRIVATE KEY-----
"""

GOOD_UNTIL = ssl.cert_time_to_seconds("Jan  1 00:00:00 2119 GMT")


class Answer(http.server.BaseHTTPRequestHandler):
    """Says hello."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """Clients that don't trust it leave in the middle of the handshake, which is what they are here for."""

    def handle_error(self, *_: object) -> None:
        pass


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    path.write_text(AUTHORITY)
    return str(path)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """``serve(certificate)`` starts a server on 127.0.0.1 and gives its port."""
    servers: list[tuple[Server, threading.Thread]] = []

    def begin(certificate: str) -> int:
        (tmp_path / "server.pem").write_text(certificate + KEY)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem")
        server = Server(("127.0.0.1", 0), Answer)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return server.server_port

    yield begin
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_certificate_that_is_trusted_is_up(serve, ca_file) -> None:
    """By https and by tls, with our own authority; the finding says until when it is good."""
    port = serve(GOOD)
    for scheme in ("https", "tls"):
        found = probe_of(Endpoint(f"{scheme}://127.0.0.1:{port}", ca_file=ca_file))(Net())
        assert (found.state, found.why, found.expires_at) == (UP, "", GOOD_UNTIL)


def test_a_certificate_that_expires_soon_is_degraded(serve, ca_file) -> None:
    """Soon is what ``expires_within`` says."""
    soon = timedelta(seconds=GOOD_UNTIL - time.time()) + timedelta(days=1)
    endpoint = Endpoint(f"tls://127.0.0.1:{serve(GOOD)}", ca_file=ca_file, expires_within=soon)
    found = probe_of(endpoint)(Net())

    assert found.state == DEGRADED
    assert "certificate expires in" in found.why


def test_a_certificate_that_has_expired_is_down(serve, ca_file) -> None:
    """And the reason is said in words."""
    found = probe_of(Endpoint(f"https://127.0.0.1:{serve(EXPIRED)}/", ca_file=ca_file))(Net())

    assert found.state == DOWN
    assert "certificate has expired" in found.why


def test_a_certificate_of_an_unknown_authority_is_down_unless_nobody_looks(serve) -> None:
    """Verifying is on by default; with ``verify = false`` it is up, and nothing is said of the certificate's end."""
    url = f"https://127.0.0.1:{serve(GOOD)}/"
    strict, blind = probe_of(Endpoint(url))(Net()), probe_of(Endpoint(url, verify=False))(Net())

    assert strict.state == DOWN
    assert "not trusted" in strict.why
    assert (blind.state, blind.status, blind.expires_at) == (UP, 200, None)


def test_a_certificate_for_another_name_is_down(serve, ca_file) -> None:
    """127.0.0.2 is ours as well, but not what the certificate is for."""
    port = serve(GOOD)
    found = probe_of(Endpoint(f"tls://127.0.0.2:{port}", ca_file=ca_file))(Net())

    assert found.state == DOWN


def test_a_server_that_does_not_speak_tls_is_down(ca_file) -> None:
    """A plain HTTP server behind https:// is a broken handshake, not an exception."""
    server = Server(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        found = probe_of(Endpoint(f"https://127.0.0.1:{server.server_port}/", ca_file=ca_file))(Net())
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert found.state == DOWN
    assert found.why


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_ca_file_that_cannot_be_used_is_told_before_the_first_check(tmp_path, content) -> None:
    """Missing, empty or garbage: one error that names the file."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"ca\.pem") as caught:
        probe_of(Endpoint("https://127.0.0.1/", ca_file=str(path)))

    assert caught.value.code == "monitor.ca-file"
