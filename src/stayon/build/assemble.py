"""From a recipe to a file: one step after the other, and nothing left behind if one fails."""

from __future__ import annotations

import json
import os

import stayon
from stayon.build import abi, image, interpreter, linux_runtime, pack, payload, runtimes, whole, windows_runtime
from stayon.build.payload import Module, Payload
from stayon.build.recipe import Recipe

LAUNCHERS = os.environ.get("STAYON_LAUNCHERS") or os.path.join(os.path.dirname(__file__), "launchers")
BOOT = "stayon.platforms.onefile.entry"


def assembled(recipe: Recipe) -> bytes:
    python = interpreter.asked(interpreter.of_minor(recipe.python))
    if recipe.target.is_windows:
        runtime = windows_runtime.of_directory(recipe.target, recipe.runtime, recipe.runtime)
    else:
        runtime = linux_runtime.of_interpreter(recipe.target, python)
    modules = whole.modules(python.stdlib, payload.FROZEN)
    modules += whole.modules(os.path.dirname(stayon.__file__), payload.FROZEN, "stayon/")
    name = os.path.basename(recipe.program)
    with open(recipe.program, "rb") as file:
        import marshal
        code = marshal.dumps(compile(file.read(), name, "exec", dont_inherit=True))
    modules.append(Module(name.removesuffix(".py"), payload.BESIDE, name, code))
    # Until the graph is there: what an ordinary service uses.
    used = {"_socket", "select", "math", "fcntl", "_posixsubprocess", "_struct", "array", "binascii", "_json", "_random", "_bisect", "_heapq", "_datetime", "termios", "resource", "grp", "_contextvars", "_queue", "mmap", "_sha2", "_blake2", "_md5", "_sha1", "_sha3", "_pickle", "zlib", "unicodedata", "_opcode", "_asyncio", "_ctypes", "_statistics", "_csv", "_zoneinfo", "_multiprocessing", "_posixshmem", "_overlapped", "syslog"} & set(runtime.extensions)
    modules += [Module(name, payload.NATIVE | payload.LIBRARY, runtime.extensions[name]) for name in used]
    chosen = runtimes.chosen(runtime, used)
    files = pack.packed([(n, runtime.content(n), f) for n, f in chosen.files], machine=recipe.target.machine, cache=os.path.expanduser("~/.cache/stayon/packed"))
    about = {
        "format": 1, "name": recipe.name, "version": recipe.version, "publisher": recipe.publisher,
        "target": recipe.target.name, "layout": recipe.layout, "python": ".".join(map(str, runtime.version)),
        "entry": f"{name.removesuffix('.py')}:{recipe.attribute}", "module": name.removesuffix(".py"), "attribute": recipe.attribute,
        "stayon": stayon.__version__, "service": "", "libraries": chosen.libraries, "extensions": sorted(used), "distributions": {},
        "data": [], "glibc": ".".join(map(str, chosen.glibc)), "source": "strip", "sizes": {},
    }
    whole_payload = Payload(runtime.minor, tuple(modules), (files,), json.dumps(about).encode(), abi.numbers(runtime.minor, recipe.target.system), BOOT, runtime.library)
    with open(os.path.join(LAUNCHERS, recipe.target.launcher), "rb") as file:
        launcher = file.read()
    return image.with_payload(launcher, payload.written(whole_payload))
