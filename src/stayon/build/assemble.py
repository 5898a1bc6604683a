"""From a kit to files: one step after the other, and nothing left behind if one fails."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from stayon.build import abi, bill, cache, image, kit, pack, payload, resources, sign, trusted
from stayon.build.elf import FormatError
from stayon.build.kit import Kit, Tell
from stayon.build.output import Output
from stayon.build.payload import Module, PackedFile, Payload
from stayon.build.recipe import Recipe
from stayon.build.sign import Signer
from stayon.errors import ConfigError, UnavailableError

LAUNCHERS = os.path.join(os.path.dirname(__file__), "launchers")
BOOT = "stayon.platforms.onefile.entry"


@dataclass(frozen=True)
class Built:
    """What came of a build: the program, all *files*, its SHA-256, sizes in bytes by part, and what else is to be
    known of it.
    """

    path: str
    files: tuple[str, ...]
    digest: str
    size: int
    parts: Mapping[str, int]
    about: Mapping[str, object]
    warnings: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


def build(recipe: Recipe, signer: Signer | None, tell: Tell) -> Built:
    """Build what *recipe* says, signed by *signer*. Blocks. Raises ``StayonError``; then nothing is left behind."""
    launcher = b"" if recipe.layout == "trusted" else _launcher(recipe)
    with Output(recipe.output) as output:
        gathered = kit.gathered(recipe, tell)
        if launcher:
            built = _put(gathered, launcher, signer, (output, tell))
        else:
            digest, parts, unsigned = trusted.put(gathered, output, tell)
            names = (f"{recipe.name}/{recipe.name}{recipe.target.suffix}", recipe.name, f"{recipe.name}.cdx.json")
            warning = (f"nobody has signed {', '.join(unsigned)}",) if unsigned else ()
            built = Built(names[0], names, digest, sum(parts.values()), parts, _about(gathered, parts), warning)
        output.commit()
    tell("done", 1.0)
    return replace(
        built, path=os.path.join(recipe.output, built.path),
        files=tuple(os.path.join(recipe.output, name) for name in built.files),
        warnings=(*built.warnings, *gathered.warnings, *gathered.frozen.warnings), left_out=gathered.frozen.left_out,
    )  # fmt: skip


def _put(gathered: Kit, launcher: bytes, signer: Signer | None, to: tuple[Output, Tell]) -> Built:
    """Write the program, what belongs to it, and its bill of materials."""
    recipe, (output, tell) = gathered.recipe, to
    tell("packing", 0.0)
    sets = _sets(gathered, tell)
    modules = pack.with_packed(gathered.modules, gathered.frozen.cold)
    parts = _parts(gathered, modules, sets, launcher)
    about = _about(gathered, parts)
    carried = payload.written(Payload(
        gathered.runtime.minor, modules, sets, json.dumps(about, sort_keys=True).encode(),
        abi.numbers(gathered.runtime.minor, recipe.target.system), BOOT, gathered.runtime.library,
    ))  # fmt: skip
    tell("writing", 0.0)
    name, bill_name = recipe.name + recipe.target.suffix, f"{recipe.name}{recipe.target.suffix}.cdx.json"
    beside = f"{recipe.name}.pkg" if recipe.layout == "pair" else ""
    if beside:
        path = output.put(name, launcher, is_executable=True)
        output.put(beside, carried)
    else:
        path = output.put(name, image.with_payload(_branded(gathered, launcher), carried), is_executable=True)
    if signer is not None:
        tell("signing", 0.0)
        sign.sign(path, signer, gathered.declared.description or recipe.name)
    with open(path, "rb") as file:
        made = file.read()
    digest = sha256(made).hexdigest()
    output.put(bill_name, bill.of(gathered, digest))
    size = len(made) + (len(carried) if beside else 0)
    return Built(name, tuple(filter(None, (name, beside, bill_name))), digest, size, parts, about)


def _launcher(recipe: Recipe) -> bytes:
    path = os.path.join(LAUNCHERS, recipe.target.launcher)
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UnavailableError(
            f"the launcher for {recipe.target.name} is not there", where=path, why=error.strerror or str(error),
            hint="Install stayon anew.", code="build.no-launcher",
        ) from error  # fmt: skip


def _branded(gathered: Kit, launcher: bytes) -> bytes:
    """*launcher*; on Windows with the program's version and icon."""
    recipe = gathered.recipe
    if not recipe.target.is_windows:
        return launcher
    icon = b""
    try:
        if recipe.icon:
            with open(recipe.icon, "rb") as file:
                icon = file.read()
        return resources.branded(launcher, gathered.version, {
            "CompanyName": recipe.publisher, "FileDescription": gathered.declared.description or recipe.name,
            "FileVersion": gathered.version, "InternalName": recipe.name, "OriginalFilename": f"{recipe.name}.exe",
            "ProductName": gathered.declared.service or recipe.name, "ProductVersion": gathered.version,
        }, icon)  # fmt: skip
    except (OSError, FormatError) as error:
        raise ConfigError(
            "it cannot be the program's icon", where=recipe.icon, why=str(error), hint="Give an .ico file.",
            code="build.icon",
        ) from error  # fmt: skip


