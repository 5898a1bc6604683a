"""The launcher as the SCM's end of a service: before there is a Python, and when it hands over."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.build.windows_programs import Installed, Programs, launcher
from tests.windows.lab import STOP, CallError, Lab, wait_until

pytestmark = pytest.mark.slow

# The least that a service has to do: wait for the call, hear controls, tell its states. What it is to wait for is a
# file beside it, which is looked for: nothing else is there to wait on.
SERVICE = """
import _stayon, _thread, nt, time, sys
FOLDER = _stayon.executable.rpartition("\\\\")[0] + "\\\\"
STOP_PENDING, RUNNING, STOPPED = 3, 4, 1

def put(name, text):
    file = nt.open(FOLDER + name, nt.O_WRONLY | nt.O_CREAT | nt.O_APPEND, 0o600)
    nt.write(file, ascii(text).encode() + b"\\n")
    nt.close(file)

def await_file(name):
    while name not in nt.listdir(FOLDER):
        time.sleep(0.01)

{before}

def main():
    heard = []
    stopped = _thread.allocate_lock()
    stopped.acquire()
    def handle(control, kind, data):
        heard.append((control, kind, data))
        if control == 1:
            _stayon.service_status(STOP_PENDING, 0, 0, 0, 1, 5000)
            stopped.release()
        return 0
    put("words", _stayon.service_wait(10.0))
{early}
    _stayon.service_handler(handle)
    put("handle", _stayon.service_handle() != 0)
    put("started", [_stayon.service_status(2, 1, 0, 0, 1, 15000), _stayon.service_status(RUNNING, 1, 0, 0, 0, 0)])
    stopped.acquire()
    put("heard", heard)
    {last}
"""
STOPPED_WELL = "_stayon.service_status(STOPPED, 0, 0, 0, 0, 0)"


def source(*, before: str = "", early: str = "", last: str = STOPPED_WELL) -> str:
    """The service, with lines of its own at its import, in main() before it hears anything, and as the last one."""
    return SERVICE.format(before=before, early=f"    {early}", last=last)


def told(made: Installed, name: str) -> object:
    """What the service has put into the file *name*."""
    return eval((made.exe.parent / name).read_text(), {"__builtins__": {}})  # noqa: S307  # our own program's


@pytest.fixture(scope="module")
def programs(lab: Lab) -> Programs:
    """Programs for the lab."""
    return Programs(lab)


def test_a_service_starts_hears_and_stops(programs: Programs) -> None:
    """Arguments, controls and states pass; what it stopped with is what the SCM has."""
    made = programs.service(source())
    running = made.service.start("one", "zwei €")
    assert running["pid"] > 0
    assert told(made, "words") == (made.service.name, "one", "zwei €")
    made.service.control(200)
    stopped = made.service.stop()
    assert (stopped["exit_code"], stopped["specific"]) == (0, 0)
    assert told(made, "handle") is True
    assert told(made, "started") == [0, 0]
    assert told(made, "heard") == [(200, 0, b""), (STOP, 0, b"")]


def test_the_scm_is_answered_while_python_loads(programs: Programs) -> None:
    """START_PENDING at once, with checkpoint and wait hint growing, and growing on when Python speaks."""
    made = programs.service(source(before='await_file("go")', early='await_file("on")'))
    made.service.begin_start()
    first = made.service.wait("START_PENDING")
    assert (first["checkpoint"], first["wait_hint_ms"], first["accepted"]) == (1, 15_000, 1)
    second = wait_until(lambda: (found := made.service.status())["checkpoint"] == 2 and found, "a second sign of life")
    assert second["wait_hint_ms"] == 16_000
    (made.exe.parent / "go").touch()
    wait_until((made.exe.parent / "words").exists, "its call")
    (made.exe.parent / "on").touch()
    seen = made.service.wait("RUNNING")["seen"]
    starting = [(one["checkpoint"], one["wait_hint_ms"]) for one in seen if one["state"] == "START_PENDING"]
    assert starting == sorted(set(starting))
    made.service.stop()


def test_a_stop_during_load_is_told_at_once_and_kept_for_python(programs: Programs) -> None:
    """STOP_PENDING when the control returns; Python hears of it when it listens, and can't say RUNNING any more."""
    made = programs.service(source(before='await_file("go")'))
    made.service.begin_start()
    made.service.wait("START_PENDING")
    made.service.control(STOP)
    assert made.service.status()["state"] == "STOP_PENDING"
    (made.exe.parent / "go").touch()
    stopped = made.service.wait("STOPPED")
    assert {one["state"] for one in stopped["seen"]} <= {"STOP_PENDING", "STOPPED"}
    assert (stopped["exit_code"], stopped["specific"]) == (0, 0)
    assert told(made, "heard") == [(STOP, 0, b"")]


