"""What ``preflight`` has to know of this computer. Only verbs load this."""

from __future__ import annotations

import errno
import os
import pwd

from stayon.platforms.systemd import unit_state
from stayon.platforms.systemd.preflight import Sights, findings
from stayon.platforms.unix_access import Entry, Person

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stayon.core.finding import Finding
    from stayon.core.installation import Installation
    from stayon.platforms.systemd.systemctl import Systemctl
    from stayon.platforms.systemd.units import Units

LINGER = "/var/lib/systemd/linger"
CONTROLLERS = "/sys/fs/cgroup/cgroup.controllers"
JOURNAL = "/var/log/journal"

_ENFORCING = "/sys/fs/selinux/enforce"
_LABEL = "security.selinux"
_PROFILES = "/sys/kernel/security/apparmor/profiles"
_ACCESS_LIST = "system.posix_acl_access"


def preflight(manager: Units, systemctl: Systemctl) -> Callable[[Installation, Sequence[str]], list[Finding]]:
    """Looks at an installation on this computer."""
    return lambda wanted, loaded_from: findings(
        wanted, [_existing(each) for each in loaded_from], sights(manager, systemctl)
    )


def sights(manager: Units, systemctl: Systemctl) -> Sights:
    """How it looks here."""
    me = pwd.getpwuid(os.geteuid()).pw_name if _has_name(os.geteuid()) else str(os.geteuid())

    def unit(name: str) -> Mapping[str, str]:
        shown = systemctl.show(name, unit_state.PROPERTIES)
        return {} if shown.get("LoadState") == "not-found" else shown

    return Sights(
        version=systemctl.version,
        look=look,
        person=person,
        me=Person(me, os.geteuid(), tuple(os.getgroups())),
        members=members,
        lingers=lambda name: os.path.exists(os.path.join(LINGER, name)),
        unit=unit,
        drop_ins=manager.leavings,
        drift=lambda wanted: manager.change(wanted.name, wanted, dry_run=True),
        names=_names,
        in_use=in_use,
        is_noexec=lambda path: bool(os.statvfs(path).f_flag & os.ST_NOEXEC),
        label=_label,
        profile=_profile,
        journal_lasts=lambda: os.path.isdir(JOURNAL),
        controllers=_controllers,
    )


def look(path: str) -> Entry | None:
    """What lstat(2) says; None for what isn't there. Raises ``OSError`` for what this account may not see."""
    try:
        found = os.lstat(path)
        link = os.readlink(path) if os.path.islink(path) else ""
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Entry(found.st_mode, found.st_uid, found.st_gid, link, has_list=not link and _has_list(path))


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _has_list(path: str) -> bool:
    try:
        return bool(os.getxattr(path, _ACCESS_LIST))
    except OSError:
        return False


def person(name: str) -> Person | None:
    """The account *name* with its groups; None if there is none."""
    try:
        found = pwd.getpwuid(int(name)) if name.isascii() and name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        return None
    return Person(found.pw_name, found.pw_uid, tuple(os.getgrouplist(found.pw_name, found.pw_gid)))


def members(group: int) -> list[int]:
    """The accounts that have *group*, as their first or another."""
    import grp

    found = {each.pw_uid for each in pwd.getpwall() if each.pw_gid == group}
    try:
        names = grp.getgrgid(group).gr_mem
    except KeyError:
        names = []
    return sorted(found | {known.uid for known in map(person, names) if known is not None and known.uid is not None})


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def in_use(address: str) -> str:
    """Why *address* ("HOST:PORT", "/path") can't be listened at; "" if it can. Opens it for a moment."""
    import socket

    if address.startswith("/"):
        return _path_in_use(address)
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, int(port)))
            probe.listen(1)
    except OSError as error:
        # systemd opens it as root.
        return "" if error.errno in (errno.EACCES, errno.EPERM) else error.strerror or str(error)
    return ""


def _path_in_use(path: str) -> str:
    import socket

    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(path)
    except OSError:
        return ""  # nobody, or a dead one's, which systemd replaces
    return "somebody listens there"


def _label(path: str) -> str:
    try:
        with open(_ENFORCING, encoding="ascii") as file:
            if file.read(1) != "1":
                return ""
        label = os.getxattr(os.path.realpath(path), _LABEL).rstrip(b"\0").decode("utf-8", "replace").split(":")
    except OSError:
        return ""
    return label[2] if len(label) > 2 else ""


def _profile(path: str) -> str:
    """What AppArmor enforces for the program itself; only root may see it."""
    real = os.path.realpath(path)
    try:
        with open(_PROFILES, encoding="utf-8", errors="replace") as file:
            enforced = [line.rpartition(" (")[0] for line in file if line.rstrip().endswith("(enforce)")]
    except OSError:
        return ""
    return real if real in enforced else ""


def _controllers() -> list[str] | None:
    try:
        with open(CONTROLLERS, encoding="ascii") as file:
            return file.read().split()
    except OSError:
        return None  # cgroups of version 1, each with its own tree


def _existing(path: str) -> str:
    """*path*, or the nearest above it that is there: modules may come out of a zip."""
    while not os.path.lexists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path
