"""The lab: a throwaway systemd with a root, processes and control groups of its own, over a copy-on-write view of /.

``with opened() as lab`` boots one; several may live at once. What it wrote and started is gone when it is closed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

PATIENCE_S = 20.0
BOOT_S = 30.0  # it takes half a second on a quiet machine
CLOSE_S = 5.0
LOOK_S = 0.02
PREFIX = "stayon-lab-"
NAMESPACES = ("--mount", "--uts", "--ipc", "--cgroup", "--propagation=private")
PROGRAMS = ("setpriv", "unshare", "nsenter", "pivot_root", "systemctl", "journalctl", "dbus-daemon")
PACKAGES = ("cronsim",)  # what a service may want besides; only if the tests have it
VENV = "/opt/stayon"
SERVICES = "/opt/services"
USER, USER_ID = "tester", 4242  # an account with a home, and services of its own

ENVIRONMENT = {
    "PATH": f"{VENV}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "SYSTEMD_COLORS": "0",
    "SYSTEMD_PAGER": "",
}

PROGRAM = """\
from stayon import Service
{source}
if __name__ == "__main__":
    service.main()
"""

EIGHT_LINES = """
service = Service("{name}", description="Collects prices every five seconds")

@service.every("5s")
def collect(ctx):
    ctx.log.info("collected", prices=3)
