"""A service as Kubernetes' manifests: a Deployment, and a ConfigMap that is mounted as a directory, so that a change
reaches the running service.
"""

from __future__ import annotations

import math

from stayon.platforms.manifests import contained, yaml_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stayon.core.installation import Installation
    from stayon.platforms.manifests.contained import Contained

# What is asked for where nothing is said: an idle service takes less than half of it.
_USUAL_MEMORY, _USUAL_CPU = "32Mi", "10m"

_STARTUP_PERIOD_S = 2


def kubernetes(wanted: Installation) -> str:
    """The manifests for ``kubectl apply -f -``. A pure function."""
    service = contained.contained(wanted)
    name = contained.dns_label(wanted.name)
    head = [f"# {wanted.name} in Kubernetes, by {wanted.mark}", *(f"# - {note}" for note in _notes(wanted, service))]
    body = yaml_text.documents([_config_map(name, service), _deployment(name, wanted, service)])
    return "\n".join([*head, body])


def _notes(wanted: Installation, service: Contained) -> list[str]:
    notes = [
        "While it is rolled out there are two of it. If that must not be, say strategy: {type: Recreate}.",
        "What is in /data is gone with the pod. If it is to stay, make a claim of the volume.",
        *service.notes,
    ]
    if not wanted.image:
        notes.append("The image is a guess: export it again with --image.")
    if wanted.limits or wanted.tasks:
        notes.append("limits and tasks: Kubernetes has none for a pod; the node's hold")
    return notes


def _labels(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": name}


def _config_map(name: str, service: Contained) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": _labels(name)},
        "data": {f"{service.name}.toml": f"# The settings of {service.name}; a change is applied while it runs.\n"},
    }


def _deployment(name: str, wanted: Installation, service: Contained) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": _labels(name)}
    if wanted.description:
        metadata["annotations"] = {"kubernetes.io/description": wanted.description}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": _labels(name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "progressDeadlineSeconds": max(600, math.ceil(wanted.start_timeout_s) * 2),
            "template": {"metadata": {"labels": _labels(name)}, "spec": _pod(name, wanted, service)},
        },
    }


def _pod(name: str, wanted: Installation, service: Contained) -> dict[str, Any]:
    volumes: list[dict[str, Any]] = [
        {"name": "data", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "config", "configMap": {"name": name}},
    ]
    volumes += [{"name": f"write-{number}", "emptyDir": {}} for number, _path in enumerate(wanted.writes)]
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": service.stop_s,
        "securityContext": {
            "runAsNonRoot": service.user != "0",
            "runAsUser": int(service.user),
            "runAsGroup": int(service.user),
            "fsGroup": int(service.user),
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(name, wanted, service)],
        "volumes": volumes,
    }


def _container(name: str, wanted: Installation, service: Contained) -> dict[str, Any]:
    environment = dict(service.environment)
    # An emptyDir is open to all that see it, and that is this container alone.
    environment = {"STAYON_HOME": environment["STAYON_HOME"], "STAYON_HOME_TRUSTED": "1", **environment}
    mounts: list[dict[str, Any]] = [
        {"name": "data", "mountPath": contained.HOME},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # the container's own
        {"name": "config", "mountPath": contained.CONFIG, "readOnly": True},
    ]
    mounts += [{"name": f"write-{number}", "mountPath": path} for number, path in enumerate(wanted.writes)]
    ports = [("probes", service.listen[1]), *contained.tcp_ports(wanted)]
    return {
        "name": name,
        "image": service.image,
        "args": [_unexpanded(word) for word in service.arguments],
        "env": [{"name": key, "value": _unexpanded(value)} for key, value in environment.items()],
        "ports": [
            {"name": contained.dns_label(port)[:15].strip("-"), "containerPort": number} for port, number in ports
        ],
        "startupProbe": {
            **_asks("/startupz"),
            "periodSeconds": _STARTUP_PERIOD_S,
            "failureThreshold": math.ceil(wanted.start_timeout_s / _STARTUP_PERIOD_S) + 1,
        },
        "livenessProbe": {**_asks("/livez"), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3},
        "readinessProbe": {**_asks("/readyz"), "periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 1},
        "resources": _resources(wanted),
        "securityContext": {
            "allowPrivilegeEscalation": "new-privileges" in wanted.allow,
            "readOnlyRootFilesystem": "system-write" not in wanted.allow,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }


def _asks(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "probes"}}


def _resources(wanted: Installation) -> dict[str, Any]:
    memory = contained.binary_size(wanted.memory_bytes, "Mi") if wanted.memory_bytes else ""
    cpu = f"{max(1, round(wanted.cpu_percent * 10))}m" if wanted.cpu_percent else ""
    limits = {key: value for key, value in (("memory", memory), ("cpu", cpu)) if value}
    requests = {"memory": memory or _USUAL_MEMORY, "cpu": _USUAL_CPU}
    if cpu and wanted.cpu_percent < 1:
        requests["cpu"] = cpu
    return {"requests": requests, **({"limits": limits} if limits else {})}


def _unexpanded(text: str) -> str:
    """*text*, in which Kubernetes puts no variable: it would take $(NAME) for one."""
    return text.replace("$(", "$$(")
