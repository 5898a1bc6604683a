"""One file, copied to a Windows without Python: its life there, its failures, and what it leaves."""

from __future__ import annotations

import concurrent.futures
import itertools
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stayon import exits
from stayon.build import image
from stayon.build.payload import HEAD, REST
from tests.build.bare_windows import NAME, Collector, files
from tests.windows import lab as laboratory
from tests.windows.lab import Lab, wait_until

pytestmark = [pytest.mark.linux, pytest.mark.slow, pytest.mark.timeout(300)]

FIRST_STARTS = 20
REFUSALS = ("launcher.damaged", "launcher.format", "launcher.no-payload")
# Begins a program in a console of its own, and presses Ctrl-C there when it is told to.
IN_A_CONSOLE = """
import ctypes, subprocess, sys
kernel = ctypes.WinDLL("kernel32")
kernel.FreeConsole()
kernel.AllocConsole()
nowhere = {name: subprocess.DEVNULL for name in ("stdin", "stdout", "stderr")}
process = subprocess.Popen(sys.argv[1:], **nowhere)
sys.stdin.readline()
kernel.SetConsoleCtrlHandler(None, True)
kernel.GenerateConsoleCtrlEvent(0, 0)
print(process.wait(20))
"""
FAR = "Prüfung 試験 " + "tief " * 20


@pytest.fixture(scope="module")
def computer(refuse: Callable[[str], object]) -> Iterator[Lab]:
    """One that has no Python; the program is copied to it, and has never run."""
    try:
        with laboratory.opened(with_python=False) as made:
            Collector(made).copy()
            yield made
    except laboratory.NoLabError as error:
        refuse(f"the lab of Windows services can't be had: {error}")


@pytest.fixture
def collector(computer: Lab) -> Iterator[Collector]:
    """The program, put into the SCM by itself."""
    made = Collector(computer)
    made.done("install")
    yield made
    made.end()
    made.done("uninstall", "--purge", "--yes")


def runtime(lab: Lab) -> Path:
    """Where it puts the interpreter, for all accounts."""
    return lab.data / "stayon" / "runtime"


def test_there_is_no_python(computer: Lab) -> None:
    """What the other tests rely on: nothing on the computer's disk is one, but what the program brings."""
    assert not [path for path in files(computer, [runtime(computer)]) if "python" in path.lower()]


def test_twenty_first_starts_at_once_leave_one_runtime(computer: Lab) -> None:
    """All of them run; the interpreter is there once, whole, and nothing of the others' tries."""
    shutil.rmtree(runtime(computer), ignore_errors=True)
    one = Collector(computer)
    with concurrent.futures.ThreadPoolExecutor(FIRST_STARTS) as executor:
        answers = list(executor.map(lambda _: one.verb("info", "--json"), range(FIRST_STARTS)))
    assert [answer.code for answer in answers] == [exits.DONE] * FIRST_STARTS, answers
    (told,) = {each["path"] for answer in answers for each in answer.json["sets"]}
    sets = [path.name for path in runtime(computer).iterdir() if path.is_dir() and len(path.name) == 32]
    assert sets == [told.rpartition("\\")[2]]
    assert not [path.name for path in runtime(computer).iterdir() if path.name.startswith(".")]


def test_nothing_but_its_own_is_written_and_after_the_first_start_only_that(collector: Collector) -> None:
    """The first start writes the interpreter and the service's own files, later ones only these; no process is
    begun, and no temporary directory is left.
    """
    lab = collector.lab
    shutil.rmtree(runtime(lab))
    before = files(lab, [collector.place])
    for number in range(3):
        pid = collector.start()["pid"]
        collector.wait_log("collected", number + 1)
        assert lab.ask("children", pid) == []
        collector.stop()
        after = files(lab, [collector.place])
        new = {path for path in after if after[path] != before.get(path)}
        place = str(runtime(lab).relative_to(lab.drive))
        assert before.keys() <= after.keys()
        assert [path for path in new if not path.startswith(place)] == []
        assert bool(new) == (number == 0)
        before = after


def test_its_life_in_the_scm(collector: Collector) -> None:
    """START, PAUSE, a code of its own, CONTINUE and STOP do what they say; its log can be read by its own word."""
    collector.start()
    collector.wait_log("collected", 2)
    collector.control(laboratory.PAUSE)
    collector.wait("PAUSED")
    collector.control(200)
    assert collector.wait_log("heard")["fields"]["code"] == 200
    collected = len(collector.records("collected"))
    collector.control(laboratory.INTERROGATE)
    assert collector.done("status", "--json").json["state"] == "PAUSED"
    assert len(collector.records("collected")) == collected
    collector.control(laboratory.CONTINUE)
    collector.wait("RUNNING")
    collector.wait_log("collected", collected + 1)
    assert "collected" in collector.done("logs").out
    stopped = collector.stop()
    assert (stopped["exit_code"], stopped["specific"]) == (0, 0)


def test_a_job_that_fails_is_its_exit_code(collector: Collector) -> None:
    """STOPPED with a service-specific error, and the traceback with its line of source in the log."""
    collector.write_config('mode = "fail"\n')
    stopped = collector.start_in_vain()
    assert stopped["specific"] == exits.FAILED
    assert "no such database" in collector.log_text()
    assert 'raise ConnectionError(\\"no such database\\")' in collector.log_text()