"""


class NoLabError(Exception):
    """There can be no lab here. The text says why, and what to do."""


class Answer(NamedTuple):
    """What a program gave: the exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its answer, where ``--json`` was said."""
        return json.loads(self.out)


def wait_until(is_so: Callable[[], Any], what: str = "it", limit_s: float = PATIENCE_S) -> Any:
    """Look again and again until *is_so* gives something, where nothing tells; gives that."""
    deadline = time.monotonic() + limit_s
    while not (found := is_so()):
        assert time.monotonic() < deadline, f"{what} did not happen within {limit_s:g} s"
        time.sleep(LOOK_S)
    return found


class Lab:
    """A computer that runs systemd. Paths are its own; ``path`` gives this computer's for one."""

    def __init__(self, init: int) -> None:
        self.init = init
        self.python = f"{VENV}/bin/python"
        self._count = 0
        self._services: list[InstalledService] = []
        self._has_user_manager = False

    def furnish(self) -> None:
        """Give it the interpreter that runs this, with the stayon that is tested, where any account may read them."""
        home = "/opt/python" if needs_copy(sys.base_prefix) else sys.base_prefix
        base = f"{home}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
        self.check(base, "-I", "-m", "venv", "--without-pip", VENV)
        packages = next(self.path(f"{VENV}/lib").glob("python*/site-packages"))
        for name in ("stayon", *PACKAGES):
            found = importlib.util.find_spec(name)
            if found is not None and found.origin is not None:
                source = Path(found.origin).parent
                shutil.copytree(source, packages / name, ignore=shutil.ignore_patterns("__pycache__"))
        self.check(self.python, "-I", "-m", "compileall", "-q", f"{VENV}/lib")
        self.path(SERVICES).mkdir(parents=True)

    # -- files and programs

    def path(self, inside: str) -> Path:
        """Where this computer sees the lab's file *inside*. (A symbolic link that is absolute leads out of it.)"""
        return Path(f"/proc/{self.init}/root{inside}")

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        """Make the file *inside*, and the directories that it needs."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(mode)

    def read(self, inside: str) -> str:
        """What the file *inside* says; "" if there is none."""
        path = self.path(inside)
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def command(self, *words: str, user: str = "", **more: str) -> list[str]:
        """The words that run *words* there, as root or *user*, with *more* in an environment free of ours."""
        name, uid, home = self._account(user or "root")
        own = {"HOME": home, "USER": name, "LOGNAME": name, **ENVIRONMENT}
        become: list[str] = []
        if user:
            own["XDG_RUNTIME_DIR"] = f"/run/user/{uid}"
            become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"]
        environment = {**own, **more}
        assigned = [f"{key}={value}" for key, value in environment.items()]
        return ["nsenter", "-t", str(self.init), "-a", "-w/", "env", "-i", *assigned, *become, *words]

    def _account(self, name: str) -> tuple[str, str, str]:
        """Its name, number and home."""
        accounts = [line.split(":") for line in self.read("/etc/passwd").splitlines()]
        return next((fields[0], fields[2], fields[5]) for fields in accounts if fields[0] == name)

    def popen(self, *words: str, user: str = "", environment: dict[str, str] | None = None, **options: Any) -> Any:
        """Start a program there; *options* are ``subprocess.Popen``'s. Its standard handles are pipes, with text."""
        piped = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(
            self.command(*words, user=user, **(environment or {})), start_new_session=True,
            **{"encoding": "utf-8", "errors": "replace", **piped, **options},
        )  # fmt: skip

    def run(
        self, *words: str, user: str = "", limit_s: float = PATIENCE_S, typed: str = "", **environment: str
    ) -> Answer:
        """Run a program there to its end: ``lab.run("systemctl", "is-active", name)``. *typed* is what it reads."""
        with self.popen(*words, user=user, environment=environment) as process:
            try:
                out, err = process.communicate(typed, limit_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                out, err = process.communicate()
                raise AssertionError(f"{words} took longer than {limit_s:g} s: {out}{err}") from None
        return Answer(process.returncode, out, err)

    @contextlib.contextmanager
    def running(self, *words: str, **options: Any) -> Iterator[Any]:
        """As ``popen``; ended at the end of the ``with``, if it hasn't by itself."""
        with self.popen(*words, **options) as process:
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)  # nsenter itself would only end itself
                process.communicate(timeout=PATIENCE_S)

    def check(self, *words: str, **options: Any) -> str:
        """As ``run``, for what has to succeed; gives what it printed."""
        done = self.run(*words, **options)
        assert done.code == 0, f"{words}: {done}"
        return done.out

    def journal(self, *words: str) -> list[dict[str, Any]]:
        """The records that ``journalctl WORDS`` finds, oldest first."""
        out = self.check("journalctl", "--output=json", "--all", "--quiet", *words)
        return [json.loads(line) for line in out.splitlines()]

    # -- services

    def service(self, source: str = EIGHT_LINES, name: str = "", user: str = "") -> InstalledService:
        """A user's file that declares ``service``, not installed yet. ``{name}`` in *source* is the name that it has;
        *user* is whose service it is to be, where it isn't the system's.
        """
        self._count += 1
        made = InstalledService(self, name or f"lab{self._count}", source, user)
        self._services.append(made)
        return made

    def user_manager(self) -> str:
        """Start systemd for the account ``USER``, which lingers; gives its name."""
        if not self._has_user_manager:
            self.check("useradd", "--create-home", f"--uid={USER_ID}", "--shell=/bin/sh", USER)
            self.check("loginctl", "enable-linger", USER)
            self.check("systemctl", "start", f"user@{USER_ID}.service")
            self._has_user_manager = True
        return USER

    def close(self) -> None:
        """Nothing to do: with its init, all of it ends."""


