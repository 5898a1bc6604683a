"""The bill of materials of a kit."""

from __future__ import annotations

from email.parser import BytesHeaderParser
from hashlib import sha256

from stayon.build import resources, sbom
from stayon.build.kit import Kit
from stayon.build.sbom import Component


def of(kit: Kit, digest: str) -> bytes:
    """The document for the program that was made of *kit*, whose SHA-256 is *digest*."""
    recipe, runtime = kit.recipe, kit.runtime
    program = Component(
        recipe.name, kit.version, f"pkg:generic/{recipe.name}@{kit.version}", digest=digest, kind="application",
        supplier=recipe.publisher, description=kit.declared.description,
    )  # fmt: skip
    version = ".".join(map(str, runtime.version))
    parts = [
        Component("python", version, f"pkg:generic/python@{version}", "PSF-2.0", kind="framework",
                  cpe=f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*"),
        Component("stayon", recipe.stayon, f"pkg:pypi/stayon@{recipe.stayon}", "MIT"),
    ]  # fmt: skip
    licences, records = _licences(kit), _records(kit)
    for name, told in kit.frozen.versions.items():
        normal = sbom.normal(name)
        parts.append(Component(
            name, told, f"pkg:pypi/{normal}@{told}", licences.get(normal, ""), records=records.get(normal, ""),
        ))  # fmt: skip
    for name, _ in kit.chosen.files:
        content = runtime.content(name)
        parts.append(Component(
            name, resources.version_of(content), "", digest=sha256(content).hexdigest(), kind="file",
        ))  # fmt: skip
    return sbom.document(program, parts)


def _of_distributions(kit: Kit, file: str) -> dict[str, bytes]:
    """The *file* of each distribution's metadata, by its normal name."""
    found = {}
    for place, path in kit.own.items():
        folder, _, name = place.partition("/")
        if name == file and folder.endswith(".dist-info"):
            with open(path, "rb") as opened:
                found[sbom.normal(folder.removesuffix(".dist-info").rpartition("-")[0])] = opened.read()
    return found


def _records(kit: Kit) -> dict[str, str]:
    """SHA-256 of the list that each distribution has of its files and their hashes."""
    return {name: sha256(content).hexdigest() for name, content in _of_distributions(kit, "RECORD").items()}


def _licences(kit: Kit) -> dict[str, str]:
    """(https://packaging.python.org/specifications/core-metadata/#license-expression, and what was before it)"""
    found = {}
    for name, content in _of_distributions(kit, "METADATA").items():
        told = BytesHeaderParser().parsebytes(content)
        classified = [
            line.rpartition(" :: ")[2] for line in told.get_all("Classifier", []) if line.startswith("License ::")
        ]
        found[name] = str(told["License-Expression"] or told["License"] or "; ".join(classified)).strip()
    return found
