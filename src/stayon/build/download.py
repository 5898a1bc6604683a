"""Files from the network: by address, or from the package index that this computer uses; never one of unknown hash."""

from __future__ import annotations

import base64
import json
import os
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from hashlib import sha256

from stayon.errors import ConfigError, UnavailableError

TIMEOUT_S = 60
PYPI = "https://pypi.org/simple"
_CHUNK_BYTES = 1 << 18
_PAGE = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
_LINK = re.compile(r"""<a\s[^>]*href=["']([^"']+)["']""", re.IGNORECASE)

Progress = Callable[[int, int], object]


def unheard(_done: int, _size: int) -> None:
    """Nobody wants to know how far it is."""


def checked(content: bytes, digest: str, what: str) -> bytes:
    """*content*, if its SHA-256 is *digest*. Raises ``ConfigError``."""
    found = sha256(content).hexdigest()
    if found == digest:
        return content
    raise ConfigError(
        "this is not the file that was expected", where=what, why=f"its SHA-256 is {found}, not {digest}",
        hint="Nothing of it was used. Get it anew, or correct the hash.", code="build.runtime-hash",
    )  # fmt: skip


def fetched(address: str, digest: str, progress: Progress = unheard) -> bytes:
    """The file at *address*, whose SHA-256 is *digest*. Blocks; *progress* is told bytes done, and all (0: not known).

    Raises ``UnavailableError``, and ``ConfigError`` for another file.
    """
    return checked(got(address, progress=progress), digest, _shown(address))


def from_index(project: str, file: str, digest: str, progress: Progress = unheard) -> bytes:
    """The *file* of *project* from the package index that pip and uv use here. As ``fetched``."""
    page = f"{_index().rstrip('/')}/{project}/"
    for address in _links(page, got(page, _PAGE).decode("utf-8", "replace")):
        path = urllib.parse.urlsplit(address).path
        if urllib.parse.unquote(path.rpartition("/")[2]) == file:
            return fetched(_with_rights_of(page, urllib.parse.urldefrag(address).url), digest, progress)
    raise UnavailableError(
        f"the package index has no {file}", where=_shown(page), hint="Name a runtime: --runtime PATH.",
        code="build.no-runtime",
    )  # fmt: skip


def _links(page: str, text: str) -> list[str]:
    """(https://packaging.python.org/specifications/simple-repository-api/, in both forms)"""
    try:
        found = [file["url"] for file in json.loads(text)["files"]]
    except (ValueError, KeyError, TypeError):
        found = [link.replace("&amp;", "&") for link in _LINK.findall(text)]
    return [urllib.parse.urljoin(page, link) for link in found]


def _index() -> str:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if os.environ.get(name):
            return (
                os.environ[name].partition("=")[2] if "=" in os.environ[name].partition("://")[0] else os.environ[name]
            )
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return PYPI
    return asked.stdout.strip() or PYPI


def got(address: str, accept: str = "*/*", progress: Progress = unheard) -> bytes:
    """What is at *address*, whatever it is: for texts, and for what is checked afterwards. As ``fetched``."""
    plain, rights = _without_rights(address)
    request = urllib.request.Request(plain, headers={"Accept": accept, "User-Agent": "stayon"})  # noqa: S310  # as the user says
    if rights:
        request.add_header("Authorization", "Basic " + base64.b64encode(rights.encode()).decode())
    certificates = os.environ.get("SSL_CERT_FILE") or os.environ.get("PIP_CERT")
    found = bytearray()
    try:
        context = ssl.create_default_context(cafile=certificates)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context) as answer:  # noqa: S310  # as above
            size = int(answer.headers.get("Content-Length") or 0)
            while chunk := answer.read(_CHUNK_BYTES):
                found += chunk
                progress(len(found), size)
    except (OSError, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is an open answer, too
        raise UnavailableError(
            "it cannot be fetched", where=_shown(address), why=str(error),
            hint="Check the network, or name a runtime that is here: --runtime PATH.", code="build.no-network",
        ) from error  # fmt: skip
    return bytes(found)


def _without_rights(address: str) -> tuple[str, str]:
    """*address* without the name and password in it, and those."""
    parts = urllib.parse.urlsplit(address)
    rights, at, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=host).geturl() if at else address, urllib.parse.unquote(rights)


def _with_rights_of(page: str, address: str) -> str:
    """Files of an index that asks for a password are kept by the same host, and ask for the same."""
    one, other = urllib.parse.urlsplit(page), urllib.parse.urlsplit(address)
    rights, at, host = one.netloc.rpartition("@")
    same = at and host == other.netloc and one.scheme == other.scheme
    return other._replace(netloc=f"{rights}@{host}").geturl() if same else address


def _shown(address: str) -> str:
    """*address* for people: without a password."""
    return _without_rights(address)[0]
