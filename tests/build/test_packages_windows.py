"""Distributions inside a program that is one file, built here and run on Windows, as far as Wine has what they ask."""

from __future__ import annotations

import pytest

from tests.build.package_programs import told_windows
from tests.build.test_packages_databases import SQLALCHEMY
from tests.build.test_packages_native import CRYPTOGRAPHY, NUMPY, YAML
from tests.build.test_packages_web import HTTPX, REQUESTS
from tests.windows.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_requests(lab: Lab) -> None:
    """A server is asked by name; certificates, data, metadata, modules, and lines of tracebacks."""
    found = told_windows(lab, "requests", REQUESTS)
    assert found.pop("text") == "42"
    assert set(found.pop("distributions")) >= {"certifi", "idna", "requests", "urllib3"}
    assert all(found.values()), found


def test_httpx(lab: Lab) -> None:
    """asyncio has Windows' event loop."""
    assert told_windows(lab, "httpx", HTTPX)["answer"] == {"price": 3}


def test_yaml(lab: Lab) -> None:
    """An extension of a distribution is loaded from the program's set."""
    assert told_windows(lab, "PyYAML", YAML)["fast"] is True


@pytest.mark.windows
def test_numpy(lab: Lab) -> None:
    """Its own DLLs are found, though nothing beside the executable is looked at. (Wine's C library lacks crealf.)"""
    assert told_windows(lab, "numpy", NUMPY)["solved"] == pytest.approx([0.8, 1.4])


@pytest.mark.windows
def test_cryptography(lab: Lab) -> None:
    """Keys and certificates. (Wine has no bcryptprimitives.dll.)"""
    assert told_windows(lab, "cryptography", CRYPTOGRAPHY) == {"text": "42", "serial": 7, "name": "CN=collector"}


def test_psutil(lab: Lab) -> None:
    """Its native half asks for python3.dll, which Python itself never loads: it is in the interpreter's set."""
    body = "import os\nimport psutil\n\n\ndef told():\n    return psutil.Process().pid == os.getpid()\n"
    assert told_windows(lab, "psutil", body) is True


@pytest.mark.windows
def test_sqlalchemy(lab: Lab) -> None:
    """An engine on the interpreter's own SQLite. (It asks WMI for the processor, which ends a program under Wine.)"""
    body = SQLALCHEMY.replace("postgresql+psycopg://localhost:1/x", "sqlite://")
    assert told_windows(lab, "SQLAlchemy", body)["amounts"] == [1.5, 3.5]
