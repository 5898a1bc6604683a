"""Distributions with native code, inside a program that is one file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.build.package_programs import told

pytestmark = [pytest.mark.linux, pytest.mark.needs_root, pytest.mark.slow, pytest.mark.timeout(400)]

NUMPY = """
import os
import pickle

import numpy


def told():
    matrix = numpy.array([[2.0, 1.0], [1.0, 3.0]])
    table = numpy.arange(6).reshape(2, 3)
    return {
        "solved": numpy.linalg.solve(matrix, numpy.array([3.0, 5.0])).tolist(),
        "kept": bool((pickle.loads(pickle.dumps(table)) == table).all()),
        "random": bool(numpy.random.default_rng(1).random() < 1),
        "fourier": bool(abs(numpy.fft.fft([1.0, 0.0])[0]) == 1),
        "where": os.path.isdir(os.path.dirname(numpy.__file__)),
        "times": str(numpy.datetime64("2026-01-31") + 1),
        "masked": int(numpy.ma.array([1, 2], mask=[False, True]).sum()),
        "tests": bool(numpy.testing.assert_allclose([1.0], [1.0]) is None),
    }
"""

PYDANTIC = """
from datetime import date
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field, ValidationError


class Price(BaseModel):
    \"\"\"What something costs.\"\"\"

    amount: Decimal = Field(gt=0)
    currency: Literal["EUR", "USD"] = "EUR"
    day: date
    host: IPv4Address
    key: UUID


GOOD = dict(amount="3.50", day="2026-01-31", host="127.0.0.1", key="12345678123456781234567812345678")


def told():
    try:
        Price(**GOOD | {"amount": -1})
    except ValidationError as error:
        wrong = error.errors()[0]["type"]
    price = Price.model_validate_json(Price(**GOOD).model_dump_json())
    return {"amount": str(price.amount), "wrong": wrong, "says": Price.model_json_schema()["description"]}
"""

CRYPTOGRAPHY = """
import datetime

from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def told():
    fernet = Fernet(Fernet.generate_key())
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "collector")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(7).not_valid_before(now).not_valid_after(now + datetime.timedelta(1))
    read = x509.load_pem_x509_certificate(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    text = fernet.decrypt(fernet.encrypt(b"42")).decode()
    return {"text": text, "serial": read.serial_number, "name": read.subject.rfc4514_string()}
"""

YAML = """
import yaml


def told():
    text = "prices:\\n  - {name: tea, amount: 3.5}\\n"
    return {"fast": yaml.__with_libyaml__, "read": yaml.load(text, yaml.CSafeLoader), "slow": yaml.safe_load(text)}
"""


def test_numpy(tmp_path: Path) -> None:
    """Its own native libraries are found, lazily imported halves and pickles work, and its directory is there."""
    found = told(tmp_path, "numpy", NUMPY)
    assert found.pop("solved") == pytest.approx([0.8, 1.4])
    assert (found.pop("times"), found.pop("masked")) == ("2026-02-01", 1)
    assert all(found.values()), found


def test_pydantic(tmp_path: Path) -> None:
    """Its native half finds all that it imports by itself; docstrings of the program's own classes are kept."""
    assert told(tmp_path, "pydantic", PYDANTIC) == {
        "amount": "3.50", "wrong": "greater_than", "says": "What something costs.",
    }  # fmt: skip


def test_cryptography(tmp_path: Path) -> None:
    """Keys, certificates and secrets: its native half calls back into Python."""
    assert told(tmp_path, "cryptography", CRYPTOGRAPHY) == {"text": "42", "serial": 7, "name": "CN=collector"}


def test_yaml(tmp_path: Path) -> None:
    """The parser in C is found as well as the one in Python."""
    prices = {"prices": [{"name": "tea", "amount": 3.5}]}
    assert told(tmp_path, "PyYAML", YAML) == {"fast": True, "read": prices, "slow": prices}
