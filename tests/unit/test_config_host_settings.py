"""The reserved table: strict, defaulted in three steps, and documented from the rows it is read by."""

from __future__ import annotations

import pytest

from stayon.runtime.config.host_settings import (
    ROWS,
    read_host_settings,
    reference_rows,
    restart_patterns,
    settable_paths,
)
from stayon.runtime.config.problems import InvalidConfigError
from stayon.runtime.config.values import Text


def read(tree: object, defaults: dict | None = None, jobs: tuple[str, ...] = ("collect",)):
    return read_host_settings(tree, defaults or {}, jobs, lambda path: "f.toml")


def test_file_over_program_over_default() -> None:
    """What the file says, else the program, else the row."""
    settings = read({"stop_timeout": "5s", "log": {"max_size": "1 MiB"}}, {"stop_timeout": 7.0, "hook_timeout": 8.0})

    assert (settings["stop_timeout"], settings["hook_timeout"], settings["start_timeout"]) == (5.0, 8.0, 60.0)
    assert settings["log.max_size"] == 1024**2
    assert settings["log.level"] == "info"
    with pytest.raises(KeyError):
        _ = settings["log.levle"]


def test_jobs_are_said_by_name() -> None:
    """Only what is said of a job is there."""
    settings = read({"jobs": {"collect": {"every": "10s", "enabled": False}}})

    assert settings.job("collect") == {"every": 10.0, "enabled": False}
    assert settings.job("other") == {}
    assert settings.as_tree()["jobs"] == {"collect": {"every": 10.0, "enabled": False}}


def test_a_job_may_have_a_dot_in_its_name() -> None:
    """Names of jobs may have dots; keys of the table are not split at them."""
    assert read({"jobs": {"a.b": {"every": "1s"}}}, jobs=("a.b",)).job("a.b") == {"every": 1.0}


def test_all_problems_are_told() -> None:
    """Unknown keys with the nearest, unknown jobs, wrong kinds; each with its path from the root."""
    with pytest.raises(InvalidConfigError) as caught:
        read(
            {
                "log": {"levle": "info", "level": "loud", "keep": 0, "max_size": "10 parsecs", "gzip": 1},
                "stop_timeout": 5, "probes": {"listen": "nowhere:1"}, "jobs": {"colect": {}, "collect": {"evry": "1s"}},
                "reload": {"x": 1}, "hook_timeout": "0s",
            }
        )  # fmt: skip

    assert [str(problem).split(" [")[0].removeprefix("f.toml: stayon.") for problem in caught.value.problems] == [
        'log.levle: this key is not known. Did you mean "level"?',
        "log.level: expected one of trace, debug, info, notice, warning, error, critical, found text",
        "log.keep: expected a whole number from 1 on, found a whole number",
        'log.max_size: expected a size, for example "10 MiB", found text',
        "log.gzip: expected true or false, found a whole number",
        'stop_timeout: expected a duration, found a whole number. Write it with its unit, for example "5s" or "1m30s".',
        'probes.listen: expected an address, for example "127.0.0.1:9100", or a port, found text',
        'jobs.colect: this key is not known. Did you mean "collect"?',
        'jobs.collect.evry: this key is not known. Did you mean "every"?',
        "reload: expected one of auto, manual, found a table",
        'hook_timeout: expected a duration, for example "5s", "250ms" or "1m30s", found text',
    ]
    with pytest.raises(InvalidConfigError, match="stayon: expected a table"):
        read(5)
    with pytest.raises(InvalidConfigError, match=r"stayon\.log: expected a table"):
        read({"log": "info"})


@pytest.mark.parametrize(
    ("said", "listen"),
    [
        (9100, "127.0.0.1:9100"),
        ("127.0.0.1:9100", "127.0.0.1:9100"),
        ("[::1]:80", "[::1]:80"),
        ("", ""),
        (Text("9100"), "127.0.0.1:9100"),
    ],
)
def test_an_address_may_be_a_port(said, listen) -> None:
    """A port alone listens on loopback; nothing listens nowhere."""
    assert read({"probes": {"listen": said}})["probes.listen"] == listen


@pytest.mark.parametrize(
    ("said", "size"), [(5, 5), ("5", 5), ("10 KB", 10_000), ("2MiB", 2 * 1024**2), ("1 gib", 1024**3), ("7B", 7)]
)
def test_sizes_have_units(said, size) -> None:
    """Bytes, decimal and binary units."""
    assert read({"log": {"max_size": said}})["log.max_size"] == size


def test_every_row_can_be_documented_and_set() -> None:
    """Each row has a type, a sentence, and a valid default that reads back; each can be set by a variable."""
    documented = list(reference_rows())

    assert len({name for name, *_ in documented}) == len(ROWS)
    assert all(kind and doc.endswith(".") for _, kind, _, doc in documented)
    assert ("stayon.log.max_size", "size", "10 MiB", "The log file is rotated when it is this big.") in documented
    for name, _, default, _ in documented:
        if default and "*" not in name:
            *above, last = name.removeprefix("stayon.").split(".")
            tree: dict = {last: Text(default)}
            for key in reversed(above):
                tree = {key: tree}
            assert read(tree).as_tree() == read({}).as_tree()
    paths = list(settable_paths(["a", "b"]))
    assert ("stayon", "log", "level") in paths
    assert ("stayon", "jobs", "b", "every") in paths
    assert ("stayon", "probes", "listen") in restart_patterns()
