"""What ``monitor.toml`` may say, and how it is told what it may not."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import fields
from datetime import timedelta

import pytest

from stayon import Secret
from stayon.services.monitor import settings
from stayon.services.monitor.settings import Alerts, Endpoint, Keeping, Settings

URL = "http://127.0.0.1/"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://example.org", "http"),
        ("https://[::1]:8443/a?b=c#d", "https"),
        ("tcp://db.internal:5432", "tcp"),
        ("tls://mail.example.org:993", "tls"),
        ("tls://mail.example.org", "tls"),
    ],
)
def test_the_url_says_how_to_watch(url, kind) -> None:
    """The scheme is the kind; a port may be left out where there is a usual one."""
    assert Endpoint(url).kind == kind


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"url": "ftp://example.org"}, "http:// or https:// or tls:// or tcp://"),
        ({"url": "example.org"}, "must begin with"),
        ({"url": "http:///path"}, "names no host"),
        ({"url": "http://host:0/"}, "port 0"),
        ({"url": "http://host:99999/"}, "no URL"),
        ({"url": "http://[::1/"}, "no URL"),
        ({"url": "http://me:secret@host/"}, "password"),
        ({"url": "http://host/a b"}, "percent-encoded"),
        ({"url": "http://host/\r\nX: y"}, "percent-encoded"),
        ({"url": "http://bücher.example/"}, "percent-encoded"),
        ({"url": "tcp://host"}, "tcp://host:PORT"),
        ({"url": "tcp://host:1/path"}, "no path"),
        ({"url": "tcp://host:1", "contains": "x"}, "contains is for http and https, not for tcp"),
        ({"url": "tcp://host:1", "status": (200,)}, "status is for"),
        ({"url": "tls://host:1", "verify": False}, "verify is for https"),
        ({"url": URL, "ca_file": "/ca.pem"}, "ca_file is for https and tls"),
        ({"url": URL, "expires_within": timedelta(days=1)}, "expires_within is for"),
        ({"url": URL, "every": timedelta()}, "every"),
        ({"url": URL, "timeout": timedelta(seconds=-1)}, "timeout"),
        ({"url": URL, "slow": timedelta(seconds=10)}, "slow must be shorter than timeout"),
        ({"url": URL, "fall": 0}, "rise and fall"),
        ({"url": URL, "status": (99,)}, "100 to 599"),
        ({"url": "https://host", "ca_file": "ca.pem"}, "absolute"),
        ({"url": "https://host", "ca_file": os.path.abspath("ca.pem"), "verify": False}, "no use"),
    ],
)
def test_a_senseless_endpoint_is_refused_with_the_reason(said, why) -> None:
    """What cannot mean anything is an error that names the option."""
    with pytest.raises(ValueError, match=re.escape(why)):
        Endpoint(**said)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"command": ("page",), "webhook": "https://host/"}, "exclude each other"),
        ({"command": ("",)}, "the program"),
        ({"command": ("page", "a\0b")}, "zero byte"),
        ({"webhook": "tcp://host:1"}, "webhook must begin with"),
        ({"token": Secret("x")}, "no use without webhook"),
        ({"webhook": "https://host/", "token": Secret("x\r\nEvil: y")}, "header"),
        ({"timeout": timedelta(minutes=1)}, "15s"),
        ({"at_most_every": timedelta(seconds=-1)}, "negative"),
    ],
)
def test_senseless_alerts_are_refused_with_the_reason(said, why) -> None:
    """As for endpoints; and no message shows the token."""
    with pytest.raises(ValueError, match=why) as caught:
        Alerts(**said)

    assert "Evil" not in str(caught.value)


def test_alerts_are_off_until_somebody_is_to_be_told() -> None:
    """Without command and webhook nothing is sent, and the object says so."""
    assert not Alerts()
    assert Alerts(command=("page",))


@pytest.mark.parametrize("said", [{"age": timedelta()}, {"results": 0}])
def test_a_history_without_room_is_refused(said) -> None:
    """Keeping nothing is not a history."""
    with pytest.raises(ValueError, match=next(iter(said))):
        Keeping(**said)


@pytest.mark.parametrize("name", ["", "-a", "a b", "ä", "x" * 65, "a/b", 'a"b'])
def test_an_endpoint_needs_a_name_that_a_job_can_have(name) -> None:
    """Names become jobs and metric labels, so a bad one is refused with the file, not later."""
    with pytest.raises(ValueError, match="needs a name"):
        Settings({name: Endpoint(URL)})


def test_every_option_of_a_kind_is_an_option() -> None:
    """The table of kinds names fields that exist."""
    assert set(settings._OPTIONS) <= {field.name for field in fields(Endpoint)}  # noqa: SLF001  # it is the table we hold


def test_the_example_says_everything_that_can_be_said(example_file) -> None:
    """``examples/monitor.toml`` is the reference: each option of an endpoint, of alerts and of the history is in it."""
    text = example_file.read_text("utf-8")
    for kind in (Endpoint, Alerts, Keeping):
        missing = [field.name for field in fields(kind) if f"{field.name} = " not in text]
        assert not missing
    assert tomllib.loads(text)["endpoints"]


@pytest.fixture
def example_file(request):
    return request.config.rootpath / "examples" / "monitor.toml"
