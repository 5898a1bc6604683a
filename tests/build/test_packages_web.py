"""Distributions that speak HTTP, inside a program that is one file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.build.package_programs import told

pytestmark = [pytest.mark.linux, pytest.mark.needs_root, pytest.mark.slow, pytest.mark.timeout(400)]

REQUESTS = """
import importlib.metadata
import importlib.resources
import pkgutil
import ssl
import threading
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer

import certifi
import requests


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"42")

    def log_message(self, *_):
        pass


def told():
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        requests.get("nope://x")
    except requests.RequestException:
        stack = traceback.format_exc()
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return {
        "text": requests.get(f"http://localhost:{server.server_port}/").text,
        "version": importlib.metadata.version("requests") == requests.__version__,
        "distributions": sorted(found.name for found in importlib.metadata.distributions()),
        "certificates": context.cert_store_stats()["x509_ca"] > 50,
        "resource": importlib.resources.files("certifi").joinpath("cacert.pem").is_file(),
        "data": pkgutil.get_data("certifi", "cacert.pem") == open(certifi.where(), "rb").read(),
        "modules": {"api", "sessions"} <= {found.name for found in pkgutil.iter_modules(requests.__path__)},
        "source": 'raise InvalidSchema(f"No connection adapters' in stack,
    }
"""

HTTPX = """
import asyncio
import importlib.metadata
import json as _json

import httpx


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b'{"price": 3}'})


async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://shop") as client:
        return (await client.get("/price")).json()


def told():
    points = importlib.metadata.entry_points(group="console_scripts")
    return {
        "answer": asyncio.run(ask()),
        "verifies": type(httpx.Client()._transport).__name__,
        "entry": next(point.value for point in points if point.name == "httpx"),
    }
"""


def test_requests(tmp_path: Path) -> None:
    """A server is asked by name; certificates are data, found in each way; metadata, modules, lines of tracebacks."""
    found = told(tmp_path, "requests", REQUESTS)
    assert found.pop("text") == "42"
    assert set(found.pop("distributions")) >= {"certifi", "idna", "requests", "urllib3"}
    assert all(found.values()), found


def test_httpx(tmp_path: Path) -> None:
    """It works with asyncio, which only it imports; TLS is there; entry points are kept."""
    assert told(tmp_path, "httpx", HTTPX) == {
        "answer": {"price": 3}, "verifies": "HTTPTransport", "entry": "httpx:main",
    }  # fmt: skip
