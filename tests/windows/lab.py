"""The lab: a computer with a Service Control Manager and a CPython for Windows. Wine's, in a prefix of its own; on
Windows this computer's, under Program Files.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import stayon
from tests.windows import fetch

ON_WINDOWS = sys.platform == "win32"
PATIENCE_S = 20.0
START_S = 60.0  # the first program in a prefix starts Wine itself
CLOSE_S = 3.0
LOOK_S = 0.01
LINK_BYTES = 64 * 1024  # larger files of Wine's are linked, not copied: nobody writes to a DLL
FOLDER = "stayon-tests"

CONTINUE, PAUSE, STOP, INTERROGATE, PARAMCHANGE = 3, 2, 1, 4, 6
NO_ANSWER = 1053  # ERROR_SERVICE_REQUEST_TIMEOUT

PROGRAM = """\
from stayon import Service
{source}
if __name__ == "__main__":
    service.main()
"""


class NoLabError(Exception):
    """There can be no lab here. The text says why, and what to do."""


class CallError(Exception):
    """A call of Windows' failed: *code* is the number of winerror.h, *call* the function's name."""

    def __init__(self, code: int, call: str) -> None:
        super().__init__(f"{call}: error {code}")
        self.code, self.call = code, call


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
    """The computer. Paths are this one's; ``named`` gives Windows' name for one."""

    def __init__(self, drive: Path, environment: dict[str, str], loader: Sequence[str]) -> None:
        self.drive = drive
        self.is_wine = bool(loader)
        self._environment, self._loader = environment, list(loader)
        self.folder = drive / "Program Files" / FOLDER
        self.data = drive / "ProgramData"
        self.python = self.folder / "Python"
        self.embeddable = self.folder / "Embeddable"
        self.pywin32 = self.folder / "pywin32"
        self._count = 0
        self._controllers: list[Controller] = []
        self._services: list[InstalledService] = []

    def furnish(self) -> None:
        """Copy both Pythons to it, with stayon installed in the normal one, as pip would, and start the controller."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, place in (("normal", self.python), ("embeddable", self.embeddable), ("pywin32", self.pywin32)):
            shutil.copytree(fetch.kept(fetch.full_name(name)), place)
        self.install_stayon(self.python / "Lib" / "site-packages")
        self._controllers.append(Controller(self))
        # As the verb install does.
        packed = self.run_python("-c", "from stayon.platforms.windows import pack; print(pack.write())")
        assert packed.out.strip(), packed

    def direct(self) -> None:
        """Start the controller of a computer that has no Python: the controller's own is nowhere in it."""
        self.folder.mkdir(parents=True)
        self.python = fetch.kept(fetch.full_name("embeddable"))
        self._controllers.append(Controller(self))

    def install_stayon(self, where: Path) -> None:
        """Put the stayon that is tested, the installed wheel's, into the folder *where*."""
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(stayon.__file__).parent, where / "stayon", ignore=ignored)

    def close(self) -> None:
        """End everything that was started here, services first."""
        for service in self._services:
            service.remove()
        for controller in self._controllers:
            controller.close()

    # -- programs

    def named(self, path: Path) -> str:
        """What Windows calls *path*."""
        if not self.is_wine:
            return str(path)
        with contextlib.suppress(ValueError):
            return "C:\\" + "\\".join(path.relative_to(self.drive).parts)
        return "Z:" + str(path).replace("/", "\\")

    def popen(self, *command: str | Path, **more: str) -> subprocess.Popen[str]:
        """Start a program of Windows', with *more* in its environment. Its standard handles are pipes: CPython doesn't
        start under Wine where one is a file.
        """
        words = [self.named(word) if isinstance(word, Path) else word for word in command]
        return subprocess.Popen(
            [*self._loader, *words], env={**self._environment, **more}, cwd=self.folder, encoding="utf-8",
            errors="replace", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def exe(self, *command: str | Path, limit_s: float = PATIENCE_S, typed: str = "", **more: str) -> Answer:
        """Run a program of Windows' to its end: ``lab.exe("sc.exe", "query", name)``. *typed* is its standard input."""
        process = self.popen(*command, **more)
        out, err = _Reading(process.stdout), _Reading(process.stderr)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(typed)
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{command} took longer than {limit_s:g} s: {out.text()}{err.text()}") from None
        return Answer(process.returncode, out.text(), err.text())

    def run_python(self, *words: str | Path, **options: Any) -> Answer:
        """``python WORDS``, with the normal installation."""
        return self.exe(self.python / "python.exe", *words, **options)

    def make_venv(self, where: Path) -> Path:
        """A venv on the normal installation, with stayon; gives its interpreter."""
        scripts = where / "Scripts"
        scripts.mkdir(parents=True)
        (where / "pyvenv.cfg").write_text(
            f"home = {self.named(self.python)}\ninclude-system-site-packages = false\nversion = 3.13.2\n", "utf-8"
        )
        for path in self.python.iterdir():
            if path.suffix in {".exe", ".dll"}:
                shutil.copy2(path, scripts / path.name)
        self.install_stayon(where / "Lib" / "site-packages")
        return scripts / "python.exe"

    # -- services

    def ask(self, act: str, *arguments: object) -> Any:
        """What the controller says (the functions of controller.py). Raises ``CallError``."""
        return self.begin(act, *arguments).result(START_S)

    def begin(self, act: str, *arguments: object) -> concurrent.futures.Future[Any]:
        """As ``ask``, without waiting for the answer."""
        return self._controllers[0].begin(act, arguments)

    def program(self, source: str, name: str = "") -> InstalledService:
        """A user's file that declares ``service``, in a folder of its own, not installed yet. ``{name}`` in *source* is
        the name that it has.
        """
        self._count += 1
        made = InstalledService(self, name or f"stayon-lab-{self._count}", textwrap.dedent(source))
        self._services.append(made)
        return made

    def service(self, source: str, *options: str) -> InstalledService:
        """As ``program``, and put into the SCM by its bare command line, with *options* in it: not started."""
        made = self.program(source)
        made.create(*options)
        return made


class _Reading:
    """What comes out of a pipe, until the program has ended: a process that it left behind may keep the pipe open."""

    def __init__(self, pipe: IO[str] | None) -> None:
        assert pipe is not None
        self._pipe, self._lines = pipe, list[str]()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._pipe:
            self._lines.extend(self._pipe)

    def text(self) -> str:
        """All of it."""
        self._thread.join(CLOSE_S)
        return "".join(self._lines)


class Controller:
    """The long-lived process that speaks with the SCM; also the ordinary process without which Wine shuts down."""

    def __init__(self, lab: Lab) -> None:
        script = Path(__file__).with_name("controller.py")
        self._process = lab.popen(lab.python / "python.exe", "-I", "-u", lab.named(script))
        self._waiting: dict[int, concurrent.futures.Future[Any]] = {0: concurrent.futures.Future()}
        self._lock = threading.Lock()
        self._count = 0
        started = self._waiting[0]
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.version = started.result(START_S)

    def begin(self, act: str, arguments: Sequence[object]) -> concurrent.futures.Future[Any]:
        """Send a request."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        with self._lock:
            self._count += 1
            self._waiting[self._count] = future
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps([self._count, act, *arguments]) + "\n")
            self._process.stdin.flush()
        return future

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            self._hear(lines)
        for future in self._waiting.values():
            future.set_exception(NoLabError("the controller has ended"))

    def _hear(self, lines: Iterable[str]) -> None:
        for line in lines:
            number, error, answer = json.loads(line)
            future = self._waiting.pop(number)
            if error is None:
                future.set_result(answer)
            else:
                future.set_exception(CallError(error, answer))

    def close(self) -> None:
        """Let it end."""
        process = self._process
        for stream in (process.stdin, process.stderr):
            assert stream is not None
            stream.close()
        try:
            process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._reader.join(CLOSE_S)


class InstalledService:
    """A user's program as a service. What it asks is asked as a foreign client does; ``verb`` runs ours."""

    def __init__(self, lab: Lab, name: str, source: str) -> None:
        self.lab, self.name = lab, name
        self.folder = lab.folder / name
        self.file = self.folder / "program.py"
        self.folder.mkdir()
        self.write(source)

    def write(self, source: str) -> None:
        """The user's file anew."""
        self.file.write_text(PROGRAM.format(source=textwrap.dedent(source).replace("{name}", self.name)), "utf-8")

    @property
    def place(self) -> Path:
        """Where its configuration, logs and state are."""
        return self.lab.data / self.name

    def write_config(self, text: str) -> None:
        """Its configuration file, replaced as an editor does it: whole."""
        self.place.mkdir(parents=True, exist_ok=True)
        new = self.place / ".new"
        new.write_text(text, "utf-8")
        new.replace(self.place / f"{self.name}.toml")

    # -- by ours

    def verb(self, *words: str, **options: Any) -> Answer:
        """``python program.py WORDS``."""
        return self.lab.run_python(self.file, *words, **options)

    def command(self, *options: str, python: Path | None = None, packages: Path | None = None) -> str:
        """The command line that install gives it, by hand; *options* are those before the program's file."""
        python = python or self.lab.python
        packages = packages or self.lab.python / "Lib" / "site-packages"
        entry = packages / "stayon" / "platforms" / "windows" / "entry.py"
        words: list[str | Path] = [
            python / "python.exe",
            "-I",
            "-S",
            entry,
            "--service",
            self.name,
            *options,
            self.file,
        ]
        return subprocess.list2cmdline([self.lab.named(word) if isinstance(word, Path) else word for word in words])

    # -- by the SCM

    def create(self, *options: str) -> None:
        """Put it into the SCM, with nothing but its command line."""
        self.lab.ask("create", self.name, self.command(*options))

    def begin_start(self, *arguments: str) -> None:
        """Ask for a start. Raises ``CallError``."""
        self.lab.ask("start", self.name, *arguments)

    def start_in_vain(self) -> dict[str, Any]:
        """Ask for a start that ends at once; gives its status then. (Wine may take such an end for no answer: 1053.)"""
        try:
            self.begin_start()
        except CallError as error:
            if not self.lab.is_wine or error.code != NO_ANSWER:
                raise
        return self.wait("STOPPED")

    def start(self, *arguments: str) -> dict[str, Any]:
        """Start it, and wait until it runs; gives its status."""
        self.begin_start(*arguments)
        found = self.wait("RUNNING", "STOPPED")
        assert found["state"] == "RUNNING", f"{found}\n{self.log_text()}"
        return found

    def control(self, code: int) -> None:
        """Send it a control. Raises ``CallError``."""
        self.lab.ask("control", self.name, code)

    def stop(self) -> dict[str, Any]:
        """Stop it, and wait until it has; gives its status."""
        self.control(STOP)
        return self.wait("STOPPED")

    def status(self) -> dict[str, Any]:
        """SERVICE_STATUS_PROCESS, the state by its name."""
        found: dict[str, Any] = self.lab.ask("status", self.name)
        return found

    def wait(self, *states: str, limit_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait for one of *states*; gives the status, and what was seen on the way as ``seen``."""
        try:
            found: dict[str, Any] = self.lab.ask("wait", self.name, states, limit_s)
        except CallError as error:
            raise AssertionError(f"{error}\n{self.log_text()}") from None
        return found

    # -- what it wrote

    def log_text(self) -> str:
        """Its log file."""
        path = self.place / "logs" / f"{self.name}.log"
        return path.read_text("utf-8") if path.exists() else ""

    def log(self) -> list[dict[str, Any]]:
        """The records in its log file."""
        return [json.loads(line) for line in self.log_text().splitlines(keepends=True) if line.endswith("\n")]

    def records(self, message: str) -> list[dict[str, Any]]:
        """Those with *message* in their message."""
        return [record for record in self.log() if message in record["message"]]

    def wait_log(self, message: str, count: int = 1) -> dict[str, Any]:
        """Wait for the *count*-th record with *message* in its message, and give it."""
        found = wait_until(lambda: self.records(message)[count - 1 : count], f"{message!r} in the log")
        return dict(found[0])

    # -- afterwards

    def end(self) -> None:
        """End it whatever it does; twice is harmless."""
        with contextlib.suppress(CallError):
            status = self.status()
            if status["state"] != "STOPPED" and status["pid"]:
                self.lab.ask("terminate", status["pid"], 1)

    def remove(self) -> None:
        """End it, and take it out of the SCM; harmless if it isn't there."""
        self.end()
        with contextlib.suppress(CallError):
            self.lab.ask("delete", self.name)
        shutil.rmtree(self.place, ignore_errors=True)


@contextlib.contextmanager
def opened(*, with_python: bool = True) -> Iterator[Lab]:
    """The lab, and all of it ended afterwards. Raises ``NoLabError`` if there can be none here."""
    try:
        absent = fetch.missing()
    except fetch.FetchError as error:
        raise NoLabError(str(error)) from error
    if absent:
        raise NoLabError(f"not fetched yet: {absent} (python3 tests/windows/fetch.py)")
    with _native() if ON_WINDOWS else _wine() as lab:
        try:
            if with_python:
                lab.furnish()
            else:
                lab.direct()
            yield lab
        finally:
            lab.close()


@contextlib.contextmanager
def _native() -> Iterator[Lab]:
    shell: Any = ctypes.WinDLL("shell32")  # type: ignore[attr-defined]  # Windows has it
    if hasattr(ctypes.WinDLL("ntdll"), "wine_get_version"):  # type: ignore[attr-defined]  # Windows has it
        raise NoLabError("this is Wine, whose lab is made by tests outside")
    if not shell.IsUserAnAdmin():
        raise NoLabError("services are installed by an elevated account only")
    lab = Lab(Path(os.environ["SYSTEMDRIVE"] + "\\"), dict(os.environ), ())
    shutil.rmtree(lab.folder, ignore_errors=True)
    yield lab
    shutil.rmtree(lab.folder, ignore_errors=True)


@contextlib.contextmanager
def _wine() -> Iterator[Lab]:
    """A copy of the made prefix, beside it, so that what is large can be linked."""
    made = fetch.kept(fetch.full_name("prefix"))
    for leftover in fetch.cache().glob("run-*"):  # of a run that was killed
        if not Path("/proc", leftover.name.split("-")[1]).exists():
            shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"run-{os.getpid()}-", dir=fetch.cache()) as folder:
        prefix = Path(folder) / "prefix"
        # (The file `wineserver` names the running server's socket: of the one that made it.)
        ignored = shutil.ignore_patterns("wineserver")
        shutil.copytree(made, prefix, symlinks=True, copy_function=_link_or_copy, ignore=ignored)
        environment = fetch.wine_environment(prefix)
        try:
            yield Lab(prefix / "drive_c", environment, ("wine",))
        finally:
            for words in (["-k"], ["-w"]):
                subprocess.run(["wineserver", *words], env=environment, timeout=START_S, check=False)


def _link_or_copy(source: str, target: str) -> object:
    if os.path.getsize(source) < LINK_BYTES or not source.endswith((".dll", ".exe", ".drv", ".ocx", ".cpl", ".nls")):
        return shutil.copy2(source, target)
    return os.link(source, target)
