"""The reference is what the source says: generated parts are the same, written tables have every code and number."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from stayon import errors
from stayon.cli import ask
from stayon.core import health, overlap, pulse, schedule
from stayon.core.events import Event
from stayon.platforms.windows import controls, deadman, definition, eventlog, scm_verbs
from stayon.runtime import metrics, status_reading, view
from stayon.runtime.config import documents, pending, problems

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "stayon"

LAUNCHER = ROOT / "launcher"

REWRITE = "PYTHONPATH=src python3 docs/generate.py"
ROW = re.compile(r"^\| `([a-z0-9.-]+)` \| ([0-9, ]+) \| [^|]+ \| [^|]+ \|$", re.MULTILINE)
EVENT = re.compile(r"^\| ([0-9]+) \| ([A-Z, ]+) \|", re.MULTILINE)


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generator = _generator()


def _text(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


@pytest.mark.parametrize("page", generator.pages(), ids=lambda page: page.name)
def test_generated_parts_are_what_the_source_says(page: Path) -> None:
    """States, exit codes, commands, settings, metrics, places and the API stand in the pages as the source has them."""
    text = page.read_text("utf-8")

    assert text == generator.generated(text), f"{page.relative_to(ROOT)} is out of date; run: {REWRITE}"


def test_every_generated_part_is_on_a_page() -> None:
    """What the generator can make is shown somewhere, and no page asks for what it can't make."""
    shown = [found[2] for page in generator.pages() for found in generator.BLOCK.finditer(page.read_text("utf-8"))]

    assert sorted(set(shown)) == sorted(generator.BLOCKS)


