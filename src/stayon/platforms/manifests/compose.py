"""A service as a file of Docker Compose, by the Compose Specification."""

from __future__ import annotations

import math

from stayon.core import restart
from stayon.platforms.manifests import contained, yaml_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stayon.core.installation import Installation
    from stayon.core.restart import Policy
    from stayon.platforms.manifests.contained import Contained

_FOREVER = -1


def compose(wanted: Installation) -> str:
    """The compose.yaml for ``docker compose up``. A pure function."""
    service = contained.contained(wanted)
    name = contained.dns_label(wanted.name)
    notes = [
        f"Its settings are in ./config/{service.name}.toml, which has to be there; a change is applied while it runs.",
        *service.notes,
    ]
    if not wanted.image:
        notes.append("The image is a guess: export it again with --image.")
    head = [f"# {wanted.name} in Docker Compose, by {wanted.mark}", *(f"# - {note}" for note in notes)]
    body = {"services": {name: _literal(_service(wanted, service))}, "volumes": {"data": {}}}
    return "\n".join([*head, yaml_text.document(body)])


def _service(wanted: Installation, service: Contained) -> dict[str, Any]:
    made: dict[str, Any] = {
        "image": service.image,
        "command": list(service.arguments),
        "environment": dict(service.environment),
        "init": False,  # the service is a good PID 1 by itself
        "restart": _restart(wanted.restart),
        "stop_grace_period": f"{service.stop_s}s",
        "user": f"{service.user}:{service.user}",
        "read_only": "system-write" not in wanted.allow,
        "cap_drop": ["ALL"],
        "tmpfs": ["/tmp"],  # noqa: S108  # the container's own
        "volumes": [
            f"data:{contained.HOME}",
            {"type": "bind", "source": "./config", "target": contained.CONFIG, "read_only": True},
            *({"type": "bind", "source": path, "target": path} for path in wanted.writes),
        ],
        "healthcheck": {
            "test": ["CMD", *contained.health_check(service)],
            "interval": "30s",
            "timeout": "10s",
            "retries": 3,
            "start_period": f"{math.ceil(wanted.start_timeout_s)}s",
        },
        "deploy": {"resources": {"limits": _limits(wanted)}},
    }
    if "new-privileges" not in wanted.allow:
        made["security_opt"] = ["no-new-privileges:true"]
    if wanted.tasks:
        made["pids_limit"] = wanted.tasks
    if wanted.limits:
        made["ulimits"] = {name: _ulimit(value) for name, value in wanted.limits}
    if wanted.description:
        made["labels"] = {"org.opencontainers.image.description": wanted.description}
    made["expose"] = [str(port) for _name, port in (("probes", service.listen[1]), *contained.tcp_ports(wanted))]
    if not made["deploy"]["resources"]["limits"]:
        del made["deploy"]
    return made


def _restart(policy: Policy | None) -> str:
    """The nearest that Docker has: its waits double from 100 ms on, and can't be set."""
    if policy is None:
        return "on-failure"  # as everywhere where somebody keeps services
    if policy.name == restart.NEVER:
        return "no"
    if policy.on == restart.ON_ALWAYS:
        return "always"
    return "on-failure" if policy.max_attempts is None else f"on-failure:{policy.max_attempts}"


def _limits(wanted: Installation) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if wanted.cpu_percent:
        limits["cpus"] = f"{wanted.cpu_percent / 100:.4f}".rstrip("0").rstrip(".")
    if wanted.memory_bytes:
        size = contained.binary_size(wanted.memory_bytes, "m")
        limits["memory"] = size if size.endswith("m") else f"{size}b"
    return limits


def _ulimit(value: str) -> int | dict[str, int]:
    """One number is both limits; "1024:65536" is the soft and the hard one."""
    soft, colon, hard = value.partition(":")
    return {"soft": _number(soft), "hard": _number(hard)} if colon else _number(soft)


def _number(written: str) -> int:
    return _FOREVER if written == "infinity" else int(written)


def _literal(value: Any) -> Any:
    """*value*, in which Compose puts no variable: it would take $NAME for one."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: _literal(content) for key, content in value.items()}
    if isinstance(value, list):
        return [_literal(content) for content in value]
    return value
