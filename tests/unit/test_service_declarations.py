"""What a user declares: nothing starts by it, and a mistake is one line that names its place."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stayon
from stayon import Service, UsageError, backoff, parallel
from stayon.core.overlap import Overlap
from stayon.core.schedule import Cron, Every

HERE = __file__


def spec_error(service: Service) -> UsageError:
    """The error that asking for the spec raises."""
    with pytest.raises(UsageError) as caught:
        service.spec()
    return caught.value


def test_declaring_only_notes_things_down() -> None:
    """Decorators give the function back as it was; wrong options are not looked at before the spec is asked for."""
    service = Service("noted", start_timeout="nonsense")

    def function(ctx):
        raise AssertionError("called")

    for decorate in (
        service.run,
        service.task,
        service.check,
        service.on_start,
        service.on_pause,
        service.on_resume,
        service.on_reload,
        service.on_stop,
        service.on_event,
        service.every("not a time"),
        service.cron("not a calendar"),
        service.run(hang_timeout="1s"),
        service.task(name="other"),
        service.check(every="1m"),
    ):
        assert decorate(function) is function

    assert len(service.declarations) == 14


def test_importing_a_users_module_starts_nothing() -> None:
    """Declaring a service makes no thread, opens no file, and loads none of the runtime's rooms."""
    program = (
        "import os, sys, threading\n"
        "from stayon import Service\n"
        "service = Service('quiet')\n"
        "@service.every('5s')\n"
        "def job(ctx): pass\n"
        "assert threading.active_count() == 1\n"
        "assert os.name != 'posix' or len(os.listdir('/dev/fd')) <= 4\n"
        "loaded = [name for name in sys.modules if name.startswith('stayon.runtime.')]\n"
        "assert 'stayon.runtime.host' not in loaded, loaded\n"
    )
    source = str(Path(stayon.__file__).parents[1])

    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": source}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_the_spec_has_everything_in_seconds() -> None:
    """Defaults are completed, durations are seconds, names are the functions' unless given."""
    service = Service("full", description="d", version="1", start_timeout="2m", hang_timeout=None, probes=9100)

    @service.every("1m30s", timeout="5s", overlap=parallel(3), retry=backoff(), on_failure="degrade", jitter="2s")
    def collect(ctx):
        pass

    @service.cron("0 3 * * *", tz="Europe/Berlin", missed="once", name="nightly")
    def other(ctx):
        pass

    @service.check(every="1m", rise=2)
    def database(ctx):
        pass

    @service.run(hang_timeout="1m")
    def main(ctx):
        pass

    @service.task
    def worker(ctx):
        pass

    spec = service.spec()
    collects, nightly = spec.jobs

    assert (spec.start_timeout_s, spec.stop_timeout_s, spec.hook_timeout_s, spec.hang_timeout_s) == (120, 20, 10, None)
    assert spec.probes == "127.0.0.1:9100"
    assert (collects.name, collects.timeout_s, collects.overlap, collects.on_failure) == (
        "collect", 5, Overlap(3), "degrade",
    )  # fmt: skip
    assert collects.rule == Every(90, jitter_s=2)
    assert (nightly.name, nightly.rule) == ("nightly", Cron("0 3 * * *", "Europe/Berlin", missed="once"))
    assert [
        (check.name, check.every_s, check.timeout_s, check.rule.rise, check.rule.fall) for check in spec.checks
    ] == [("database", 60, 5, 2, 3)]
    assert [(worker.name, worker.hang_timeout_s) for worker in spec.workers] == [("run", 60), ("worker", None)]


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({"interval": "5 bananas"}, "spec.duration", "5 bananas"),
        ({"interval": 0}, "spec.duration", "zero"),
        ({"interval": -1}, "spec.duration", "negative"),
        ({"interval": "5s", "overlap": "both"}, "spec.overlap", "parallel"),
        ({"interval": "5s", "on_failure": "panic"}, "spec.choice", "degrade"),
        ({"interval": "5s", "missed": "never"}, "spec.choice", "once"),
        ({"interval": "5s", "timout": "1s"}, "spec.unknown-option", "timeout"),
        ({"interval": "5s", "jitter": "6s"}, "spec.schedule", "jitter"),
        ({"interval": "5s", "name": "a b"}, "spec.name", "'a b'"),
    ],
)
def test_a_mistake_in_a_job_names_its_place(options: dict, code: str, says: str) -> None:
    """The error has the user's file and line, what is wrong, and what to write instead."""
    service = Service("wrong")

    @service.every(options.pop("interval"), **options)
    def job(ctx):
        pass

    error = spec_error(service)

    assert error.code == code
    assert says in str(error)
    assert str(error).startswith(f"{HERE}:{job.__code__.co_firstlineno}")