def test_a_stop_is_no_failure_even_if_python_never_comes(programs: Programs) -> None:
    """Asked to stop, and unable to start: STOPPED without an error, so that recovery leaves it."""
    made = programs.service(source(before='await_file("go")\nraise SystemExit(70)'))
    made.service.begin_start()
    made.service.wait("START_PENDING")
    made.service.control(STOP)
    (made.exe.parent / "go").touch()
    stopped = made.service.wait("STOPPED")
    assert (stopped["exit_code"], stopped["specific"]) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"before": "raise RuntimeError"}, 70),
        ({"before": "raise SystemExit(78)"}, 78),
        ({"last": "return 75"}, 75),
    ],
    ids=["it raises", "it exits", "it returns"],
)
def test_an_end_that_python_tells_nobody_is_told(programs: Programs, changes: dict[str, str], code: int) -> None:
    """A program that ends without a word to the SCM is STOPPED with its exit code, not just gone."""
    made = programs.service(source(**changes))
    if "last" in changes:
        made.service.start()
        made.service.control(STOP)
        stopped = made.service.wait("STOPPED")
    else:
        stopped = made.service.start_in_vain()
    assert (stopped["exit_code"], stopped["specific"]) == (1066, code)


def test_a_damaged_program_is_stopped_with_its_code(programs: Programs) -> None:
    """A failure before Python: ERROR_SERVICE_SPECIFIC_ERROR and 78, and the SCM has not waited for it."""
    made = programs.service(source())
    content = bytearray(made.exe.read_bytes())
    content[-100_000] ^= 1
    made.exe.write_bytes(content)
    began = time.monotonic()
    stopped = made.service.start_in_vain()
    assert (stopped["exit_code"], stopped["specific"]) == (1066, 78)
    assert time.monotonic() - began < 10


def test_a_person_is_told_at_once(lab: Lab, programs: Programs) -> None:
    """By hand, the SCM's command line ends with one line and exit code 69."""
    exe = programs.exe(lab.folder / "person" / "person.exe", source())
    began = time.monotonic()
    answer = lab.exe(exe, "--service", "nobody")
    assert answer.code == 69
    assert answer.err.rstrip().endswith("[scm.not-started-by-it]")
    assert len(answer.err.splitlines()) == 1
    assert time.monotonic() - began < 10


def test_a_service_has_standard_handles(programs: Programs) -> None:
    """The SCM gives none; there are three all the same, which lead nowhere."""
    look = 'put("handles", [_winapi.GetFileType(_winapi.GetStdHandle(number)) for number in (-10, -11, -12)])'
    made = programs.service(source(before=f"import _winapi\n{look}"))
    made.service.start()
    made.service.stop()
    assert told(made, "handles") == [2, 2, 2]  # FILE_TYPE_CHAR


def test_python_can_listen_but_once(programs: Programs) -> None:
    """A second listener, or one that can't be called, is an error; the first stays."""
    tries = """
def refused(what):
    try:
        _stayon.service_handler(what)
    except ValueError:
        return True
"""
    last = f'put("refused", [refused(1), refused(print)]); {STOPPED_WELL}'
    made = programs.service(source(before=tries, early='put("nothing", refused(None))', last=last))
    made.service.start()
    made.service.stop()
    assert told(made, "refused") == [True, True]
    assert told(made, "nothing") is True


def test_what_a_listener_raises_is_no_answer(programs: Programs) -> None:
    """The service goes on."""
    raises = (
        "def broken(*_words): raise RuntimeError\nsys.unraisablehook = lambda about: put('raised', str(about.exc_type))"
    )
    early = "handle = lambda *words, good=handle: broken() if words[0] == 200 else good(*words)"
    made = programs.service(source(before=raises, early=early))
    made.service.start()
    made.service.control(200)
    assert "RuntimeError" in str(told(made, "raised"))
    assert made.service.stop()["specific"] == 0


def test_without_the_scm_python_is_told_so(lab: Lab, programs: Programs) -> None:
    """In a program that is no service, the functions say error 1063, no handle."""
    boot = """
import _stayon, nt
def main():
    _stayon.service_handler(print)
    told = [_stayon.service_wait(0.0), _stayon.service_handle(), _stayon.service_status(4, 0, 0, 0, 0, 0)]
    nt.write(1, ascii(told).encode())
"""
    answer = lab.exe(programs.exe(lab.folder / "plain" / "plain.exe", boot))
    assert (answer.out, answer.code) == ("[1063, 0, 6]", 0), answer


def test_a_bare_launcher_as_a_service_is_stopped(lab: Lab) -> None:
    """Whose payload was taken away, by whatever went over the file, says so to the SCM."""
    service = lab.program("")
    exe = Path(service.folder / "bare.exe")
    exe.write_bytes(launcher())
    try:
        lab.ask("create", service.name, f'"{lab.named(exe)}" --service {service.name}')
        stopped = service.start_in_vain()
    except CallError as error:
        raise AssertionError(error) from error
    assert (stopped["exit_code"], stopped["specific"]) == (1066, 78)
