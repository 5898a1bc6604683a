"""The bill of materials: what it says, and that it says the same of the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stayon.build import sbom
from stayon.build.sbom import Component

PROGRAM = Component("collector", "1.2", "pkg:generic/collector@1.2", digest="ab" * 32, kind="application")
PARTS = (
    Component("PyYAML", "6.0.3", "pkg:pypi/pyyaml@6.0.3", "MIT", records="cd" * 32),
    Component("python", "3.13.2", "pkg:generic/python@3.13.2", "PSF-2.0", kind="framework", cpe="cpe:2.3:a:x"),
    Component("libssl-3.dll", "", "", digest="ef" * 32, kind="file"),
)


def test_it_lists_the_parts_with_what_identifies_them() -> None:
    """Each part is there with name, version, package address, licence and hash, as far as they are known."""
    told = json.loads(sbom.document(PROGRAM, PARTS))
    parts = {part["name"]: part for part in told["components"]}

    assert (told["bomFormat"], told["specVersion"], told["version"]) == ("CycloneDX", "1.6", 1)
    assert told["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert parts["PyYAML"]["purl"] == "pkg:pypi/pyyaml@6.0.3"
    assert parts["PyYAML"]["licenses"] == [{"expression": "MIT"}]
    assert parts["python"]["cpe"] == "cpe:2.3:a:x"
    assert parts["libssl-3.dll"]["hashes"] == [{"alg": "SHA-256", "content": "ef" * 32}]
    references = [part["bom-ref"] for part in told["components"]]
    assert len(set(references)) == len(references)
    assert told["dependencies"][0] == {"ref": "pkg:generic/collector@1.2", "dependsOn": references}


def test_it_is_the_same_for_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of parts makes no difference, and no time is in it unless one is given; other parts, other bill."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    first = sbom.document(PROGRAM, PARTS)
    assert sbom.document(PROGRAM, PARTS[::-1]) == first
    assert "timestamp" not in json.loads(first)["metadata"]
    other = json.loads(sbom.document(PROGRAM, PARTS[1:]))
    assert other["serialNumber"] != json.loads(first)["serialNumber"]

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert json.loads(sbom.document(PROGRAM, PARTS))["metadata"]["timestamp"] == "1970-01-02T00:00:00Z"


@pytest.mark.parametrize(
    "text", ["MIT", "Apache-2.0", "MIT OR Apache-2.0", "(BSD-3-Clause AND PSF-2.0) OR ISC", "GPL-3.0-or-later"]
)
def test_spdx_expressions_are_told_as_such(text: str) -> None:
    """What is an SPDX expression stays one."""
    entry = Component("a", "1", "pkg:a", text).entry()
    assert entry["licenses"] == [{"expression": text}]


@pytest.mark.parametrize("text", ["BSD", "MIT License", "Copyright (c) 2020\nAll rights reserved", "a" * 5000])
def test_other_licences_are_names(text: str) -> None:
    """What says a licence in other words is a name, on one line and not endless."""
    told: Any = Component("a", "1", "pkg:a", text).entry()["licenses"]
    name = told[0]["license"]["name"]

    assert name.startswith(text.split(maxsplit=1)[0][:200])
    assert len(name) <= 200
    assert "\n" not in name


def test_names_are_compared_as_indexes_do() -> None:
    """Dashes, dots and underscores are one, and so are capitals."""
    assert sbom.normal("Foo__Bar.baz") == "foo-bar-baz"
