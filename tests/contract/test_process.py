"""What the system says about this process, and what is made right before it becomes a service."""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest

if sys.platform == "win32":
    from stayon.platforms.windows import prepare as preparing
    from stayon.platforms.windows import process
    from stayon.platforms.windows.process import ProcessFigures, facts, process_identity
else:
    import resource

    from stayon.platforms import process
    from stayon.platforms import unix as preparing
    from stayon.platforms.identity import process_identity
    from stayon.platforms.process import ProcessFigures, facts

PREPARE = f"import os, sys\nfrom {preparing.__name__} import prepare\n"


def test_the_figures_are_right() -> None:
    """Each is near what another source says."""
    figures = ProcessFigures()()
    assert figures["cpu_s"] == pytest.approx(time.process_time(), abs=0.1)
    assert sys.platform == "win32" or figures["max_files"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@pytest.mark.windows
def test_the_figures_of_windows_are_right() -> None:
    """Memory grows by what is taken, and the start time is a moment ago; the start stays the same."""
    read = ProcessFigures()
    before = read()
    block = b"x" * 20_000_000
    after = read()
    assert after["resident_bytes"] - before["resident_bytes"] > len(block) / 2
    assert 0 < time.time() - before["start_time"] < 3600
    assert after["start_time"] == before["start_time"]


@pytest.mark.linux
def test_the_figures_of_linux_are_right() -> None:
    """Memory, files, threads and the start time, against the kernel's other tables."""
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file)
    figures = ProcessFigures()()
    assert figures["resident_bytes"] == pytest.approx(int(status["VmRSS"].split()[0]) * 1024, rel=0.05)
    assert figures["virtual_bytes"] == pytest.approx(int(status["VmSize"].split()[0]) * 1024, rel=0.05)
    assert figures["threads"] == len(os.listdir("/proc/self/task"))
    assert figures["open_files"] == len(os.listdir("/proc/self/fd")) - 1
    assert figures["start_time"] == pytest.approx(os.stat("/proc/self").st_ctime, abs=5)


@pytest.mark.linux
def test_the_figures_follow_what_happens() -> None:
    """A file more, a thread more, memory more; the start stays the same."""
    read = ProcessFigures()
    before = read()
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    fd = os.open("/dev/null", os.O_RDONLY)
    block = b"x" * 20_000_000
    after = read()
    done.set()
    thread.join()
    os.close(fd)
    assert after["open_files"] - before["open_files"] == 1
    assert after["threads"] - before["threads"] == 1
    assert after["resident_bytes"] - before["resident_bytes"] > len(block) / 2
    assert after["start_time"] == before["start_time"]


@pytest.mark.linux
@pytest.mark.windows
def test_the_figures_are_cheap() -> None:
    """Less than 0.1 ms (Windows, and Wine: 1 ms), at best, as each scrape asks for them."""
    read = ProcessFigures()
    best = 1.0
    for _ in range(200):
        before = time.perf_counter()
        read()
        best = min(best, time.perf_counter() - before)
    assert best < (0.001 if sys.platform == "win32" else 0.0001)


@pytest.mark.linux
def test_a_program_s_name_may_be_anything(run_python) -> None:
    """Parentheses and spaces in the name do not shift the fields."""
    program = """
import threading
from stayon.platforms.process import ProcessFigures
with open("/proc/self/comm", "w") as file:
    file.write("a) S (b 1 2")
print(int(ProcessFigures()()["threads"]))
"""
    assert run_python(program).communicate()[0] == "1\n"


@pytest.mark.linux
@pytest.mark.macos
def test_without_proc_there_are_fewer_figures(monkeypatch) -> None:
    """Not Linux, or no /proc in the jail: what the C library knows is told."""

    def missing() -> list[bytes]:
        raise FileNotFoundError

    monkeypatch.setattr(process, "_stat_fields", missing)
    assert set(ProcessFigures()()) == {"cpu_s", "max_files"}


def test_the_facts_say_who_and_where() -> None:
    """Account, computer and versions; and nothing of the arguments, which may be secret."""
    told = facts()
    assert told["python"] == sys.version.split()[0]
    if sys.platform == "win32":
        assert told["sid"].startswith("S-1-5-")
        assert told["account"].endswith(os.environ["USERNAME"])
        assert told["host"] == os.environ["COMPUTERNAME"]
    else:
        assert (told["uid"], told["host"]) == (os.geteuid(), os.uname().nodename)
    assert {"account", "system", "kernel", "executable", "program", "directory", "parent_pid"} < set(told)
    assert all(isinstance(value, (str, int)) for value in told.values())


