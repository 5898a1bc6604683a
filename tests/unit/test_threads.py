"""Threads that nobody's ``threading`` knows, until somebody imports it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import pytest

from stayon.runtime import threads

LIMIT_S = 10.0

without_threading = pytest.mark.skipif(
    sys.version_info < (3, 13), reason="before 3.13, threading must be imported on the main thread"
)


def told(program: str) -> list[str]:
    """What *program* prints, line by line, in an interpreter that has imported nothing for it."""
    start = "import sys, time, _thread\nfrom stayon.runtime import threads\n"
    command = [sys.executable, "-c", start + textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_where_threading_is_a_thread_is_one_of_its(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has its name, keeps no process alive, and what it raises goes to ``threading.excepthook``."""
    seen: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: seen.append(arguments.exc_value))
    failed = OSError("no")

    def work() -> None:
        here = threading.current_thread()
        seen.append((here.name, here.daemon, threads.names()[threading.get_ident()]))
        raise failed

    before = set(threading.enumerate())
    threads.start_thread(work, "worker")
    for thread in set(threading.enumerate()) - before:
        thread.join(LIMIT_S)
    assert seen == [("worker", True, "worker"), failed]


@without_threading
def test_it_is_not_imported_for_a_thread() -> None:
    """A thread runs, has a name for a dump of stacks while it does, and none afterwards."""
    assert told("""
        ended = _thread.allocate_lock(); ended.acquire()
        threads.start_thread(lambda: (print(threads.names()[_thread.get_ident()]), ended.release()), "worker")
        ended.acquire()
        while "worker" in threads.names().values():
            time.sleep(0.001)
        print("threading" in sys.modules)
        """) == ["worker", "False"]


@without_threading
def test_who_imports_it_finds_the_name() -> None:
    """Once it is there, a thread that is older is known to it, and the main thread is the one that it was."""
    assert told("""
        ended = _thread.allocate_lock(); ended.acquire()
        def work():
            import threading
            threads.make_known()
            print(threading.current_thread().name, threads.names()[_thread.get_ident()])
            print(threading.main_thread().ident == main, threading.current_thread() is threading.main_thread())
            ended.release()
        main = _thread.get_ident()
        threads.start_thread(work, "worker")
        ended.acquire()
        import threading
        print(threading.current_thread() is threading.main_thread())
        """) == ["worker worker", "True False", "True"]


@without_threading
def test_what_it_raises_is_told_as_by_threading() -> None:
    """The hook of ``threading`` gets it, with the thread's name, though nothing had imported that."""
    assert told("""
        from stayon.runtime.logs.late import when_imported
        ended = _thread.allocate_lock(); ended.acquire()
        def hooked():
            import threading
            threading.excepthook = lambda told: (print(told.thread.name, repr(told.exc_value)), ended.release())
        when_imported("threading", hooked)
        def work():
            raise ValueError("no")
        threads.start_thread(work, "worker")
        ended.acquire()
        """) == ["worker ValueError('no')"]
