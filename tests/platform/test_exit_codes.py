"""How a service ends is its exit code: a contract with whoever started it."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.platform.conftest import Program

RUN = """
import os, sys, threading
import stayon
service = Service("s", stop_timeout="1s")

@service.run
def main(ctx):
    {body}
"""


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("return", 0),
        ("ctx.ready(); return", 0),
        ("sys.exit()", 0),
        ("sys.exit(0)", 0),
        ("sys.exit(3)", 3),
        ("sys.exit('no more paper')", 70),
        ("raise ValueError('boom')", 70),
        ("ctx.ready(); raise ValueError('boom')", 70),
        ("raise KeyboardInterrupt", 70),
        ("raise stayon.UsageError('one word too many')", 64),
        ("raise stayon.UnavailableError('the database is down')", 69),
        ("raise stayon.FailedError('it broke')", 70),
        ("raise stayon.TemporaryError('later')", 75),
        ("raise stayon.NotPermittedError('not yours')", 77),
        ("raise stayon.ConfigError('no dsn')", 78),
    ],
)
def test_how_run_ends_is_how_the_process_ends(program: Program, body: str, code: int) -> None:
    """Returning is 0; ``sys.exit`` gives its own; stayon's errors give theirs; every other exception 70."""
    started = program.start(RUN.format(body=body))

    assert started.wait() == code, started.err
    ended = started.records("stopped")
    assert [record["fields"]["exit_code"] for record in ended] == [code]
    assert ended[0]["level"] == ("NOTICE" if code == 0 else "ERROR")
    assert program.verb("status", "--json").json["exit_code"] == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_by_a_signal_before_ready(program: Program, number: signal.Signals, code: int) -> None:
    """One that is stopped while it starts was not done: 130 for Ctrl-C, 143 for SIGTERM; afterwards it is 0."""
    started = program.start(RUN.format(body="ctx.log.info('begun'); ctx.stopping.wait()"))
    started.wait_log("begun")
    assert started.stop(number) == code
    ready = program.run(RUN.format(body="ctx.ready(); ctx.stopping.wait()"))
    assert ready.stop(number) == 0


def test_a_second_ctrl_c_forces_and_says_so(program: Program, until: Callable[..., object]) -> None:
    """The first asks and says what the second does; the second ends it at once, with the stacks of who refused."""
    started = program.run("""
        import time
        service = Service("s", stop_timeout="60s")

        @service.run
        def main(ctx):
            ctx.ready()
            while True:
                time.sleep(60)
        """)
    started.send(signal.SIGINT)
    asked = started.wait_log("once more forces it")
    # (What comes within 0.1 s is the same press, passed on by a wrapper such as uv or npm.)
    until(lambda: started.process.poll() is not None or started.send(signal.SIGINT), "the end")

    assert started.wait() == 130
    assert asked["level"] == "NOTICE"
    assert started.records("forced to stop")
    refused = started.records("these did not stop")[0]["fields"]
    assert refused["who"] == ["run"]
    assert "in main" in refused["stacks"]


def test_who_does_not_stop_in_time_is_left_behind(program: Program) -> None:
    """After stop_timeout the process ends without those who did not: exit code 70, and their stacks are in the log."""
    started = program.run("""
        import time
        service = Service("s", stop_timeout="300ms")

        @service.every("60s")
        def deaf(ctx):
            ctx.log.info("begun")
            time.sleep(60)
        """)
    started.wait_log("begun")
    assert started.stop() == 70
    refused = started.records("these did not stop")[0]["fields"]
    assert refused["who"] == ["job deaf"]
    assert "in deaf" in refused["stacks"]
    assert "waiting for job deaf" in started.records("stopped")[0]["fields"]["why"]


def test_never_ready_is_a_failed_start(program: Program) -> None:
    """Whoever does not call ``ctx.ready()`` within start_timeout has failed: the report names what is missing."""
    started = program.start("""
        service = Service("s", start_timeout="200ms", stop_timeout="1s")

        @service.run
        def main(ctx):
            ctx.stopping.wait()
        """)
    assert started.wait() == 70
    why = started.records("stopped")[0]["fields"]["why"]
    assert "run did not call ctx.ready()" in why
    assert "after 0.2 s" in why


