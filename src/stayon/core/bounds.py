"""What bounds a service: memory, processors, processes and setrlimit(2); where it may write; sockets made for it."""

from __future__ import annotations

from stayon.core.duration import seconds
from stayon.errors import UsageError

UNITS_BYTES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
MEMORY_LEAST_BYTES = 1024**2

INFINITY = "infinity"
COUNT, BYTES, SECONDS = "a number", "a size", "a duration"

# The resources of setrlimit(2), and what they count. ("rttime": microseconds of the processor without a wait.)
LIMITS = {
    "as": BYTES,
    "core": BYTES,
    "cpu": SECONDS,
    "data": BYTES,
    "fsize": BYTES,
    "locks": COUNT,
    "memlock": BYTES,
    "msgqueue": BYTES,
    "nice": COUNT,
    "nofile": COUNT,
    "nproc": COUNT,
    "rss": BYTES,
    "rtprio": COUNT,
    "rttime": COUNT,
    "sigpending": COUNT,
    "stack": BYTES,
}

LOOPBACK = "127.0.0.1"
PORT_LIMIT = 65535
_SOCKET_NAME_LIMIT = 64


def size_bytes(value: object, what: str) -> int:
    """A number of bytes, or text with a unit: "200M", "1.5 GiB", "64 kB"; the units are those of 1024.

    *what* names the option in the message, here and below. Raises ``UsageError`` ("spec.installation"), as all here.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str):
        number = value.strip().rstrip("KMGTkmgtiBb ")
        unit = value.strip()[len(number) :].strip().upper().removesuffix("B").removesuffix("I")
        if _is_decimal(number) and unit in UNITS_BYTES:
            found = round(float(number) * UNITS_BYTES[unit])
            if found > 0:
                return found
    raise wrong(f"{what}={value!r} is not a size", 'Give bytes, or text with a unit: "200M", "1.5G".')


def memory_bytes(value: object) -> int:
    """What all its processes may have together; None is no bound, and 0."""
    if value is None:
        return 0
    found = size_bytes(value, "memory")
    if found < MEMORY_LEAST_BYTES:
        raise wrong(f"memory={value!r} is too little for any service", f'Was "{value}M" meant? A lean one takes 12M.')
    return found


def cpu_percent(value: object) -> float:
    """How much of a processor it may take: "50%" is half of one, "200%" two; None is no bound, and 0."""
    if value is None:
        return 0.0
    text = str(value).strip().removesuffix("%").strip()
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or not _is_decimal(text):
        raise wrong(f"cpu={value!r} is not a share", 'Give percent of one processor: "50%", "200%".')
    if float(text) < 1:
        # 0.5 may have been meant as one half.
        raise wrong(f"cpu={value!r} is less than 1 %", 'Half a processor is "50%".')
    return float(text)


def task_count(value: object) -> int:
    """How many processes and threads it may have at once; None is no bound, and 0."""
    if value is None:
        return 0
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise wrong(f"tasks={value!r} is not a number from 1 on", "A service of stayon itself takes up to 8 threads.")
    return number


def limits(value: object) -> tuple[tuple[str, str], ...]:
    """Limits by their names of setrlimit(2), as (name, "SOFT" or "SOFT:HARD") in bytes, seconds and numbers."""
    if not isinstance(value, dict):
        raise wrong(f"limits={value!r} is not a dict", 'Give names and values: {"nofile": 65536}.')
    return tuple((_limit_name(name), _limit(str(name), given)) for name, given in value.items())


def _limit_name(name: object) -> str:
    if name not in LIMITS:
        from stayon.core.nearest import did_you_mean

        hint = did_you_mean(str(name).lower().removeprefix("rlimit_").removeprefix("limit"), LIMITS)
        raise wrong(f"there is no limit {name!r}", hint or f"Say one of {', '.join(LIMITS)}.")
    return str(name)


def _limit(name: str, value: object) -> str:
    parts = value.split(":") if isinstance(value, str) else [value]
    if len(parts) > 2:
        raise wrong(f"the limit {name}={value!r} has more than two parts", 'Write "SOFT:HARD", or one value for both.')
    found = [_limit_part(name, part) for part in parts]
    numbers = [float("inf") if part == INFINITY else int(part) for part in found]
    if numbers[0] > numbers[-1]:
        raise wrong(f"the limit {name}={value!r} is softer than hard", 'Write the smaller one first: "SOFT:HARD".')
    return ":".join(found)


def _limit_part(name: str, value: object) -> str:
    if value in (INFINITY, "unlimited"):
        return INFINITY
    if value in (0, "0"):
        return "0"
    kind = LIMITS[name]
    if kind == BYTES:
        return str(size_bytes(value, f"the limit {name}"))
    if kind == SECONDS:
        return str(max(1, round(seconds(_number_or_same(value), where=f"the limit {name}"))))
    number = _number_or_same(value)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise wrong(f"the limit {name}={value!r} is not a number", f'Give {kind}, or "{INFINITY}".')
    return str(number)


def _number_or_same(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


def directories(value: object, what: str) -> tuple[str, ...]:
    """Absolute paths of directories, none twice; what ends in a slash is without it."""
    if not isinstance(value, (tuple, list)):
        raise wrong(
            f"{what}={value!r} is not a list", f'Give a list of directories, even of one: {what}=["/srv/data"].'
        )
    found = []
    for each in value:
        if not isinstance(each, str) or any(letter < " " for letter in each) or not _is_absolute(each):
            raise wrong(f"{what}={each!r} is not an absolute path", "Write the directory in full: /srv/data")
        if ".." in each.replace("\\", "/").split("/"):
            raise wrong(f'{what}={each!r} has ".." in it', "Write the directory that is meant.")
        found.append(each.rstrip("/") or "/")
    if len(set(found)) < len(found):
        raise wrong(f"{what}={value!r} has a directory twice in it", "Take one away.")
    return tuple(found)


def sockets(value: object) -> tuple[tuple[str, str], ...]:
    """Sockets to be opened for it, as (name, "HOST:PORT" or "/path"); a port alone is on loopback."""
    if not isinstance(value, dict):
        raise wrong(f"sockets={value!r} is not a dict", 'Give names and addresses: {"http": "127.0.0.1:8080"}.')
    found = tuple((_socket_name(name), _address(str(name), given)) for name, given in value.items())
    if len({address for _name, address in found}) < len(found):
        raise wrong(f"sockets={value!r} has an address twice in it", "Two sockets can't listen at the same address.")
    return found


def _socket_name(name: object) -> str:
    # A name of systemd.socket(5)'s FileDescriptorName= that can be part of a unit's, too.
    good = isinstance(name, str) and 0 < len(name) <= _SOCKET_NAME_LIMIT and name[0].isalnum() and name.isascii()
    if not good or not str(name).replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise wrong(f"a socket can't be called {name!r}", 'Use letters, digits, ".", "_" and "-": "http".')
    return str(name)


def _address(name: str, value: object) -> str:
    if isinstance(value, str) and value.startswith("/"):
        return directories([value], f"the socket {name}")[0]
    host, _, port_text = str(value).rpartition(":")
    port = int(port_text) if port_text.isascii() and port_text.isdigit() else 0
    if isinstance(value, bool) or not 0 < port <= PORT_LIMIT or not (host in ("", "localhost") or _is_ip(host)):
        raise wrong(
            f"the socket {name}={value!r} has no address to listen on",
            "Write an IP address and a port (127.0.0.1:8080, [::1]:8080), a port alone (on loopback), or a /path.",
        )
    return f"{LOOPBACK if host in ('', 'localhost') else host}:{port}"


def _is_ip(host: str) -> bool:
    """Whether it looks like one of version 4, or like one of version 6 in brackets; the manager knows for certain."""
    parts = host.split(".")
    if len(parts) == 4:
        return all(part.isascii() and part.isdigit() and int(part) <= 255 for part in parts)
    digits = frozenset("0123456789abcdefABCDEF:.%")
    return host.startswith("[") and host.endswith("]") and ":" in host and digits.issuperset(host[1:-1])


def _is_absolute(path: str) -> bool:
    return path.startswith(("/", "\\\\")) or path[1:3] in (":\\", ":/")


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.replace(".", "", 1).isdigit()


def wrong(what: str, hint: str) -> UsageError:
    """The error for something that an installation can't have."""
    return UsageError(what, hint=hint, code="spec.installation")
