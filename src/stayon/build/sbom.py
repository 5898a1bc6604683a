"""What is in a program, for those who have to know: a bill of materials (https://cyclonedx.org/docs/1.6/json/)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

FORMAT, FORMAT_VERSION = "CycloneDX", "1.6"


@dataclass(frozen=True)
class Component:
    """A part: what package indexes call it (*purl*), its licence as an SPDX expression or in its own words, the SHA-256
    of its file, that of the list of its files (*records*); "" for what isn't known.
    """

    name: str
    version: str
    purl: str
    licence: str = ""
    digest: str = ""
    kind: str = "library"
    cpe: str = ""
    supplier: str = ""
    description: str = ""
    records: str = ""

    @property
    def reference(self) -> str:
        """What it is called in the document."""
        return self.purl or f"file:{self.name}"

    def entry(self) -> dict[str, object]:
        """It, as the format has it."""
        found: dict[str, object] = {
            "type": self.kind, "bom-ref": self.reference, "name": self.name, "version": self.version,
            "description": self.description, "cpe": self.cpe, "purl": self.purl,
            "supplier": {"name": self.supplier} if self.supplier else {},
            "hashes": [{"alg": "SHA-256", "content": self.digest}] if self.digest else [],
            "licenses": _licences(self.licence),
            "properties": [{"name": "stayon:record-sha256", "value": self.records}] if self.records else [],
        }  # fmt: skip
        return {name: value for name, value in found.items() if value}


def _licences(text: str) -> list[dict[str, object]]:
    """An SPDX expression has neither commas nor line breaks, and its words look like it; other texts are names."""
    words = text.replace("(", " ").replace(")", " ").split()
    if not words:
        return []
    if all(word in ("AND", "OR", "WITH") or word in _SPDX_WITHOUT_DASH or _SPDX.fullmatch(word) for word in words):
        return [{"expression": text}]
    return [{"license": {"name": " ".join(words)[:200]}}]


def normal(name: str) -> str:
    """A distribution's *name* as indexes compare it (https://packaging.python.org/specifications/name-normalization/)."""
    return re.sub(r"[-_.]+", "-", name).lower()


_SPDX = re.compile(r"[A-Za-z0-9.]+(-[A-Za-z0-9.+]+)+")
_SPDX_WITHOUT_DASH = {"MIT", "ISC", "Zlib", "0BSD", "Unlicense", "OpenSSL", "curl", "X11", "blessing"}


def document(program: Component, parts: Iterable[Component]) -> bytes:
    """The bill of *program*, made of *parts*: the same for the same, whenever it is made. (With SOURCE_DATE_EPOCH set
    it has that time.)
    """
    entries = [part.entry() for part in sorted(parts, key=lambda part: part.reference)]
    metadata: dict[str, object] = {
        "tools": {"components": [{"type": "application", "name": "stayon", "version": _own_version(entries)}]},
        "component": program.entry(),
    }
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch.isdigit():
        metadata["timestamp"] = datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    bill = {
        "bomFormat": FORMAT,
        "specVersion": FORMAT_VERSION,
        "version": 1,
        "metadata": metadata,
        "components": entries,
        "dependencies": [
            {"ref": program.reference, "dependsOn": [entry["bom-ref"] for entry in entries]},
            *({"ref": entry["bom-ref"]} for entry in entries),
        ],
    }
    serial = UUID(bytes=sha256(json.dumps(bill, sort_keys=True).encode()).digest()[:16], version=5)
    head = {"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "serialNumber": f"urn:uuid:{serial}"}
    return json.dumps({**head, **bill}, indent=2, ensure_ascii=False).encode() + b"\n"


def _own_version(entries: list[dict[str, object]]) -> str:
    return next((str(entry["version"]) for entry in entries if entry["name"] == "stayon"), "")
