"""Which processes belong to a service: the decision, and how they are read from /proc and from ps."""

from __future__ import annotations

import os

import hypothesis
import pytest
from hypothesis import strategies as some

pytestmark = [pytest.mark.linux, pytest.mark.macos]

ROOT_PID, ME = 10, 11


@pytest.fixture(scope="module")
def tree():
    from stayon.platforms import tree

    return tree


@pytest.fixture(scope="module")
def table():
    from stayon.platforms import process_table

    return process_table


@pytest.fixture(scope="module")
def run_mark():
    from stayon.platforms import run_mark

    return run_mark


ROWS = some.lists(
    some.tuples(
        some.integers(1, 25),  # pid
        some.integers(0, 25),  # parent
        some.integers(0, 3),  # started
        some.booleans(),  # marked
        some.booleans(),  # ends by itself
        some.booleans(),  # over
    ),
    unique_by=lambda row: row[0],
    max_size=25,
)


def _leads_to(row, rows, root_started) -> bool:
    """The requirement, as one would say it: a way up by parents, to the root or to one with the mark."""
    by_pid = {each[0]: each for each in rows}
    seen = set()
    while row is not None and row[0] not in seen:
        if row[0] in (ROOT_PID, ME) or row[2] < root_started:
            return False
        if row[3] or row[1] == ROOT_PID:
            return True
        seen.add(row[0])
        parent = by_pid.get(row[1])
        row = parent if parent is not None and parent[2] <= row[2] else None
    return False


@hypothesis.given(ROWS, some.integers(0, 2))
def test_the_tree_is_what_leads_to_its_root(tree, table, rows, root_started: int) -> None:
    """By parentage or by mark, through any number of others; never the root, who asks, what is older or over, nor what
    ends by itself. Also in a table with circles, as one that is read while it changes may have.
    """
    processes = [
        table.Process(pid, parent, pid, started, "x", is_marked=marked, ends_by_itself=itself, is_over=over)
        for pid, parent, started, marked, itself, over in rows
    ]
    found = tree.descendants(processes, tree.Root(ROOT_PID, root_started, "m"), ME)
    expected = [row[0] for row in sorted(rows) if not row[4] and not row[5] and _leads_to(row, rows, root_started)]
    assert [process.pid for process in found] == expected


def test_a_name_with_blanks_and_parentheses(table) -> None:
    """/proc/PID/stat has the name as the program gave it."""
    line = b"7 (a) b (c) S 3 5 5 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1"
    found = table.from_stat(7, line)
    assert (found.pid, found.name, found.parent, found.group, found.started, found.is_over) == (
        7, "a) b (c", 3, 5, 4711, False,
    )  # fmt: skip


def test_lines_of_ps(table) -> None:
    """Numbers, state, words and environment; what is no such line is left out."""
    lines = [
        "    1     0     1 Ss   /sbin/launchd",
        "  501     1   501 S    /usr/bin/sleep 600 HOME=/ STAYON_RUN=9-aa,10-bb PATH=/bin",
        "  502     1   501 Z    (sleep)",
        "  503     1   503 S    python -c from multiprocessing.resource_tracker import main;main(5) STAYON_RUN=10-bb",
        "ps: something is odd",
        "",
    ]
    found = {process.pid: process for process in table.from_ps(lines, "10-bb")}
    assert list(found) == [1, 501, 502, 503]
    assert [pid for pid, process in found.items() if process.is_marked] == [501, 503]
    assert [pid for pid, process in found.items() if process.is_over] == [502]
    assert [pid for pid, process in found.items() if process.ends_by_itself] == [503]
    assert (found[501].name, found[501].parent, found[501].group) == ("sleep", 1, 501)


def test_what_a_program_prints(table) -> None:
    """Its lines, in plain English whatever language is spoken here; one that isn't there is an ``OSError``."""
    assert table.printed(["/bin/sh", "-c", "echo one; echo $LC_ALL"]) == ["one", "C"]
    with pytest.raises(FileNotFoundError):
        table.printed(["/no/such/program"])


@hypothesis.given(some.lists(some.sampled_from(["1-a", "1-ab", "2-a", "21-a"]), max_size=4))
def test_a_mark_is_known_among_others(run_mark, marks: list[str]) -> None:
    """Whole, wherever it stands; not by a part of it."""
    value = ""
    for mark in marks:
        value = run_mark.joined(value, mark)
    assert run_mark.is_marked(value, "1-a") == ("1-a" in marks)


def test_a_child_has_the_marks_of_all_above_it(run_mark, monkeypatch) -> None:
    """The service's and its own, also where it is given an environment that doesn't mention them."""
    monkeypatch.setenv(run_mark.VARIABLE, "1-a")
    assert run_mark.with_mark({"A": "b"}, "2-b") == {"A": "b", run_mark.VARIABLE: "1-a,2-b"}
    assert run_mark.with_mark({run_mark.VARIABLE: "3-c"}, "2-b") == {run_mark.VARIABLE: "3-c,2-b"}


def test_who_replaces_itself_keeps_its_mark(run_mark, monkeypatch) -> None:
    """The environment goes through exec, and its last mark's pid says whose it is; another's stays before it."""
    pid = os.getpid()
    for before, is_kept in (("", False), (f"1-a,{pid}-b", True), (f"{pid}0-b", False)):
        monkeypatch.setattr(run_mark.OwnMark, "mark", "")
        environment = {run_mark.VARIABLE: before} if before else {}
        mark = run_mark.mark_this_process(environment)
        value = environment[run_mark.VARIABLE]
        assert value == (before if is_kept else run_mark.joined(before, mark))
        assert run_mark.is_marked(value, mark)
        assert run_mark.mark_this_process(environment) == mark
        assert environment[run_mark.VARIABLE] == value


@pytest.mark.linux
def test_those_there_are_can_be_seen(table) -> None:
    """We ourselves, with parent, group and name, and by the mark that stands in our environment, if it does."""
    mine = {process.pid: process for process in table.processes("no-such-mark")}[os.getpid()]
    assert (mine.parent, mine.group, mine.is_over) == (os.getppid(), os.getpgrp(), False)
    assert not mine.is_marked
    assert table.look_at(2**22 + 1) is None
