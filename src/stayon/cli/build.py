"""``build``: one file of a program, and ``verify``: whether such a file is as it should be."""

from __future__ import annotations

import os
import sys

from stayon import exits
from stayon.build import recipe as recipes
from stayon.build.assemble import assembled
from stayon.build.recipe import Recipe
from stayon.build.targets import target_of
from stayon.cli.command import answer
from stayon.cli.target import split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.cli.command import Call


def build(call: Call) -> int:
    """Make the file."""
    recipe = _recipe(call)
    os.makedirs(recipe.output, exist_ok=True)
    place = os.path.join(recipe.output, recipe.name + recipe.target.suffix)
    made = assembled(recipe)
    with open(place, "wb") as file:
        file.write(made)
    os.chmod(place, 0o755)
    answer(call, {"path": place, "size": len(made)}, f"{place}: {len(made):,} bytes")
    return exits.DONE


def _recipe(call: Call) -> Recipe:
    given = call.given
    program, attribute = split(call.target or os.path.abspath(sys.argv[0]))
    name = os.path.basename(program).removesuffix(".py") if program.endswith(".py") else program.rpartition(".")[2]
    python = given.get("python", f"{sys.version_info[0]}.{sys.version_info[1]}")
    return Recipe(
        program, attribute, target_of(given.get("target", "")), recipes.checked_name(given.get("name", name)),
        recipes.checked_python(python), runtime=given.get("runtime", ""), output=given.get("output", "dist"),
    )  # fmt: skip