@pytest.mark.parametrize(
    ("name", "options", "code"),
    [
        ("", {}, "spec.name"),
        ("a" * 65, {}, "spec.name"),
        ("-x", {}, "spec.name"),
        ("a/b", {}, "spec.name"),
        (None, {}, "spec.name"),
        ("ok", {"stop_timeout": "soon"}, "spec.duration"),
        ("ok", {"stop_timout": "1s"}, "spec.unknown-option"),
        ("ok", {"probes": "everywhere"}, None),
    ],
)
def test_a_mistake_in_a_service_names_its_place(name, options: dict, code: str | None) -> None:
    """As for jobs: the line where ``Service`` was made."""
    service = Service(name, **options)
    service.every("5s", name="job")(lambda ctx: None)
    error = spec_error(service)

    assert code in (None, error.code)
    assert str(error).startswith(f"{HERE}:")


def test_two_of_one_name_name_both_places() -> None:
    """Two jobs, two tasks or two runs of one name are an error with both lines; a job and a check may share one."""
    for kind in ("job", "task", "run"):
        service = Service("twice")
        declarations: dict[str, Callable[..., Any]] = {
            "job": service.every("5s"),
            "task": service.task,
            "run": service.run,
        }
        declare = declarations[kind]

        def same(ctx):
            pass

        declare(same)
        declare(same)
        error = spec_error(service)
        assert error.code == "spec.duplicate"
        assert str(error).count(f"{HERE}:{same.__code__.co_firstlineno}") == 2

    service = Service("shared")
    service.every("5s", name="database")(lambda ctx: None)
    service.check(name="database")(lambda ctx: None)
    assert service.spec().name == "shared"


def test_a_service_that_does_nothing_is_told_so() -> None:
    """Without any declaration there is nothing to run."""
    assert spec_error(Service("empty")).code == "spec.empty"


def test_a_lambda_needs_a_name() -> None:
    """Its own name is no name; the error says how to give one."""
    service = Service("lambda")
    service.every("5s")(lambda ctx: None)
    error = spec_error(service)

    assert error.code == "spec.name"
    assert "<lambda>" in str(error)


def test_how_it_is_to_be_installed_is_checked_with_its_place() -> None:
    """A mistake in ``installation`` is one line with the place of the call; what is said twice is said anew."""
    service = Service("collector")
    service.every("1s", name="look")(lambda: None)
    service.installation(start="delayed", after=["Tcpip"])
    service.installation(start="manual")
    assert service.installed_as == {"start": "manual", "after": ["Tcpip"]}
    service.spec()

    service.installation(triggers=["network"])
    with pytest.raises(UsageError) as caught:
        service.spec()
    assert caught.value.code == "spec.installation"
    assert __file__ in caught.value.where


def test_an_unknown_option_of_an_installation_is_named() -> None:
    """With the nearest that there is."""
    service = Service("collector")
    service.every("1s", name="look")(lambda: None)
    typo: dict[str, Any] = {"acount": "LocalService"}
    service.installation(**typo)

    with pytest.raises(UsageError, match="account") as caught:
        service.spec()
    assert caught.value.code == "spec.unknown-option"