def test_a_port_in_use(program: Program) -> None:
    """Probes that cannot listen are a needed thing that is unavailable: 69, one line, and ``status`` knows it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        started = program.start(f"""
            service = Service("s", probes={port})

            @service.every("5s")
            def work(ctx):
                ctx.log.info("working")
            """)
        assert started.wait() == 69
    assert started.err.count("\n") == 1, started.err
    assert f"127.0.0.1:{port}: the probes cannot listen here, the port is in use" in started.log()[0]["message"]
    status = program.verb("status", "--json").json
    assert (status["verdict"], status["exit_code"]) == ("ended", 69)
    assert "in use" in status["text"]


@pytest.mark.needs_root
def test_a_directory_that_may_not_be_written(program: Program, as_nobody: list[str]) -> None:
    """An account that may not write is told in one line which directory and what to do: 77."""
    program.write(program.eight_lines)
    answer = program.verb("run", prefix=as_nobody)

    assert (answer.code, answer.out, answer.err.count("\n")) == (77, "", 1)
    assert str(program.home) in answer.err
    assert "STAYON_HOME" in answer.err
    assert not program.home.exists()


def test_bad_configuration(program: Program) -> None:
    """A typing error in the configuration: 78, one line with file, line, key and the nearest known; nothing runs."""
    program.config.write_text("\n[stayon.log]\nlevle = 'debug'\n")
    program.write("""
        service = Service("s")

        @service.on_start
        def begin(ctx):
            print("begun")

        @service.every("5s")
        def work(ctx):
            print("working")
        """)
    answer = program.verb("run")

    assert (answer.code, answer.out, answer.err.count("\n")) == (78, "", 1)
    assert f'{program.config}:3: stayon.log.levle: this key is not known. Did you mean "level"?' in answer.err


def test_no_thread_of_the_users_keeps_the_process(program: Program) -> None:
    """A thread that never ends, daemon or not, cannot keep the process alive once the service has stopped."""
    started = program.run("""
        import threading, time
        service = Service("s")

        @service.run
        def main(ctx):
            threading.Thread(target=time.sleep, args=(600,)).start()
            ctx.ready()
            ctx.stopping.wait()
        """)
    assert started.stop() == 0


def test_atexit_functions_are_called(program: Program) -> None:
    """What the user's code has registered with ``atexit`` is called before the end; what it printed arrives."""
    started = program.run("""
        import atexit
        service = Service("s")
        atexit.register(print, "goodbye")

        @service.every("5s")
        def work(ctx):
            print("working")
        """)
    assert started.stop() == 0
    assert "goodbye" in started.out


def test_restart_policy_in_a_console(program: Program) -> None:
    """With ``--restart`` a failure is started again, with the pause that the policy says; a final code is not."""
    started = program.start("""
        import stayon
        service = Service("s", restart=stayon.backoff("100ms", cap="100ms"))

        @service.run
        def main(ctx):
            with open("starts", "a") as file:
                file.write("x")
            count = len(open("starts").read())
            ctx.log.info("begun", count=count)
            if count > 2:
                raise stayon.ConfigError("no dsn")
            raise ValueError("again")
        """)
    assert started.wait() == 78, started.err
    assert [record["fields"]["count"] for record in started.records("begun")] == [1, 2, 3]
    assert started.err.count("s: starting again in") == 2
    assert "s: not starting again" in started.err
    assert {record["pid"] for record in started.log()} == {started.pid}


def test_words_that_make_no_sense(program: Program) -> None:
    """Used wrongly is 64: one line that says what, and the nearest right word; then where help is."""
    program.write(program.eight_lines)
    cases = {
        ("stats",): ("there is no verb 'stats'. Did you mean \"status\"?", "usage.verb"),
        ("run", "--levle", "debug"): ('run has no option --levle. Did you mean "--level"?', "usage.option"),
        ("logs", "-n", "many"): ("--lines 'many' is not a number", "usage.option"),
        ("run", "more"): ("'more' is one word too many", "usage.extra-word"),
        ("stop", "--timeout", "soon"): ("soon", "spec.duration"),
        ("status", "--json=yes"): ("--json takes no value", "usage.option"),
        ("run", "--config"): ("--config needs FILE", "usage.option"),
        ("run", "--level", "loud"): ('no log level is called "loud"', "usage.option"),
    }
    for words, (text, code) in cases.items():
        answer = program.verb(*words)
        assert (answer.code, answer.out) == (64, ""), (words, answer)
        first, *rest = answer.err.splitlines()
        assert text in first
        assert f"[{code}]" in first
        assert rest == ["Help: p.py help"], answer
    assert not program.home.exists(), "nothing is made before the words are understood"


def test_the_command_needs_to_be_told_what(program: Program) -> None:
    """``stayon`` alone, without a service, or with one that is not there: 64 and one line each."""
    program.write(program.eight_lines)
    for words in ((), ("status",), ("status", "other.py"), ("status", "p.py:other"), ("run", "s"), ("doctor", "s")):
        answer = program.stayon(*words)
        assert (answer.code, answer.out) == (64, ""), (words, answer)
        assert len(answer.err.splitlines()) == 2, answer
    assert program.call(sys.executable, "-m", "stayon", "status", "nosuchmodule:service").code == 70
