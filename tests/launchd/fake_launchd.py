"""launchd for tests, on any Unix: loads property lists, really runs their programs, and answers a ``launchctl`` that
takes what launchctl(1) says and nothing else.

``python fake_launchd.py DIRECTORY`` serves until SIGTERM. In DIRECTORY: ``launchctl`` (the program), ``calls`` (what it
was asked, a line of JSON each), ``faults`` (lines "VERB CODE": the next such call fails), ``domains`` (those that there
are, besides the computer's), ``caller`` (whom it takes the caller for; else who it is), ``scale`` (how long one second
of ThrottleInterval and ExitTimeOut takes here).
"""

from __future__ import annotations

import contextlib
import json
import os
import plistlib
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

USAGE, NO_PROCESS, IO_ERROR, IN_PROGRESS = 64, 3, 5, 36
NO_DOMAIN, NO_SERVICE, DISABLED, BAD_PATH, NO_SUCH_ACTION = 112, 113, 119, 122, 125

# launchd.plist(5), as far as it is used here; what it doesn't know it passes over.
KEYS: dict[str, tuple[type, ...]] = {
    "Label": (str,),
    "ProgramArguments": (list,),
    "UserName": (str,),
    "RunAtLoad": (bool,),
    "KeepAlive": (bool, dict),
    "ThrottleInterval": (int,),
    "ExitTimeOut": (int,),
    "WorkingDirectory": (str,),
    "Umask": (int, str),
    "EnvironmentVariables": (dict,),
    "StandardOutPath": (str,),
    "StandardErrorPath": (str,),
    "SoftResourceLimits": (dict,),
    "HardResourceLimits": (dict,),
    "Sockets": (dict,),
    "LimitLoadToSessionType": (str, list),
}
OURS = {"Stayon"}
CONDITIONS = {"SuccessfulExit"}
LIMITS = {"Core", "CPU", "Data", "FileSize", "MemoryLock", "NumberOfFiles", "NumberOfProcesses", "ResidentSetSize",
          "Stack"}  # fmt: skip

CLIENT = """#!{python} -ISE
import json, os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect({path!r})
s.sendall(json.dumps([sys.argv[1:], os.geteuid()]).encode() + b"\\n")
code, out, err = json.loads(s.makefile("rb").read())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


class RefusedError(Exception):
    """The exit code, and what launchctl prints."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Job:
    """A loaded job."""

    def __init__(self, keeper: Keeper, domain: str, path: str, content: dict[str, Any]) -> None:
        self.keeper, self.domain, self.path, self.content = keeper, domain, path, content
        self.label: str = content["Label"]
        self.process: subprocess.Popen[bytes] | None = None
        self.runs = 0
        self.code: int | None = None
        self.started_at = 0.0
        self.loaded = True

    def start(self) -> None:
        content = self.content
        env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "XPC_SERVICE_NAME": self.label, "HOME": os.environ["HOME"]}
        out = Path(content.get("StandardOutPath", os.devnull))
        account = content.get("UserName", "root")
        self.runs += 1
        self.started_at = time.monotonic()
        try:
            with out.open("ab") as file:
                self.process = subprocess.Popen(
                    content["ProgramArguments"],
                    cwd=content.get("WorkingDirectory", "/"),
                    env={**env, **content.get("EnvironmentVariables", {})},
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    umask=content.get("Umask", -1),
                    start_new_session=True,
                    user=None if account == "root" or os.geteuid() else account,
                )
        except OSError:
            # What launchd can't spawn ends with EX_CONFIG.
            self.code = 78
            self._after_end()
            return
        threading.Thread(target=self._wait, args=(self.process,), daemon=True).start()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        with self.keeper.lock:
            # What is left of its group is killed (AbandonProcessGroup).
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            self.process, self.code = None, code
            self._after_end()
            self.keeper.changed.notify_all()

    def _after_end(self) -> None:
        keep = self.content.get("KeepAlive", False)
        again = keep is True or (isinstance(keep, dict) and keep.get("SuccessfulExit") is False and self.code != 0)
        if self.loaded and again:
            due = self.started_at + self.content.get("ThrottleInterval", 10) * self.keeper.scale
            timer = threading.Timer(max(due - time.monotonic(), 0.0), self._start_again)
            timer.daemon = True
            timer.start()

    def _start_again(self) -> None:
        with self.keeper.lock:
            if self.loaded and self.process is None:
                self.start()

    def end(self) -> None:
        """SIGTERM, and SIGKILL after ExitTimeOut. With the lock held, which is given away meanwhile."""
        process = self.process
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        limit = time.monotonic() + self.content.get("ExitTimeOut", 20) * self.keeper.scale
        while self.process is process:
            if not self.keeper.changed.wait(max(limit - time.monotonic(), 0.0)) and time.monotonic() >= limit:
                process.kill()
                limit += 3600

    def printed(self) -> str:
        env = self.content.get("EnvironmentVariables", {})
        code = self.code
        lines = [
            f"{self.domain}/{self.label} = {{",
            f"\tactive count = {int(self.process is not None)}",
            f"\tpath = {self.path}",
            "\ttype = LaunchAgent" if self.domain != "system" else "\ttype = LaunchDaemon",
            f"\tstate = {'running' if self.process is not None else 'not running'}",
            "",
            f"\tprogram = {self.content['ProgramArguments'][0]}",
            "\targuments = {",
            *(f"\t\t{word}" for word in self.content["ProgramArguments"]),
            "\t}",
            "",
            "\tdefault environment = {",
            "\t\tPATH => /usr/bin:/bin:/usr/sbin:/sbin",
            "\t}",
            "",
            "\tenvironment = {",
            *(f"\t\t{name} => {value}" for name, value in env.items()),
            f"\t\tXPC_SERVICE_NAME => {self.label}",
            "\t}",
            "",
            f"\tdomain = {self.domain}",
            f"\tminimum runtime = {self.content.get('ThrottleInterval', 10)}",
            f"\texit timeout = {self.content.get('ExitTimeOut', 5)}",
            f"\truns = {self.runs}",
        ]
        if self.process is not None:
            lines.append(f"\tpid = {self.process.pid}")
        if code is None:
            lines.append("\tlast exit code = (never exited)")
        elif code < 0:
            lines.append(f"\tlast terminating signal = {signal.strsignal(-code)}: {-code}")
        else:
            lines.append(f"\tlast exit code = {code}" + (": EX_CONFIG" if code == 78 else ""))
        lines += ["", "\tspawn type = daemon (3)", "\tproperties = runatload | inferred program", "}", ""]
        return "\n".join(lines)


