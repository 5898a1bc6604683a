"""What the demo's monitor watches: real servers on free ports of this computer, and the file that names them."""

from __future__ import annotations

import http.server
import json
import re
import socket
import threading
import time
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit


class Website(http.server.ThreadingHTTPServer):
    """A website on a free port: answers after *pause_s* with *status*, and keeps the alerts that are posted to it."""

    daemon_threads = True

    def __init__(self, pause_s: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), Visit)
        self.pause_s, self.status = pause_s, 200
        self.alerts: SimpleQueue[dict[str, Any]] = SimpleQueue()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, *_: object) -> None:
        """A monitor that stops leaves in the middle of a request: no news."""


class Visit(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Website

    def do_GET(self) -> None:
        time.sleep(self.server.pause_s)
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(b"hello from the demo")

    def do_POST(self) -> None:
        self.server.alerts.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the monitor's log is what is to be seen."""


class Neighbourhood:
    """All servers of the demo."""

    def __init__(self) -> None:
        self.shop, self.archive, self.flaky, self.newcomer = Website(), Website(0.25), Website(), Website()
        self.pager = Website()
        self.database = socket.create_server(("127.0.0.1", 0))

    @property
    def database_url(self) -> str:
        return f"tcp://127.0.0.1:{self.database.getsockname()[1]}"

    def close(self) -> None:
        for website in (self.shop, self.archive, self.flaky, self.newcomer, self.pager):
            website.shutdown()
            website.server_close()
        self.database.close()


def table(name: str, url: str, *lines: str) -> str:
    """One endpoint of monitor.toml."""
    return "\n".join([f"[endpoints.{json.dumps(name)}]", f"url = {json.dumps(url)}", *lines, "", ""])


def configuration(near: Neighbourhood, urls: list[str]) -> str:
    """A monitor.toml for the servers, and for the *urls* that were given."""
    often = ('every = "400ms"', 'timeout = "2s"')
    return "".join(
        [
            table("shop", near.shop.url, *often, 'contains = "hello"', 'slow = "100ms"'),
            table("archive", near.archive.url, *often, 'slow = "100ms"'),
            table("flaky", near.flaky.url, *often),
            table("database", near.database_url, *often),
            *(table(name_of(url), url, 'every = "3s"', *given_options(url)) for url in urls),
            f'[alerts]\nwebhook = "{near.pager.url}"\nat_most_every = "1m"\n\n',
            '[stayon]\nprobes.listen = "127.0.0.1:0"\n',
        ]
    )


def given_options(url: str) -> tuple[str, ...]:
    """How an endpoint that was given as a URL is watched; a browser would follow a redirect, too."""
    return ("follow = true", 'slow = "2s"') if url.startswith("http") else ()


def name_of(url: str) -> str:
    """A name for an endpoint that was given as a URL."""
    parts = urlsplit(url)
    return re.sub(r"[^A-Za-z0-9.-]+", "-", f"{parts.netloc}{parts.path}").strip("-.")[:40] or "given"