def test_a_bad_configuration_is_78(collector: Collector) -> None:
    """The start ends with 78; the log has the line."""
    collector.write_config("mode = [\n")
    assert collector.start_in_vain()["specific"] == exits.BAD_CONFIG
    assert "collector.toml:" in collector.log_text()


def test_a_hang_ends_it(collector: Collector) -> None:
    """The process ends with 86, and the next start tells where it was stuck."""
    pid = collector.start()["pid"]
    ended = collector.lab.begin("exit_code", pid, laboratory.PATIENCE_S)
    collector.write_config('mode = "hang"\n')
    assert ended.result(2 * laboratory.PATIENCE_S) == exits.HANG
    collector.write_config("prices = 3\n")
    collector.start()
    assert "loop.py" in collector.wait_log("crashed or hung")["fields"]["stacks"]
    collector.stop()


def test_it_runs_in_a_console(computer: Lab) -> None:
    """Without a word it is the service, which another of its processes can ask and stop."""
    one = Collector(computer)
    process = computer.popen(one.file)
    try:
        one.wait_log("collected")
        assert one.done("status", "--json").json["state"] == "RUNNING"
        one.done("stop")
        out, err = process.communicate(timeout=laboratory.PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err
    assert "collected" in out + err
    shutil.rmtree(one.place)


def test_ctrl_c_stops_it(computer: Lab) -> None:
    """In a console that it shares with others, it ends well, and says why."""
    one = Collector(computer)
    process = computer.popen(computer.python / "python.exe", "-I", "-u", "-c", IN_A_CONSOLE, one.file)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdin, process.stdout, process.stderr:
        one.wait_log("collected")
        process.stdin.write("\n")
        process.stdin.flush()
        said = process.stdout.readline()
        process.kill()
        process.wait()
    assert said == "0\n"
    assert one.records("stopped")[-1]["fields"]["why"] == "asked to stop by Ctrl-C"
    shutil.rmtree(one.place)


def test_a_long_path_of_any_letters_is_a_services_place(computer: Lab) -> None:
    """Installed from there, the SCM starts it."""
    one = Collector(computer, Path("Program Files", FAR.strip(), "collector.exe"))
    one.copy()
    one.done("install")
    try:
        one.start()
        one.wait_log("collected")
        assert one.stop()["exit_code"] == 0
    finally:
        one.end()
        one.done("uninstall", "--purge", "--yes")


def test_a_file_that_nobody_may_write_runs(computer: Lab) -> None:
    """It needs no right but to be read."""
    one = Collector(computer, Path("Program Files", "Read only", "collector.exe"))
    one.copy()
    one.file.chmod(0o444)
    assert one.done("info", "--json").json["name"] == NAME


def test_a_place_that_cannot_be_made_is_named(computer: Lab) -> None:
    """Where the interpreter can't be put, one line says where, and the exit code is that of a missing right."""
    one = Collector(computer)
    answer = one.verb("info", STAYON_RUNTIME=computer.named(one.file) + "\\below")
    assert answer.code in {exits.NOT_PERMITTED, exits.UNAVAILABLE}, answer
    assert "collector.exe\\below" in answer.err
    assert len(answer.err.splitlines()) == 1


def test_a_flipped_bit_is_refused(computer: Lab) -> None:
    """One bit in the head, in each table, in code and in files, at a place by chance: refused before anything runs."""
    one = Collector(computer, Path("Program Files", "Damaged", "collector.exe"))
    one.copy()
    whole = one.file.read_bytes()
    carried = image.payload_of(whole)
    begin = whole.index(carried)
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    for first, last in _regions(carried):
        place, bit = chance.randrange(first, last), chance.randrange(8)
        damaged = bytearray(whole)
        damaged[begin + place] ^= 1 << bit
        one.file.write_bytes(damaged)
        answer = one.verb("info")
        told = f"seed {seed}: bit {bit} of byte {place}: {answer}"
        assert answer.code == exits.BAD_CONFIG, told
        assert any(code in answer.err for code in REFUSALS), told
    one.file.write_bytes(whole)
    assert one.done("info").code == 0


def _regions(carried: bytes) -> list[tuple[int, int]]:
    """Magic, head, and what the tables say begins where: modules, files, sets, the JSON about it, and the rest."""
    rest = REST.unpack_from(carried, HEAD.size)
    begins = sorted({place for place in (rest[2], rest[4], rest[6], rest[8]) if HEAD.size < place < len(carried)})
    borders = [0, 8, HEAD.size, HEAD.size + REST.size, *begins]
    # What lies behind the last table is code and files, most of it all.
    left = len(carried) - begins[-1]
    borders += [begins[-1] + left * part // 4 for part in (1, 2, 3, 4)]
    return list(itertools.pairwise(borders))


def test_it_is_uninstalled_without_a_trace(computer: Lab) -> None:
    """After ``uninstall --purge`` nothing is left on the disk but the file itself, and what that was running from: it
    is out of the way, and goes with the next start of any such program.
    """
    one = Collector(computer)
    shutil.rmtree(computer.data / "stayon", ignore_errors=True)
    before = files(computer)
    one.done("install")
    one.start()
    one.wait_log("collected")
    one.stop()
    one.done("uninstall", "--purge", "--yes")
    wait_until(lambda: not one.place.exists(), "the end of its files")
    left = files(computer).keys() - before.keys()
    place = str(runtime(computer).relative_to(computer.drive))
    assert [path for path in left if not path.startswith((f"{place}/.", f"{place}/lock"))] == []
