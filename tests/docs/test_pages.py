"""Every page is true as far as a machine can tell: links lead somewhere, programs run, commands are understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from stayon import Service, exits
from stayon.cli import words

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)

# What the pages use besides stayon, and what everybody has.
OTHER_PROGRAMS = {"cd", "copy", "cp", "curl", "kill", "mkdir", "pip", "useradd"}
OTHER_PROGRAMS |= {"journalctl", "loginctl", "systemctl", "systemd-analyze"}
OTHER_PROGRAMS |= {"osslsigncode", "sha256sum"}
OTHER_MODULES = {"venv"}

# Python's interpreter: on Unix, and on Windows.
PYTHONS = ("python3", "python")

# What `stayon build` makes: on Linux, and for Windows. (It has verbs of its own.)
BUILT = ("collector", "collector.exe")


class Block(NamedTuple):
    """A block of code: its page, its first line there, its language, its text, and the text of the block after it."""

    page: Path
    line: int
    language: str
    text: str
    next: str

    @property
    def is_program(self) -> bool:
        return "service.main()" in self.text


def _blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text("utf-8")
        found = list(FENCE.finditer(text))
        following = [*(each[2] for each in found), ""][1:]
        for each, after in zip(found, following, strict=bool(found)):
            yield Block(page, text.count("\n", 0, each.start()) + 2, each[1], each[2], after)


BLOCKS = list(_blocks())
PYTHON = [block for block in BLOCKS if block.language == "python"]
COMMANDS = [
    (f"{block.page.name}:{block.line}", line.removeprefix("$ ").removeprefix("> "))
    for block in BLOCKS
    if block.language == "console"
    for line in block.text.splitlines()
]


def _name(block: Block) -> str:
    return f"{block.page.name}:{block.line}"


def _anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings of *page*: small letters, hyphens for blanks, and no other punctuation."""
    headings = HEADING.findall(FENCE.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A link to a file of ours names one that is there, and an anchor is a heading on its page."""
    dead = []
    for target in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            dead.append(target)

    assert not dead


@pytest.mark.parametrize("block", PYTHON, ids=_name)
def test_every_block_of_python_is_right(block: Block) -> None:
    """It compiles, imports only what is there, and what it declares is a service without mistakes."""
    code = compile(block.text, str(block.page), "exec", dont_inherit=True)
    namespace = {"__name__": "a_page"}
    exec(code, namespace)  # noqa: S102  # our own pages
    for value in list(namespace.values()):
        if isinstance(value, Service) and value.declarations:
            value.spec()


@pytest.mark.linux
@pytest.mark.parametrize("block", [block for block in PYTHON if block.is_program], ids=_name)
def test_every_program_runs(block: Block, shell, free_port) -> None:
    """It becomes RUNNING with the configuration that follows it on the page, if one does, and Ctrl-C ends it with 0."""
    (shell.directory / "program.py").write_text(block.text, "utf-8")
    arguments = []
    if "config=Config" in block.text:
        (shell.directory / "config.toml").write_text(block.next, "utf-8")
        arguments += ["--config", "config.toml"]
    if "probes=" in block.text:
        arguments += ["--set", f"stayon.probes.listen={free_port()}"]

    ran = shell.run("program.py", *arguments, until="START_PENDING -> RUNNING")

    assert ran.code == exits.DONE, ran.messages


@pytest.mark.parametrize(("where", "line"), COMMANDS, ids=str)
def test_every_command_is_understood(where: str, line: str) -> None:
    """Its verb and options are there; a task is one of dev.py's."""
    program, *rest = shlex.split(line, comments=True)
    if program == "sudo":
        program, *rest = rest
    program = program.rpartition("/")[2]
    if program in PYTHONS:
        script, *rest = rest[1:] if rest[0] == "-m" else rest
        if script in OTHER_MODULES:
            pass
        elif script == "dev.py":
            assert f"\ndef {rest[0]}(" in (ROOT / "dev.py").read_text("utf-8"), where
        else:
            words.parse(rest, with_target=script == "stayon")
    elif program == "stayon":
        words.parse(rest, with_target=True)
    elif program in BUILT:
        verb, *others = rest
        words.parse([verb, "collector.py", *others], with_target=True)
    else:
        assert program in OTHER_PROGRAMS, where