def _given_codes(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """What makes an error, and what it gives as its code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from ((ast.unparse(node.func), each.value) for each in node.keywords if each.arg == "code")
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
            assigned = [each for each in node.body if isinstance(each, ast.Assign)]
            yield from ((node.name, each.value) for each in assigned if ast.unparse(each.targets[0]) == "code")


def _exit_code_of(maker: str) -> int:
    """The exit code of the errors that *maker* makes; what is no class of ours tells of a bad configuration."""
    kind = getattr(errors, maker.rpartition(".")[2], None)
    if isinstance(kind, type) and issubclass(kind, errors.StayonError):
        return kind.exit_code
    return errors.ConfigError.exit_code


def exit_codes_by_error() -> dict[str, set[int]]:
    """Every code of an error that the source can make, with the exit codes it may come with."""
    found: dict[str, set[int]] = defaultdict(set)
    for path in SOURCE.rglob("*.py"):
        for maker, given in _given_codes(ast.parse(path.read_text("utf-8"))):
            for value in (given.body, given.orelse) if isinstance(given, ast.IfExp) else (given,):
                if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
                    found[value.value].add(_exit_code_of(maker))
    for value in vars(problems).values():  # those that are given by name
        if isinstance(value, str) and value.startswith("config."):
            found[value].add(errors.ConfigError.exit_code)
    return found


# How the launcher, which is in C, fails: with an exit code of its own; by a call of the system; and as a service, where
# it is another's code, or the one for what has failed.
_FAILED = re.compile(r'\bfailed\((EXIT_\w+),\s*"(launcher\.[a-z-]+)"')
_BY_SYSTEM = re.compile(r'failed_by_system\(\w+, "(launcher\.[a-z-]+)"')
_AS_SERVICE = re.compile(r'(?:service_failed|event_log_error)\(\w+, "[^"]*\[(launcher\.[a-z-]+)\]"')


def exit_codes_of_launcher() -> dict[str, set[int]]:
    """As ``exit_codes_by_error``, of the launcher. Fails if it has a code that isn't made in one of the known ways."""
    source = "".join(path.read_text("utf-8") for path in sorted(LAUNCHER.glob("*.c")))
    numbers = dict(re.findall(r"\b(EXIT_\w+) = ([0-9]+)", (LAUNCHER / "messages.h").read_text("utf-8")))
    found: dict[str, set[int]] = defaultdict(set)
    for name, code in _FAILED.findall(source):
        found[code].add(int(numbers[name]))
    for code in _BY_SYSTEM.findall(source):
        found[code] |= {errors.UnavailableError.exit_code, errors.NotPermittedError.exit_code}
    for code in _AS_SERVICE.findall(source):
        found[code].add(errors.FailedError.exit_code)
    assert set(found) == set(re.findall(r"(launcher\.[a-z-]+)[\]\"]", source))
    return found


def test_every_error_is_in_the_reference_with_its_exit_code() -> None:
    """Each code stands in the table once, with a meaning, what to do, and the exit code that its class has."""
    documented = ROW.findall(_text("reference/errors.md"))
    in_source = {**exit_codes_by_error(), **exit_codes_of_launcher()}

    assert {code for code, _exits in documented} == set(in_source)
    assert len(documented) == len(in_source)
    assert {code: {int(each) for each in exits.split(",")} for code, exits in documented} == in_source


def test_every_numbered_event_is_in_the_reference() -> None:
    """Each ``event_id`` of a log call stands in the table of the log format, once."""
    used: set[int] = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                values = [each.value for each in node.keywords if each.arg == "event_id"]
                numbers = [value.value for value in values if isinstance(value, ast.Constant)]
                used |= {number for number in numbers if isinstance(number, int) and number}
    documented = [int(number) for number, _level in EVENT.findall(_text("reference/log-format.md"))]

    assert documented == sorted(used)


def test_the_verdicts_of_status_are_all_there() -> None:
    """The table of ``status`` has every verdict, and the exit codes of the code."""
    rows = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| ([0-9]+) \|$", _text("reference/behaviour.md"), re.MULTILINE)
    names = ("NEVER_RUN", "STARTING", "RUNNING", "NOT_RESPONDING", "ENDED", "DIED")

    assert {verdict for verdict, _code in rows} == {getattr(status_reading, name) for name in names}
    assert {code for _verdict, code in rows} == {"0", str(ask.NOT_RUNNING), str(errors.FailedError.exit_code)}


def test_the_table_of_health_is_the_one_that_decides() -> None:
    """What the page says of checks and jobs together is what ``core.health`` says."""
    page = _text("reference/behaviour.md")

    for (worst, degraded), whole in health.OVERALL.items():
        jobs = "yes" if degraded else "no"
        row = re.search(rf"^\| {worst}[^|]* \| ({jobs}|no matter) \| `{whole}` \|$", page, re.MULTILINE)
        assert row, f"{worst}, degraded {jobs}: {whole}"


def test_the_events_of_windows_are_those_that_are_told() -> None:
    """Each kind has a row, with words that the source has for it: of sessions and adapters all of them."""
    section = _text("reference/behaviour.md").partition("### Events of Windows\n")[2].partition("\n#")[0]
    rows = {
        kind: set(re.findall(r"`([a-z-]+)`", rest))
        for kind, rest in re.findall(r"^\| `([a-z-]+)` (.*)$", section.partition("|---")[2], re.MULTILINE)
    }
    told: dict[str, set[str]] = defaultdict(set)
    data = bytes(64)
    for control in (*range(controls.NETBIND_ADD, controls.TRIGGEREVENT + 1), controls.CUSTOM[0]):
        for event_type in (*range(0x20), *range(0x8000, 0x8020)):
            event = controls.understood(control, event_type, data, controls.Powers(events=True))
            if isinstance(event, Event) and not event.detail.isdecimal():
                told[event.kind].add(event.detail)

    assert set(rows) == set(told)
    assert {kind: words - told[kind] for kind, words in rows.items() if words - told[kind]} == {}
    assert {kind: told[kind] - rows[kind] for kind in ("session", "netbind")} == {"session": set(), "netbind": set()}


def test_numbers_of_windows_in_the_prose_are_those_of_the_source() -> None:
    """Times and limits that the pages on Windows name are the constants that hold them."""
    behaviour = _text("reference/behaviour.md")
    how_to = _text("how-to/windows-service.md")

    assert f"a sign of life each {pulse.PERIOD_S:g} s" in behaviour
    assert f"grows by {pulse.GROWTH_S:g} s, from {pulse.FIRST_HINT_S:g} s on" in behaviour
    assert f"within its wait hint, {scm_verbs.PATIENCE_S:g} s at least" in behaviour
    assert f"`stop_timeout` and {definition.PRESHUTDOWN_MARGIN_S:g} s" in behaviour
    assert f"`stop_timeout` and {definition.PRESHUTDOWN_MARGIN_S:g} s" in how_to
    assert deadman.LAST_DELAY_S == 2
    assert "terminated two seconds after" in behaviour
    assert f"1 to {definition.NAME_LIMIT} characters" in _text("reference/errors.md")
    assert f"may have {eventlog.TEXT_LIMIT:,} characters" in _text("how-to/event-log.md")


def test_numbers_in_the_prose_are_those_of_the_source() -> None:
    """Limits that the pages name are the constants that hold them."""
    page = _text("reference/behaviour.md")

    assert f"{pending.QUIET_S * 1000:.0f} ms have passed" in page
    assert f"for {pending.LONGEST_WAIT_S * 1000:.0f} ms at most" in page
    assert f"up to {overlap.QUEUE_LIMIT} of them" in page
    assert f"more than {schedule.GRACE_S:.0f} s ago" in page
    assert f"at most {schedule.CATCH_UP_LIMIT:,}" in page
    assert f"every {view.BEAT_S:.0f} s, and" in page
    assert f"nothing for {3 * view.BEAT_S + 1:.0f} s" in page
    assert f"more than {documents.SIZE_LIMIT // 1024**2} MiB" in _text("reference/errors.md")
    assert f"at most {metrics.SERIES_LIMIT:,} sets" in _text("how-to/health-and-metrics.md")
