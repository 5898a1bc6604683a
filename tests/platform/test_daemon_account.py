"""A daemon that root starts for another account: all of root is gone from it, and its things are its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stayon.platforms.daemon.account import find
from tests.platform import daemons as rooms

if TYPE_CHECKING:
    from tests.platform.conftest import Answer, Program
    from tests.platform.daemons import Daemons

pytestmark = [pytest.mark.linux, pytest.mark.needs_root]

NOBODY = 65534

DECLARED = """
service = Service("s")
service.installation(account="nobody", limits={"nofile": "100:200"}, environment={"COLOUR": "blue"})

@service.run
def main(ctx):
    ctx.ready()
    ctx.stopping.wait()
"""


def _may_be_run_by_nobody(python: str) -> bool:
    check = "import os, sys; os.setgroups(()); os.setgid(65534); os.setuid(65534); os.execv(sys.argv[1], sys.argv[1:])"
    import_it = "import sys; assert sys.version_info >= (3, 11); import ctypes, stayon"
    environment = {**os.environ, "PYTHONPATH": str(Path(rooms.__file__).parents[2] / "src")}
    command = [sys.executable, "-c", check, python, "-c", import_it]
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def common_python() -> str:
    """A Python that every account may run: the one that runs the tests may be in a closed home directory."""
    for python in (sys.executable, shutil.which("python3", path="/usr/bin")):
        if python and _may_be_run_by_nobody(python):
            return python
    pytest.skip("the account nobody can run neither this Python nor /usr/bin/python3 (3.11 or newer) with this stayon")


@pytest.fixture
def daemons(program: Program, until: Callable[..., Any], common_python: str) -> Iterator[Daemons]:
    """The program as a daemon, which is gone after the test; its folder is open to all."""
    program.folder.chmod(0o755)
    program.home.mkdir()
    program.environment["PYTHONPYCACHEPREFIX"] = str(program.folder / "compiled")
    made = rooms.Daemons(program, until)
    yield made
    made.close()


@pytest.fixture
def as_root(daemons: Daemons, common_python: str) -> Callable[..., Answer]:
    """``as_root(WORD, ...)``: the verb, by the Python that all may run."""
    return lambda *words, **options: daemons.program.call(common_python, str(daemons.program.file), *words, **options)


def test_nothing_of_root_is_left(daemons: Daemons, as_root: Callable[..., Answer]) -> None:
    """All four user and group numbers, the supplementary groups, no capability, and the account's environment."""
    daemons.write()
    environment = {"XDG_RUNTIME_DIR": "/run/user/0", "HOME": "/root", "USER": "root"}
    answer = as_root("run", "--detach", "--account", "nobody", environment=environment)
    assert (answer.code, answer.err) == (0, "")
    facts = rooms.facts(daemons.pid)
    assert facts["Uid"].split() == facts["Gid"].split() == [str(NOBODY)] * 4
    assert facts["Groups"].split() == [str(NOBODY)]
    assert [int(facts[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")] == [0, 0, 0, 0]
    given = dict(
        one.split("=", 1) for one in Path(f"/proc/{daemons.pid}/environ").read_text().split("\0") if "=" in one
    )
    entry = pwd.getpwuid(NOBODY)
    assert (given["HOME"], given["USER"], given["LOGNAME"]) == (entry.pw_dir, "nobody", "nobody")
    assert "XDG_RUNTIME_DIR" not in given


def test_its_things_are_its_own(daemons: Daemons, as_root: Callable[..., Answer]) -> None:
    """Directories and files are the account's, those that root's own run has left as well; the verbs of root reach it,
    and a restart keeps the account.
    """
    daemons.write()
    assert as_root("run", "--detach").code == 0
    assert as_root("stop").code == 0
    answer = as_root("run", "--detach", "--account=nobody")
    assert (answer.code, answer.err) == (0, "")
    pid = daemons.pid
    for kind in ("logs", "state", "run"):
        folder = daemons.program.place(kind)
        owners = {path.stat().st_uid for path in (folder, *folder.iterdir())}
        assert owners == {NOBODY}, kind
    assert as_root("restart").code == 0
    assert rooms.facts(daemons.pid)["Uid"].split() == [str(NOBODY)] * 4
    assert daemons.pid == pid
    assert as_root("stop").code == 0
    assert as_root("run", "--detach", "--account=nobody").code == 0


def test_a_group_of_ones_own(daemons: Daemons, as_root: Callable[..., Answer]) -> None:
    """USER:GROUP has that group instead of the account's first one; by number where it has no name."""
    daemons.write()
    assert as_root("run", "--detach", "--account", "nobody:7001").code == 0
    facts = rooms.facts(daemons.pid)
    assert facts["Gid"].split() == ["7001"] * 4
    assert facts["Groups"].split() == ["7001"]


def test_supplementary_groups(common_python: str) -> None:
    """All groups of the account, and no other, are those of the process."""
    program = (
        "from stayon.platforms.daemon.account import Account, become\n"
        "become(Account('x', 65534, 7001, (7001, 7002, 7003), '/'))\n"
        "print(open('/proc/self/status').read())"
    )
    source = Path(rooms.__file__).parents[2] / "src"
    done = subprocess.run(
        [common_python, "-c", program], env={"PYTHONPATH": str(source)}, capture_output=True, text=True, check=True
    )
    facts = dict(line.split(":", 1) for line in done.stdout.splitlines() if ":" in line)
    assert facts["Groups"].split() == ["7001", "7002", "7003"]
    assert facts["Uid"].split() == [str(NOBODY)] * 4


def test_the_groups_that_id_says() -> None:
    """For every account of this computer, they are those of id(1)."""
    for entry in pwd.getpwall():
        said = subprocess.run(["id", "-G", entry.pw_name], capture_output=True, text=True, check=True).stdout
        assert set(find(entry.pw_name).groups) == set(map(int, said.split())), entry.pw_name


def test_numbers_without_names(daemons: Daemons, as_root: Callable[..., Answer]) -> None:
    """In a container an account may be a number; then it needs a group."""
    daemons.write()
    refused = as_root("run", "--detach", "--account", "7777")
    assert (refused.code, "[daemon.account]" in refused.err) == (64, True)
    assert as_root("run", "--detach", "--account", "7777:7778").code == 0
    facts = rooms.facts(daemons.pid)
    assert (facts["Uid"].split()[0], facts["Groups"].split()) == ("7777", ["7778"])


def test_what_the_service_declares(daemons: Daemons, as_root: Callable[..., Answer]) -> None:
    """Account, limits and environment of ``service.installation`` hold; an option goes before."""
    daemons.write(DECLARED)
    answer = as_root("run", "--detach", "--limit", "core=0")
    assert (answer.code, answer.err) == (0, "")
    pid = daemons.pid
    assert rooms.facts(pid)["Uid"].split()[0] == str(NOBODY)
    limits = [line.split() for line in Path(f"/proc/{pid}/limits").read_text().splitlines()]
    assert ["Max", "open", "files", "100", "200", "files"] in limits
    assert ["Max", "core", "file", "size", "0", "0", "bytes"] in limits
    assert b"COLOUR=blue" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


@pytest.mark.parametrize(("account", "named"), [("ghost", "ghost"), ("nobody:ghosts", "ghosts"), ("nobody:", "''")])
def test_an_account_that_does_not_exist(
    daemons: Daemons, as_root: Callable[..., Answer], account: str, named: str
) -> None:
    """64, naming what there isn't, and nothing is made."""
    daemons.write()
    answer = as_root("run", "--detach", "--account", account)
    assert answer.code == 64
    assert f"this computer has no {'account' if named == 'ghost' else 'group'} " in answer.err
    assert named in answer.err
    assert not list(daemons.program.home.iterdir())


def test_only_root_can(daemons: Daemons, as_nobody: list[str], as_root: Callable[..., Answer]) -> None:
    """Another account can't become a third: 77; its own it may say."""
    daemons.write()
    home = daemons.program.folder / "n"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    own = {"STAYON_HOME": str(home)}
    refused = as_root("run", "--detach", "--account", "root", prefix=as_nobody, environment=own)
    assert refused.code == 77
    assert "only root can start it as root" in refused.err
    assert "[daemon.not-root]" in refused.err
    done = as_root("run", "--detach", "--account", "nobody", prefix=as_nobody, environment=own)
    assert done.code == 0, done.err
    assert as_root("stop", prefix=as_nobody, environment=own).code == 0


def test_a_limit_that_is_too_high(daemons: Daemons, as_nobody: list[str], as_root: Callable[..., Answer]) -> None:
    """Who may not raise a hard limit hears which one, and what it is: 77."""
    daemons.write()
    home = daemons.program.folder / "n"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    prefix = ["sh", "-c", 'ulimit -n 500; exec "$@"', "sh", *as_nobody]
    answer = as_root("run", "--detach", "--limit", "nofile=501", prefix=prefix, environment={"STAYON_HOME": str(home)})
    assert answer.code == 77
    assert "the limit nofile can't be 501" in answer.err
    assert "it is 500:500 here" in answer.err
    assert "[daemon.limit]" in answer.err


def test_a_directory_of_a_third_account(daemons: Daemons, as_root: Callable[..., Answer]) -> None:
    """What belongs to somebody else is not given away: 77, with how to."""
    daemons.write()
    state = daemons.program.place("state")
    state.mkdir(parents=True)
    os.chown(state, 7777, 7777)
    answer = as_root("run", "--detach", "--account", "nobody")
    assert answer.code == 77
    assert str(state) in answer.err
    assert state.stat().st_uid == 7777


def test_a_home_in_the_directory_of_a_third_account(daemons: Daemons, as_root: Callable[..., Answer]) -> None:
    """Whoever may lay a link there could have root give anything away: 77, and nothing is made."""
    daemons.write()
    theirs = daemons.program.folder / "theirs"
    theirs.mkdir()
    (theirs / "home").mkdir()
    os.chown(theirs, 7777, 7777)
    daemons.program.environment["STAYON_HOME"] = str(theirs / "home")
    answer = as_root("run", "--detach", "--account", "nobody")
    assert answer.code == 77
    assert f"{theirs}: " in answer.err
    assert "[places.unsafe]" in answer.err
    assert list((theirs / "home").iterdir()) == []


def test_links_are_not_given_away(daemons: Daemons, as_root: Callable[..., Answer]) -> None:
    """A symbolic link in a directory changes hands itself; what it leads to stays root's."""
    daemons.write()
    logs = daemons.program.place("logs")
    logs.mkdir(parents=True)
    precious = daemons.program.folder / "precious"
    precious.write_text("x")
    (logs / "link").symlink_to(precious)
    assert as_root("run", "--detach", "--account", "nobody").code == 0
    assert (precious.stat().st_uid, (logs / "link").lstat().st_uid) == (0, NOBODY)


def test_a_directory_where_it_may_not_write(daemons: Daemons, as_nobody: list[str]) -> None:
    """An account that can't make its directories is told which: 77, from the command itself."""
    daemons.write()
    answer = daemons.program.verb("run", "--detach", prefix=as_nobody)
    assert answer.code == 77
    assert "[places.not-permitted]" in answer.err


def test_a_program_that_it_may_not_read(daemons: Daemons, as_root: Callable[..., Answer]) -> None:
    """Python's own word for that comes through, with Python's exit code."""
    daemons.write()
    daemons.program.file.chmod(0o600)
    answer = as_root("run", "--detach", "--account", "nobody")
    assert answer.code == 2
    assert "Permission denied" in answer.err


def test_a_pid_file_that_it_may_not_choose(daemons: Daemons, as_root: Callable[..., Answer]) -> None:
    """The pid file is root's, and the daemon can only read it: nobody who takes it over can have root kill a stranger.
    Where it can't remove it either, it stays, unlocked.
    """
    daemons.write()
    file = daemons.program.folder / "s.pid"
    assert as_root("run", "--detach", "--account", "nobody", "--pid-file", str(file)).code == 0
    pid = daemons.pid
    assert (file.read_text(), file.stat().st_uid, file.stat().st_mode & 0o777) == (f"{pid}\n", 0, 0o644)
    fd = next(fd for fd, path in rooms.descriptors(pid).items() if path == str(file))
    assert Path(f"/proc/{pid}/fdinfo/{fd}").read_text().split("flags:")[1].split()[0][-1] == "0"  # O_RDONLY
    assert as_root("stop").code == 0
    assert file.exists()
    daemons.until(lambda: not rooms.is_locked(file), "the end of its last thread")
    assert as_root("run", "--detach", "--account", "nobody", "--pid-file", str(file)).code == 0


@pytest.mark.parametrize("owner", [NOBODY, 7777])
def test_a_pid_file_that_it_could_replace(daemons: Daemons, as_root: Callable[..., Answer], owner: int) -> None:
    """Who owns a directory on the way could put another number there, which root's script kills: 77, with where to."""
    daemons.write()
    theirs = daemons.program.folder / "theirs"
    (theirs / "pids").mkdir(parents=True)
    os.chown(theirs, owner, owner)
    file = theirs / "pids" / "s.pid"
    answer = as_root("run", "--detach", "--account", "nobody", "--pid-file", str(file))
    assert answer.code == 77
    assert "[daemon.pid-file-unsafe]" in answer.err
    assert "--pid-file /run/" in answer.err
    assert not file.exists()


def test_one_that_could_become_root_again(daemons: Daemons, as_root: Callable[..., Answer]) -> None:
    """Where the system doesn't take root's rights away with its number, nothing is started: 77."""
    daemons.write()
    answer = as_root("run", "--detach", "--account", "nobody", prefix=["setpriv", "--securebits=+no_setuid_fixup"])
    assert answer.code == 77
    assert "could not become the account nobody" in answer.err
    assert "it could become the user root again" in answer.err
    assert "[daemon.switch]" in answer.err
    assert daemons.pid == 0
