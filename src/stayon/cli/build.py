"""``build``: one file of a program, and ``verify``: whether such a file is as it should be."""

from __future__ import annotations

import os
import sys
import time

from stayon import __version__, exits
from stayon.build import assemble, kit, sign, sizes
from stayon.build import recipe as recipes
from stayon.build.recipe import LAYOUTS, SOURCES, Recipe
from stayon.build.targets import target_of
from stayon.build.verify import verified
from stayon.cli.command import answer
from stayon.cli.progress import Progress
from stayon.cli.target import split
from stayon.core.finding import BAD
from stayon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from stayon.build.assemble import Built
    from stayon.cli.command import Call


def build(call: Call) -> int:
    """Build what the words say, and print what came of it."""
    recipe = _recipe(call)
    _refuse_contradictions(recipe, is_signed="sign" in call.given)
    if "explain" in call.given:
        return _explain(call, recipe)
    signer = sign.checked(call.given["sign"], call.given.get("timestamp", "")) if "sign" in call.given else None
    begun = time.monotonic()
    with Progress() as progress:
        built = assemble.build(recipe, signer, progress.tell)
    answer(call, _fields(built), _text(built, time.monotonic() - begun))
    return exits.DONE


def _explain(call: Call, recipe: Recipe) -> int:
    with Progress() as progress:
        gathered = kit.gathered(recipe, progress.tell)
    text = gathered.frozen.explain(call.given["explain"])
    answer(call, {"explained": text}, text)
    return exits.DONE


def verify(call: Call) -> int:
    """Look at what was built, and print what was found; gives 0, or the exit code of what is wrong with it."""
    if "file" not in call.given:
        raise UsageError("verify needs a file", hint="Name what build has made.", code="build.verify")
    findings = verified(call.given["file"])
    text = "\n".join(f"{one.verdict:<8} {one.subject:<16} {one.text}" for one in findings)
    answer(call, [one.as_dict() for one in findings], text)
    return next((one.exit_code for one in findings if one.verdict == BAD), exits.DONE)


def _recipe(call: Call) -> Recipe:
    given = call.given
    program, attribute = split(call.target or os.path.abspath(sys.argv[0]))
    last = os.path.basename(program).removesuffix(".py") if program.endswith(".py") else program.rpartition(".")[2]
    return Recipe(
        program,
        attribute,
        target_of(given.get("target", "")),
        recipes.checked_name(given.get("name", last)),
        recipes.checked_python(given["python"]) if "python" in given else None,
        recipes.checked_choice(given.get("layout", LAYOUTS[0]), "--layout", LAYOUTS),
        given.get("runtime", ""),
        tuple(given.get("include", ())),
        tuple(given.get("exclude", ())),
        recipes.checked_data(tuple(given.get("data", ()))),
        given.get("icon", ""),
        recipes.checked_version(given["version"]) if "version" in given else "",
        given.get("publisher", ""),
        given.get("output", "dist"),
        recipes.checked_choice(given.get("source", SOURCES[0]), "--source", SOURCES) == SOURCES[0],
        given.get("requirements", ""),
        "offline" in given,
        __version__,
    )


def _refuse_contradictions(recipe: Recipe, *, is_signed: bool) -> None:
    """Options that say something which cannot be had together. Raises ``UsageError``."""
    windows_only = {"--icon": recipe.icon, "--sign": is_signed, "--layout trusted": recipe.layout == "trusted"}
    for option, is_given in windows_only.items():
        if is_given and not recipe.target.is_windows:
            raise UsageError(
                f"{option} is for Windows, and the target is {recipe.target.name}", hint=f"Leave {option} out.",
                code="build.choice",
            )  # fmt: skip
    kept_as_it_is = {"--icon": recipe.icon, "--sign": is_signed and recipe.layout == "trusted"}
    for option, is_given in kept_as_it_is.items():
        if is_given and recipe.layout != "one":
            raise UsageError(
                f"with the layout {recipe.layout} the executable stays as it is, so {option} cannot be had",
                hint=f"Leave {option} out, or build the layout one.", code="build.choice",
            )  # fmt: skip


def _text(built: Built, took_s: float) -> str:
    """What people read."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    is_plain = not encoding.lower().replace("-", "").startswith("utf")
    about = built.about
    glibc = f", glibc {about['glibc']} or newer" if about["glibc"] else ""
    lines = [*(f"warning: {warning}" for warning in built.warnings), sizes.chart(built.parts, is_plain=is_plain), ""]
    lines += [
        f"{built.path}: {sizes.text(built.size)}, for {about['target']}{glibc}, Python {about['python']}",
        f"SHA-256 {built.digest}, in {took_s:.1f} s",
    ]
    return "\n".join(lines)


def _fields(built: Built) -> Mapping[str, Any]:
    """The same for scripts."""
    return {
        "path": built.path,
        "files": built.files,
        "sha256": built.digest,
        "size_bytes": built.size,
        "parts_bytes": built.parts,
        "warnings": built.warnings,
        "left_out": built.left_out,
        "about": built.about,
    }