@pytest.mark.linux
@pytest.mark.macos
def test_the_facts_come_also_from_nowhere(run_python, tmp_path) -> None:
    """The directory was removed, the account has no name: it is said, and nothing raises."""
    program = """
import os, sys
from stayon.platforms.process import facts
os.chdir(sys.argv[1])
os.rmdir(sys.argv[1])
if os.geteuid() == 0:
    os.setuid(54321)
print(facts()["directory"], "|", facts()["account"])
"""
    (tmp_path / "gone").mkdir()
    directory, account = run_python(program, str(tmp_path / "gone")).communicate()[0].split("|")
    assert directory.strip() == "(it has been removed)"
    assert account.strip() == "uid 54321" or os.geteuid() != 0


def test_a_process_is_more_than_its_pid(run_python) -> None:
    """Two processes never look the same, one always does; one that has ended, buried or not, is nobody."""
    child = run_python("import sys; sys.stdin.read()", stdin=-1)
    alive = process_identity(child.pid)
    assert alive
    assert process_identity(child.pid) == alive
    assert process_identity(os.getpid()) != alive
    child.stdin.close()
    if sys.platform != "win32":
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert process_identity(child.pid) == ""
    child.wait(5)
    assert process_identity(child.pid) == ""


@pytest.mark.linux
@pytest.mark.macos
def test_the_account_s_home(monkeypatch) -> None:
    """What HOME says, else what the password database says, else nothing."""
    import pwd

    assert preparing.account_home("/home/ann") == "/home/ann"
    assert preparing.account_home("") == pwd.getpwuid(os.geteuid()).pw_dir
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert preparing.account_home("") == ""


@pytest.mark.linux
@pytest.mark.macos
def test_missing_handles_are_filled(run_python) -> None:
    """Started with 0, 1 and 2 closed: a file that is opened afterwards is none of them, and print harms nobody."""
    program = """
prepare()
prepare()
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
print("lost")
sys.stderr.write("lost")
os.write(fd, f"{fd > 2} {sys.stdin.read()!r} {[os.get_inheritable(fd) for fd in range(3)]}".encode())
"""
    read_fd, write_fd = os.pipe()
    closing = """
import os, sys
for fd in (0, 1, 2):
    os.close(fd)
os.execv(sys.executable, [sys.executable, '-c', *sys.argv[1:]])
"""
    child = run_python(closing, PREPARE + program, f"/dev/fd/{write_fd}", pass_fds=[write_fd])
    os.close(write_fd)
    assert os.read(read_fd, 1000) == b"True '' [True, True, True]"
    assert child.wait(5) == 0
    os.close(read_fd)


@pytest.mark.linux
@pytest.mark.macos
def test_files_are_not_for_everybody(run_python) -> None:
    """The umask keeps others out and lets the group read."""
    assert run_python(PREPARE + "prepare()\nprint(oct(os.umask(0)))").communicate()[0] == "0o27\n"


@pytest.mark.linux
@pytest.mark.skipif(
    not hasattr(os, "confstr") or "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""),
    reason="mallopt's arenas are glibc's",
)
def test_threads_share_the_memory_they_gave_back(run_python) -> None:
    """Sixteen threads use 0.8 MB one after the other: it is the same, where glibc would keep some for each of them."""
    work = """
import ctypes, threading
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
def private_kb():
    with open("/proc/self/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
def work():
    with one_at_a_time:
        blocks = [libc.malloc(40_000) for _ in range(20)]
        for block in blocks:
            ctypes.memset(block, 1, 40_000)
        for block in blocks[:-1]:
            libc.free(block)
    done.wait()
    done.wait()
one_at_a_time, done = threading.Lock(), threading.Barrier(17)
before = private_kb()
for _ in range(16):
    threading.Thread(target=work).start()
done.wait()
print(private_kb() - before)
done.wait()
"""
    plain = int(run_python(work).communicate()[0])
    prepared = int(run_python(PREPARE + "prepare()\n" + work).communicate()[0])
    assert prepared < plain / 2


@pytest.mark.windows
def test_without_handles_what_is_printed_harms_nobody(run_python) -> None:
    """As the SCM or pythonw.exe starts it, with no standard handles: they are NUL, and a file is none of them."""
    program = """
os.close(1), os.close(2), os.close(0)
sys.stdin = sys.stdout = sys.stderr = None
prepare()
prepare()
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
print("lost")
sys.stderr.write("lost")
os._exit(40 + fd if sys.stdin.read() == "" else 1)
"""
    child = run_python(PREPARE + program, os.devnull)
    assert child.wait(20) == 43


@pytest.mark.windows
def test_a_file_that_is_read_may_be_renamed_and_removed(tmp_path) -> None:
    """Who follows a log is not in the way of its rotation; a missing file is told as anywhere."""
    path = tmp_path / "a.log"
    path.write_bytes(b"one\r\ntwo\x1a\n")
    fd = preparing.open_shared(str(path))
    path.rename(tmp_path / "b.log")
    (tmp_path / "b.log").unlink()
    assert os.read(fd, 100) == b"one\r\ntwo\x1a\n"
    os.close(fd)
    with pytest.raises(FileNotFoundError):
        preparing.open_shared(str(path))