def _sets(gathered: Kit, tell: Tell) -> tuple[tuple[PackedFile, ...], ...]:
    """The interpreter's files, and those of the program if it has any; packed."""
    files = [(name, gathered.runtime.content(name), flags) for name, flags in gathered.chosen.files]
    machine, kept = gathered.recipe.target.machine, cache.directory("packed")
    found = [pack.packed(files, machine=machine, cache=kept, told=lambda share: tell("packing", share))]
    own, is_windows = [], gathered.recipe.target.is_windows
    for name, path in sorted(gathered.own.items()):
        with open(path, "rb") as file:
            own.append((name, file.read(), payload.EXECUTABLE if not is_windows and os.access(path, os.X_OK) else 0))
    if own:
        found.append(pack.packed(own, machine=machine, cache=kept, told=lambda share: tell("packing", share)))
    return tuple(found)


def _parts(
    gathered: Kit, modules: tuple[Module, ...], sets: tuple[tuple[PackedFile, ...], ...], launcher: bytes
) -> dict[str, int]:
    """Sizes in the file, by part."""
    parts = {"launcher": len(launcher)}

    def add(part: str, size: int) -> None:
        parts[part] = parts.get(part, 0) + size

    for file in sets[0]:
        add("Python" if file.name == gathered.runtime.library else "Python's extensions", len(file.packed))
    for file in sets[1] if len(sets) > 1 else ():
        add(f"{file.name.split('/')[0]} (files)", len(file.packed))
    # What is packed is not frozen any more, so each is asked as it came.
    came = {module.name: module.flags for module in gathered.frozen.modules}
    for module in modules:
        top, flags = module.name.partition(".")[0], came[module.name]
        if flags & payload.FROZEN or top == "stayon":
            add("stayon" if top == "stayon" else "Python's library", len(module.code))
        elif not flags & payload.NATIVE:
            add("the program" if flags & payload.BESIDE else top, len(module.code))
        if module.source:
            add("source, for tracebacks", len(module.source))
    return parts


def _about(gathered: Kit, parts: Mapping[str, int]) -> dict[str, object]:
    recipe, runtime = gathered.recipe, gathered.runtime
    return {
        "format": 1,
        "name": recipe.name,
        "version": gathered.version,
        "publisher": recipe.publisher,
        "description": gathered.declared.description,
        "service": gathered.declared.service,
        "target": recipe.target.name,
        "layout": recipe.layout,
        "python": ".".join(map(str, runtime.version)),
        "stayon": recipe.stayon,
        "module": gathered.module,
        "attribute": recipe.attribute,
        "entry": f"{gathered.module}:{recipe.attribute}",
        "libraries": {name: list(files) for name, files in gathered.chosen.libraries.items()},
        "extensions": sorted(module.name for module in gathered.modules if module.flags & payload.LIBRARY),
        "distributions": dict(gathered.frozen.versions),
        "data": sorted(place for _, place in recipe.data),
        "glibc": ".".join(map(str, gathered.chosen.glibc)),
        "source": "keep" if recipe.keeps_source else "strip",
        "left_out": dict(gathered.frozen.left_out),
        "sizes": dict(parts),
    }
