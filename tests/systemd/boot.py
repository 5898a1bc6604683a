"""Becomes the init of the lab: furnishes a root over a copy-on-write view of /, moves into it, and is systemd then.

``lab.py`` starts it in namespaces of its own (mount, pid, uts, ipc, cgroup); it has none of this to end afterwards, as
mounts and processes are gone with the namespaces. Arguments: an empty directory, the interpreter's prefix, the address
at which systemd says that it has booted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

SYSTEMD = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")
PYTHON = Path("opt/python")  # where the interpreter's prefix is seen: where it is, accounts may not look, or services
UNITS = ("usr/lib/systemd/system", "lib/systemd/system", "etc/systemd/system")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
EMPTY = {"run": 755, "tmp": 1777, "var/tmp": 1777, "var/log": 755, "dev/shm": 1777, "root": 700, "home": 755}
BOOTED = "lab.target"
BOOT_TARGETS = ("sysinit", "local-fs", "basic", "sockets", "timers", "swap", "paths")

# All else that a boot would bring up is masked: it is the business of a whole computer, or none of a test's.
WANTED = {
    "dbus.service", "dbus.socket", "systemd-journald.service", "systemd-journald.socket",
    "systemd-journald-dev-log.socket", "systemd-journal-flush.service", "systemd-sysusers.service",
    "systemd-tmpfiles-setup.service",
}  # fmt: skip

FILES = {
    "etc/fstab": "",
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=persistent\n",
    f"etc/systemd/system/{BOOTED}": """\
[Unit]
Description=Lab
Requires=basic.target systemd-journald.service dbus.service
After=basic.target systemd-journald.service dbus.service
""",
}


def mount(*words: str | Path) -> None:
    """Mount something; *words* are those of the command."""
    subprocess.run(["mount", *words], check=True)


def lay_root(folder: Path) -> Path:
    """A writable root over /, that leaves / as it is."""
    mount("-t", "tmpfs", "-o", "mode=755", "lab", folder)
    root, upper, work = (folder / name for name in ("root", "upper", "work"))
    for made in (root, upper, work):
        made.mkdir()
    mount("-t", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}", "lab", root)
    return root


def mount_kernel(root: Path) -> None:
    """What the kernel shows, as a container has it: settings and hardware of the computer are for reading."""
    mount("-t", "proc", "proc", root / "proc")
    mount("--bind", "-o", "ro", root / "proc/sys", root / "proc/sys")
    mount("-t", "sysfs", "-o", "ro", "sysfs", root / "sys")
    mount("-t", "cgroup2", "cgroup2", root / "sys/fs/cgroup")
    mount("-t", "tmpfs", "-o", "mode=755,nosuid", "dev", root / "dev")
    for name in DEVICES:
        (root / "dev" / name).touch()
        mount("--bind", f"/dev/{name}", root / "dev" / name)
    (root / "dev/pts").mkdir()
    mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=620", "devpts", root / "dev/pts")
    (root / "dev/ptmx").symlink_to("pts/ptmx")
    (root / "dev/fd").symlink_to("/proc/self/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (root / "dev" / name).symlink_to(f"/proc/self/fd/{number}")


def mount_empty(root: Path) -> None:
    """What a boot finds empty, or finds of others."""
    for name, mode in EMPTY.items():
        (root / name).mkdir(exist_ok=True)
        mount("-t", "tmpfs", "-o", f"mode={mode},nosuid,nodev", "lab", root / name)
    (root / "run/lock").mkdir()


def write_settings(root: Path) -> None:
    """Settings: this is no computer's root, so its disks, its services and its name are not taken over."""
    for folder in UNITS:
        for target in BOOT_TARGETS:
            for linked in (root / folder / f"{target}.target.wants").glob("*"):
                if folder.startswith("etc"):
                    linked.unlink()
                elif linked.name not in WANTED:
                    mask(root / "etc/systemd/system" / linked.name)
    for generator in root.glob("usr/lib/systemd/system-generators/*"):
        mask(root / "etc/systemd/system-generators" / generator.name)
    for name, text in {**FILES, "etc/machine-id": f"{uuid.uuid4().hex}\n", "etc/hostname": "lab\n"}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text, "utf-8")


def mask(path: Path) -> None:
    """Have systemd take the unit or generator of this name for nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/null")


def bind_python(root: Path, prefix: str) -> None:
    """The interpreter, for reading. (Where its library is shared, it names the place that it was built for.)"""
    (root / PYTHON).mkdir(parents=True, exist_ok=True)
    mount("--bind", "-o", "ro", prefix, root / PYTHON)
    (root / "etc/ld.so.conf.d").mkdir(parents=True, exist_ok=True)
    (root / "etc/ld.so.conf.d/lab.conf").write_text(f"/{PYTHON}/lib\n", "utf-8")
    subprocess.run(["ldconfig", "-r", root], check=True)


def main(folder: str, prefix: str, notify: str) -> None:
    """Make the root, go into it, and go on as systemd."""
    root = lay_root(Path(folder))
    mount_kernel(root)
    mount_empty(root)
    write_settings(root)
    bind_python(root, prefix)
    systemd = next(path for path in SYSTEMD if (root / path.lstrip("/")).exists())
    os.chdir(root)
    subprocess.run(["pivot_root", ".", "."], check=True)
    subprocess.run(["umount", "--lazy", "."], check=True)
    os.chdir("/")
    words = [systemd, "--system", f"--unit={BOOTED}", "--log-target=journal", "--show-status=0"]
    environment = {"container": "lab", "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET": notify}
    os.execve(systemd, words, environment)  # noqa: S606  # no shell: just what is meant


if __name__ == "__main__":
    main(*sys.argv[1:])