class InstalledService:
    """A user's program as a service. What it asks is asked as a foreign client does; ``verb`` runs ours."""

    def __init__(self, lab: Lab, name: str, source: str, user: str) -> None:
        self.lab, self.name, self.user = lab, name, user
        self.file = f"{SERVICES}/{name}.py"
        self.unit = f"{name}.service"
        self.write(source)

    def write(self, source: str) -> None:
        """The user's file anew."""
        text = PROGRAM.format(source=textwrap.dedent(source).replace("{name}", self.name))
        self.lab.write(self.file, text)

    def write_config(self, text: str, place: str = "/etc") -> None:
        """Its configuration file, replaced as an editor does it: whole."""
        new = f"{place}/{self.name}/.new"
        self.lab.write(new, text)
        self.lab.path(new).replace(self.lab.path(f"{place}/{self.name}/{self.name}.toml"))

    def drop_in(self, text: str) -> None:
        """What an administrator puts beside its unit; systemd knows it at once."""
        self.lab.write(f"/etc/systemd/system/{self.unit}.d/override.conf", text)
        self.lab.check("systemctl", "daemon-reload")

    def touch(self, name: str) -> None:
        """Make an empty file in its state directory."""
        self.lab.path(f"/var/lib/{self.name}/{name}").touch()

    def kill(self, signal_name: str, pid: int = 0) -> None:
        """Send a signal to its main process, or to *pid*."""
        self.lab.check("kill", f"-{signal_name}", str(pid or self.pid))

    def at(self, instance: str) -> InstalledService:
        """The same service's *instance*."""
        other = object.__new__(InstalledService)
        other.__dict__.update(self.__dict__, unit=f"{self.name}@{instance}.service")
        return other

    # -- by ours

    def verb(self, *words: str, **options: Any) -> Answer:
        """``python NAME.py WORDS``."""
        return self.lab.run(self.lab.python, self.file, *words, **{"user": self.user, **options})

    def install(self, *words: str) -> None:
        """``install --now``, which has to succeed."""
        done = self.verb("install", "--now", *words)
        assert done.code == 0, f"{done}\n{self.story()}"

    def uninstall(self) -> None:
        """``uninstall --purge``, which has to succeed."""
        done = self.verb("uninstall", "--purge", "--yes")
        assert done.code == 0, f"{done}\n{self.story()}"

    # -- by systemd

    def systemctl(self, *words: str, **options: Any) -> Answer:
        """``systemctl WORDS`` of the manager that it is kept by."""
        scope = ["--user"] if self.user else []
        return self.lab.run("systemctl", *scope, *words, **{"user": self.user, **options})

    def show(self, *properties: str) -> Any:
        """What systemd says of it: the value of a property, or of several as a dict."""
        out = self.systemctl("show", f"--property={','.join(properties)}", self.unit).out
        found = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
        return found.get(properties[0], "") if len(properties) == 1 else found

    @property
    def pid(self) -> int:
        """The pid of its main process, as the lab counts; 0 if it isn't running."""
        return int(self.show("MainPID") or 0)

    def wait(self, active: str, limit_s: float = PATIENCE_S) -> None:
        """Wait until systemd calls it "active", "inactive", "failed", …"""

        def is_so() -> bool:
            return bool(self.show("ActiveState") == active)

        try:
            wait_until(is_so, f"{self.name} {active}", limit_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story()}") from None

    def status(self) -> Any:
        """What ``status --json`` says."""
        return self.verb("status", "--json").json

    # -- what it wrote

    def journal(self, *words: str) -> list[dict[str, Any]]:
        """Its records in the journal, and systemd's about it, oldest first."""
        whose = "--user-unit" if self.user else "--unit"
        return self.lab.journal(f"{whose}={self.unit}", *words)

    def records(self, message: str) -> list[dict[str, Any]]:
        """Those with *message* in their message."""
        return [record for record in self.journal() if message in str(record.get("MESSAGE", ""))]

    def record(self, message: str) -> dict[str, Any]:
        """The last of our records with *message* in their message, as a log file would have it."""
        found = [json.loads(record["STAYON_RECORD"]) for record in self.records(message) if "STAYON_RECORD" in record]
        assert found, f"no {message!r}\n{self.story()}"
        return dict(found[-1])

    def wait_journal(self, message: str, count: int = 1, limit_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait for the *count*-th record with *message* in its message, and give it."""
        try:
            found = wait_until(lambda: self.records(message)[count - 1 : count], f"{message!r} in the journal", limit_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story()}") from None
        return dict(found[0])

    def story(self) -> str:
        """What there is to say about it when something went wrong."""
        status = self.systemctl("status", "--lines=0", "--no-pager", self.unit)
        records = [f"{record['__REALTIME_TIMESTAMP'][-9:]} {record.get('MESSAGE')}" for record in self.journal("-n40")]
        return "\n".join([status.out + status.err, *records])


def needs_copy(prefix: str) -> bool:
    """Whether the interpreter at *prefix* has to be shown elsewhere: it is below a home, which services may not see."""
    return not prefix.startswith(("/usr", "/opt"))


def refusal() -> str:
    """Why there can be no lab here, and what to do; "" if there can be one."""
    if sys.platform != "linux":
        return "systemd is Linux's"
    if os.geteuid() != 0:
        return "it takes root: sudo python3 dev.py test -- tests/systemd"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)} is missing (on Debian: apt-get install systemd dbus util-linux)"
    if not control_groups():
        return "no cgroup2 is mounted"
    tried = subprocess.run(
        ["unshare", "--pid", "--fork", *NAMESPACES, "true"], capture_output=True, text=True, check=False
    )
    return f"no namespaces: {tried.stderr.strip()}" if tried.returncode else ""


def control_groups() -> str:
    """Where cgroup2 is mounted; "" if it isn't."""
    for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            return before.split()[4]
    return ""


@contextlib.contextmanager
def opened() -> Iterator[Lab]:
    """The lab, and all of it ended afterwards. Raises ``NoLabError`` if there can be none here."""
    reason = refusal()
    if reason:
        raise NoLabError(reason)
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as folder, _group() as group:
        log = Path(folder, "log")
        place = Path(folder, "computer")
        place.mkdir()
        process, told = _start(place, log, group)
        try:
            lab = Lab(_booted(process, told, log))
            lab.furnish()
            yield lab
        finally:
            _end(process)
            told.close()


@contextlib.contextmanager
def _group() -> Iterator[Path]:
    """A control group of its own: several labs, and this computer's own services, may have units of the same name."""
    for leftover in Path(control_groups()).glob(f"{PREFIX}*"):  # of a run that was killed, and its lab with it
        if not Path("/proc", leftover.name.removeprefix(PREFIX).split("-")[0]).exists():
            _remove_group(leftover)
    group = Path(control_groups(), f"{PREFIX}{os.getpid()}-{uuid.uuid4().hex[:8]}")
    group.mkdir()
    try:
        yield group
    finally:
        wait_until(lambda: "populated 0" in (group / "cgroup.events").read_text("ascii"), "its end", CLOSE_S)
        _remove_group(group)


def _remove_group(group: Path) -> None:
    for folder, _, _ in os.walk(group, topdown=False):
        os.rmdir(folder)


def _start(place: Path, log: Path, group: Path) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start the init in *group*; gives the process that ends it by ending, and the socket that systemd tells."""
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    address = f"{PREFIX}{uuid.uuid4().hex}"
    told.bind(f"\0{address}")
    boot = Path(__file__).with_name("boot.py")
    # In the group is the init alone: what controls others' resources may have no processes of its own (cgroups(7)).
    enter = 'echo 0 >"$0/cgroup.procs" && exec "$@"'
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                "setpriv", "--pdeathsig=KILL", "unshare", "--pid", "--fork", "--kill-child=KILL",
                "sh", "-c", enter, group, "unshare", *NAMESPACES,
                sys.executable, "-I", boot, place, sys.base_prefix, f"@{address}",
            ],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    return process, told


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the init, and with that all that is in its namespaces: it is not gone before they are."""
    init = _init_of(process)
    if init:
        with contextlib.suppress(ProcessLookupError):
            os.kill(init, signal.SIGKILL)
    else:
        process.kill()
    process.wait(CLOSE_S)


def _init_of(process: subprocess.Popen[bytes]) -> int:
    """The pid of the init that *process*, unshare, has started; 0 if there is none (any more)."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii").split()
        return int(children[0]) if children else 0
    return 0


def _booted(process: subprocess.Popen[bytes], told: socket.socket, log: Path) -> int:
    """Wait until systemd says that it has booted; gives the pid of its init. Raises ``NoLabError``."""
    deadline = time.monotonic() + BOOT_S
    heard = ""
    while "READY=1" not in heard:
        if select.select([told], [], [], 0.1)[0]:
            heard = told.recv(4096).decode()
        elif process.poll() is not None or time.monotonic() > deadline:
            raise NoLabError(f"systemd did not boot: {heard}\n{log.read_text('utf-8', 'replace')}")
    return _init_of(process)


if __name__ == "__main__":  # python3 -m tests.systemd.lab [COMMAND...]: a shell, or a command, in a new one
    with opened() as made:
        sys.exit(subprocess.run(made.command(*(sys.argv[1:] or ["bash"])), check=False).returncode)