class Keeper:
    """The daemon."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.jobs: dict[str, Job] = {}
        self.disabled: set[str] = set()

    @property
    def scale(self) -> float:
        return float(self._said("scale") or 1.0)

    def _said(self, name: str) -> str:
        try:
            return (self.folder / name).read_text("utf-8").strip()
        except FileNotFoundError:
            return ""

    def answer(self, words: list[str], uid: int) -> tuple[int, str, str]:
        caller = int(self._said("caller") or uid)
        with self.lock:
            with (self.folder / "calls").open("a", encoding="utf-8") as file:
                file.write(json.dumps(words) + "\n")
            try:
                if not words:
                    raise RefusedError(USAGE, "Usage: launchctl <subcommand> ...")
                verb = getattr(self, f"do_{words[0]}", None)
                if verb is None:
                    raise RefusedError(USAGE, f"Unrecognized subcommand: {words[0]}")
                self._fail_if_told(words[0])
                return 0, verb(caller, *words[1:]) or "", ""
            except TypeError:
                return USAGE, "", f"Usage: launchctl {words[0]} ...\n"
            except RefusedError as error:
                return error.code, "", error.text + "\n"

    def _fail_if_told(self, verb: str) -> None:
        faults = self._said("faults").splitlines()
        if faults and faults[0].split()[0] == verb:
            (self.folder / "faults").write_text("\n".join(faults[1:]), "utf-8")
            code = int(faults[0].split()[1])
            if code:
                raise RefusedError(code, f"{verb} failed: {code}: {os.strerror(code)}")

    # -- targets -----------------------------------------------------------------------------------

    def _domain(self, written: str) -> str:
        kind, _, number = written.partition("/")
        if written != "system" and not (kind in ("gui", "user") and number.isdigit()):
            raise RefusedError(USAGE, "Unrecognized target specifier.")
        if written != "system" and written not in self._said("domains").split():
            raise RefusedError(NO_DOMAIN, f"Could not find domain for {kind}: {number}")
        return written

    def _target(self, written: str) -> tuple[str, str]:
        domain, _, label = written.rpartition("/")
        if domain in ("", "gui", "user"):
            raise RefusedError(USAGE, "Unrecognized target specifier.")
        return self._domain(domain), label

    def _job(self, written: str) -> Job:
        domain, label = self._target(written)
        if written not in self.jobs:
            raise RefusedError(NO_SERVICE, f'Could not find service "{label}" in domain for {domain}')
        return self.jobs[written]

    @staticmethod
    def _check_rights(caller: int, domain: str, what: str) -> None:
        if caller and domain not in (f"gui/{caller}", f"user/{caller}"):
            raise RefusedError(1, f"{what}: 1: Operation not permitted")

    # -- verbs -------------------------------------------------------------------------------------

    def do_bootstrap(self, caller: int, domain: str, path: str) -> None:
        self._domain(domain)
        if caller and domain == "system":
            text = "Bootstrap failed: 5: Input/output error\nTry re-running the command as root for richer errors."
            raise RefusedError(IO_ERROR, text)
        self._check_rights(caller, domain, "Bootstrap failed")
        content = self._checked(path)
        target = f"{domain}/{content['Label']}"
        session = content.get("LimitLoadToSessionType", "Aqua")
        if (domain.startswith("gui/") and session != "Aqua") or (domain.startswith("user/") and session == "Aqua"):
            raise RefusedError(NO_SUCH_ACTION, "Bootstrap failed: 125: Domain does not support specified action")
        if target in self.jobs or target in self.disabled:
            raise RefusedError(IO_ERROR, "Bootstrap failed: 5: Input/output error")
        job = self.jobs[target] = Job(self, domain, path, content)
        if content.get("RunAtLoad") or content.get("KeepAlive"):
            job.start()

    def do_bootout(self, caller: int, target: str) -> None:
        domain, _label = self._target(target)
        self._check_rights(caller, domain, "Boot-out failed")
        if target not in self.jobs:
            raise RefusedError(NO_PROCESS, "Boot-out failed: 3: No such process")
        job = self.jobs[target]
        if not job.loaded:
            raise RefusedError(IN_PROGRESS, "Boot-out failed: 36: Operation now in progress")
        job.loaded = False
        job.end()
        del self.jobs[target]

    def do_kickstart(self, caller: int, *words: str) -> None:
        flags, (target,) = words[:-1], words[-1:]
        if any(not flag.startswith("-") or set(flag[1:]) - set("kps") for flag in flags):
            raise RefusedError(USAGE, "Usage: launchctl kickstart [-kps] <service-target>")
        job = self._job(target)
        self._check_rights(caller, job.domain, "Could not kickstart service")
        if job.process is not None and any("k" in flag for flag in flags):
            process = job.process
            process.kill()
            while job.process is process:
                self.changed.wait()
        if job.process is None:
            job.start()

    def do_kill(self, caller: int, name: str, target: str) -> None:
        number = getattr(signal, name, None) or (int(name) if name.isdigit() else None)
        if number is None:
            raise RefusedError(USAGE, f"Unknown signal: {name}")
        job = self._job(target)
        self._check_rights(caller, job.domain, "Not privileged to signal service.")
        if job.process is None:
            raise RefusedError(NO_PROCESS, "No process to signal.")
        job.process.send_signal(number)

    def do_enable(self, caller: int, target: str) -> None:
        domain, _label = self._target(target)
        self._check_rights(caller, domain, "Could not enable service")
        self.disabled.discard(target)

    def do_disable(self, caller: int, target: str) -> None:
        domain, _label = self._target(target)
        self._check_rights(caller, domain, "Could not disable service")
        self.disabled.add(target)

    def do_print(self, _caller: int, target: str) -> str:
        if target == "system" or (target.count("/") == 1 and not target.startswith("system/")):
            return f"{self._domain(target)} = {{\n\ttype = user\n}}\n"
        return self._job(target).printed()

    def _checked(self, path: str) -> dict[str, Any]:
        if not path.startswith("/") or not path.endswith(".plist"):
            raise RefusedError(BAD_PATH, f"{path}: Invalid property list")
        try:
            mode = Path(path).stat().st_mode
            content = plistlib.loads(Path(path).read_bytes())
        except (OSError, plistlib.InvalidFileException, ValueError) as error:
            raise RefusedError(IO_ERROR, "Bootstrap failed: 5: Input/output error") from error
        if mode & 0o022:
            raise RefusedError(BAD_PATH, "Bootstrap failed: 122: Path had bad ownership/permissions")
        wrong = [key for key, value in content.items() if key in KEYS and not isinstance(value, KEYS[key])]
        wrong += [key for key in content if key not in KEYS and key not in OURS]
        wrong += [key for key in ("Label", "ProgramArguments") if not content.get(key)]
        keep = content.get("KeepAlive")
        wrong += [] if not isinstance(keep, dict) else sorted(set(keep) - CONDITIONS)
        for key in ("SoftResourceLimits", "HardResourceLimits"):
            wrong += sorted(set(content.get(key, {})) - LIMITS)
        wrong += [name for name, value in content.get("EnvironmentVariables", {}).items() if not isinstance(value, str)]
        if wrong:
            raise RefusedError(BAD_PATH, f"{path}: not as launchd.plist(5) has it: {', '.join(wrong)}")
        return dict(content)


def serve(folder: Path) -> None:
    keeper = Keeper(folder)
    program, path = folder / "launchctl", folder / "socket"
    door = socket.socket(socket.AF_UNIX)
    door.bind(str(path))
    door.listen(32)

    def leave(*_: object) -> None:
        for job in keeper.jobs.values():
            if job.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(job.process.pid, signal.SIGKILL)
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)

    def visit(visitor: socket.socket) -> None:
        with visitor, visitor.makefile("rb") as file:
            words, uid = json.loads(file.readline())
            visitor.sendall(json.dumps(keeper.answer(words, uid)).encode())

    beside = folder / "launchctl.new"
    beside.write_text(CLIENT.format(python=sys.executable, path=str(path)), "utf-8")
    beside.chmod(0o755)
    beside.rename(program)
    while True:
        visitor, _ = door.accept()
        threading.Thread(target=visit, args=(visitor,), daemon=True).start()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
