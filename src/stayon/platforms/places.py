"""Where a service's things are on each system."""

from __future__ import annotations

from stayon.core.places import Places
from stayon.core.record import Record
from stayon.errors import UnavailableError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# With this in the environment, everything is below $STAYON_HOME/NAME: for containers, and for tests.
HOME_VARIABLE = "STAYON_HOME"

WINDOWS, MACOS = "win32", "darwin"

# Where systemd says what it has made for a service, each a list with colons (systemd.exec(5), RuntimeDirectory=).
_MADE_BY_SYSTEMD = {
    "config": "CONFIGURATION_DIRECTORY",
    "logs": "LOGS_DIRECTORY",
    "state": "STATE_DIRECTORY",
    "run": "RUNTIME_DIRECTORY",
}

_PORTS = tuple(kind + number for kind in ("COM", "LPT") for number in "123456789\xb9\xb2\xb3")
_DEVICES = ("CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", *_PORTS)


class Account(Record):
    """Who asks for places: on which system (as ``sys.platform`` says it), as root or not, and that account's home."""

    system: str
    is_root: bool
    home: str


def places_of(name: str, account: Account, env: Mapping[str, str]) -> Places:
    """The places of the service *name* (``NAME`` or ``NAME@INSTANCE``, which is a directory of its own everywhere).

    A pure function: the same everywhere for the same arguments, and nothing is made. Raises ``UsageError`` for a name
    that can't be a directory, or a STAYON_HOME that is not absolute; ``UnavailableError`` where an account has no home.
    """
    _check_name(name, account.system)
    if env.get(HOME_VARIABLE):
        return _below(name, account, env[HOME_VARIABLE])
    if account.system == WINDOWS:
        return _windows(name, env)
    made = made_already(name, env)
    if account.system == MACOS:
        # A daemon with an account of its own is told where its things are in the same words.
        return Places(**made) if len(made) == len(Places.__fields__) else _macos(name, account)
    if account.is_root or (made and not account.home):
        # (An account of systemd's own making has no home, and needs none.)
        usual = Places(f"/etc/{name}", f"/var/log/{name}", f"/var/lib/{name}", f"/run/{name}")
        return usual.replace(**made)
    return _xdg(name, account, env, made)


def made_already(name: str, env: Mapping[str, str]) -> dict[str, str]:
    """The places that systemd has made for the service *name*; a unit may have more directories than ours."""
    found = {}
    for place, variable in _MADE_BY_SYSTEMD.items():
        for path in env.get(variable, "").split(":"):
            if path.startswith("/") and path.rpartition("/")[2] == name:
                found[place] = path
    return found


def _below(name: str, account: Account, top: str) -> Places:
    separator = "\\" if account.system == WINDOWS else "/"
    if not _is_absolute(top, account.system):
        raise UsageError(
            f"{HOME_VARIABLE} must be an absolute path", where=top, hint="Write it in full.", code="places.relative"
        )
    own = top.rstrip("/\\") + separator + name + separator
    return Places(own + "config", own + "logs", own + "state", own + "run")


def _windows(name: str, env: Mapping[str, str]) -> Places:
    own = env.get("ProgramData", "C:\\ProgramData") + "\\" + name
    return Places(own, own + "\\logs", own + "\\state", own + "\\run")


def _macos(name: str, account: Account) -> Places:
    if account.is_root:
        own = f"/Library/Application Support/{name}"
        return Places(own, f"/Library/Logs/{name}", own, f"/var/run/{name}")
    library = f"{_home(account)}/Library"
    own = f"{library}/Application Support/{name}"
    return Places(own, f"{library}/Logs/{name}", own, f"{own}/run")


def _xdg(name: str, account: Account, env: Mapping[str, str], made: Mapping[str, str]) -> Places:
    """By the XDG Base Directory Specification 0.8, which says that a relative path counts as none; but for what is
    *made* already.
    """

    def directory(variable: str, default: str) -> str:
        value = env.get(variable, "")
        return value.rstrip("/") if value.startswith("/") else f"{_home(account)}/{default}"

    state = made.get("state") or f"{directory('XDG_STATE_HOME', '.local/state')}/{name}"
    runtime = env.get("XDG_RUNTIME_DIR", "")
    # No session, no XDG_RUNTIME_DIR (cron, su, containers). /tmp is everybody's, so the state directory has to do.
    run = f"{runtime.rstrip('/')}/{name}" if runtime.startswith("/") else f"{state}/run"
    config = f"{directory('XDG_CONFIG_HOME', '.config')}/{name}"
    return Places(config, f"{state}/logs", state, run).replace(**made)


def _home(account: Account) -> str:
    if not account.home.startswith("/"):
        raise UnavailableError(
            "this account has no home directory",
            hint=f"Set {HOME_VARIABLE} to a directory in which the service may keep its things.",
            code="places.no-home",
        )
    return account.home.rstrip("/")


def _is_absolute(path: str, system: str) -> bool:
    if system == WINDOWS:
        return path.startswith("\\\\") or path[1:3] in (":\\", ":/")
    return path.startswith("/")


def _check_name(name: str, system: str) -> None:
    is_bad = not name or name.startswith(".") or any(letter in '/\\:*?"<>|' or letter < " " for letter in name)
    if system == WINDOWS and not is_bad:
        # The end is cut off there, so that two names would be one; and a device's name is the device, in any directory
        # (https://learn.microsoft.com/windows/win32/fileio/naming-a-file).
        is_bad = name[-1] in ". " or name.partition(".")[0].rstrip().upper() in _DEVICES
    if is_bad:
        raise UsageError(
            "a service's name has to be one that a directory can have",
            where=repr(name),
            hint="Use letters, digits, '-', '_' and '.', then @INSTANCE if there are several.",
            code="places.bad-name",
        )
