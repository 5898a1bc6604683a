"""Manifests for containers: what they say of a service, and that who reads them would take them."""

from __future__ import annotations

import importlib.util
from pathlib import PurePosixPath

import pytest

from stayon.core import restart
from stayon.core.installation import Installation
from stayon.platforms.manifests import contained, exports
from stayon.platforms.manifests.compose import compose
from stayon.platforms.manifests.kubernetes import kubernetes

UNIX = ("/v/bin/python", "-P", "/v/lib/stayon/platforms/unix_entry.py", "price-collector", "/home/me/collector.py")
WINDOWS = (
    "C:\\p.exe",
    "-I",
    "-S",
    "C:\\stayon\\platforms\\windows\\entry.py",
    "--service",
    "x",
    "--start-timeout",
    "60",
)

PLAIN = Installation(
    name="price-collector",
    display_name="price-collector",
    description="Collects prices: every 5 s",
    command=UNIX,
    mark="stayon 1.0",
    restart=None,
    start_timeout_s=60.0,
    stop_timeout_s=20.0,
    environment=(("STAYON_HOME", "/home/me/h"), ("TZ", "UTC")),
)

EVERYTHING = PLAIN.replace(
    name="Price_Collector@eu",
    instance="eu",
    command=(*UNIX, "--config", "/home/me/x.toml", "--set", "a=$(B) $C", "--level", "debug"),
    restart=restart.backoff(max_attempts=4),
    account="me",
    after=("database",),
    environment=(("A", "yes"), ("B", "$(A) $A"), ("XDG_STATE_HOME", "/home/me/s")),
    limits=(("nofile", "1024:65536"), ("core", "0"), ("memlock", "infinity")),
    memory_bytes=200 << 20,
    cpu_percent=50.0,
    tasks=64,
    allow=("system-write", "new-privileges"),
    writes=("/srv/prices",),
    sockets=(("http", "127.0.0.1:8080"), ("local", "/run/x.sock")),
    probes="[::1]:9200",
    image="registry.example/prices:1",
)

# What the Compose Specification has for a service, as far as it is written here.
COMPOSE_FIELDS = {
    "image": str, "command": list, "environment": dict, "init": bool, "restart": str, "stop_grace_period": str,
    "user": str, "read_only": bool, "cap_drop": list, "security_opt": list, "tmpfs": list, "volumes": list,
    "healthcheck": dict, "deploy": dict, "ulimits": dict, "labels": dict, "expose": list, "pids_limit": int,
}  # fmt: skip


@pytest.fixture(scope="module")
def yaml():
    return pytest.importorskip("yaml", reason="manifests can't be read without PyYAML")


@pytest.fixture(params=[PLAIN, EVERYTHING], ids=["plain", "everything"])
def wanted(request) -> Installation:
    return request.param


@pytest.fixture
def deployment(yaml):
    return lambda wanted: list(yaml.safe_load_all(kubernetes(wanted)))[1]


@pytest.fixture
def pod(deployment):
    return lambda wanted: deployment(wanted)["spec"]["template"]["spec"]


@pytest.fixture
def service(yaml):
    return lambda wanted: next(iter(yaml.safe_load(compose(wanted))["services"].values()))


def test_kubernetes_would_take_it(yaml, wanted, refuse) -> None:
    """By the official schemas, in which an unknown field is an error: of an older release and of a newer one."""
    if importlib.util.find_spec("kubernetes_validate") is None:
        refuse("the official schemas are missing (pip install kubernetes-validate)")
    schemas = importlib.import_module("kubernetes_validate")
    for release in ("1.25", "1.34"):
        kinds = []
        for document in yaml.safe_load_all(kubernetes(wanted)):
            schemas.validate(document, release, strict=True)
            kinds.append(document["kind"])
        assert kinds == ["ConfigMap", "Deployment"]


def test_what_is_pointed_at_is_there(deployment, yaml, wanted) -> None:
    """Labels are selected, probes ask a port of the container, mounts are of volumes, volumes of the ConfigMap; names
    are such that Kubernetes takes them.
    """
    config_map, made = yaml.safe_load_all(kubernetes(wanted))
    template = made["spec"]["template"]
    assert made["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    pod = template["spec"]
    (container,) = pod["containers"]
    ports = [port["name"] for port in container["ports"]]
    probes = {kind: container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe["port"] for probe in probes.values()} <= set(ports)
    assert [probe["path"] for probe in probes.values()] == ["/startupz", "/livez", "/readyz"]
    assert [mount["name"] for mount in container["volumeMounts"]] == [volume["name"] for volume in pod["volumes"]]
    assert {"name": "config", "configMap": {"name": config_map["metadata"]["name"]}} in pod["volumes"]
    mounted = {mount["name"]: mount for mount in container["volumeMounts"]}
    (file,) = config_map["data"]
    given = container["args"]
    assert given[given.index("--config") + 1] == f"{mounted['config']['mountPath']}/{file}"
    assert "subPath" not in mounted["config"]  # or no change would ever come
    for name in (made["metadata"]["name"], container["name"], *ports):
        assert contained.dns_label(name) == name


def test_a_pod_has_no_rights(pod, wanted) -> None:
    """Not root, no capabilities, no token, the system calls that the runtime lets through, nothing to write to but its
    own volumes; what is allowed is allowed.
    """
    made = pod(wanted)
    assert made["automountServiceAccountToken"] is False
    assert made["securityContext"]["runAsNonRoot"] is True
    assert made["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = made["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": "new-privileges" in wanted.allow,
        "readOnlyRootFilesystem": "system-write" not in wanted.allow,
        "capabilities": {"drop": ["ALL"]},
    }
    home = {each["name"]: each["value"] for each in container["env"]}["STAYON_HOME"]
    assert {"name": "data", "mountPath": home} in container["volumeMounts"]


def test_a_stop_has_the_time_that_it_takes(pod, service, wanted) -> None:
    """What the service may take, and what follows it; a start, too."""
    needed_s = wanted.stop_timeout_s + 3 + 4
    assert pod(wanted)["terminationGracePeriodSeconds"] > needed_s
    assert int(service(wanted)["stop_grace_period"].removesuffix("s")) > needed_s
    probe = pod(wanted)["containers"][0]["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= wanted.start_timeout_s


def test_what_was_said_arrives(pod, service) -> None:
    """Options of run but those that are paths of here, variables, limits, ports; the probes where others reach them.
    What looks like a variable of the platform's is none.
    """
    (container,) = pod(EVERYTHING)["containers"]
    said = ["run", "--config", "/config/Price_Collector.toml", "--instance", "eu", "--no-restart"]
    said += ["--set", "stayon.log.file=false", "--set", "stayon.probes.listen=[::]:9200"]
    assert container["args"] == [*said, "--set", "a=$$(B) $C", "--level", "debug"]
    assert service(EVERYTHING)["command"] == [*said, "--set", "a=$$(B) $$C", "--level", "debug"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert environment == {"STAYON_HOME": "/data", "STAYON_HOME_TRUSTED": "1", "A": "yes", "B": "$$(A) $A"}
    assert container["resources"]["limits"] == {"memory": "200Mi", "cpu": "500m"}
    assert [port["containerPort"] for port in container["ports"]] == [9200, 8080]
    assert container["image"] == "registry.example/prices:1"
    made = service(EVERYTHING)
    assert made["environment"] == {"STAYON_HOME": "/data", "A": "yes", "B": "$$(A) $$A"}
    assert made["deploy"]["resources"]["limits"] == {"memory": "200m", "cpus": "0.5"}
    assert (made["pids_limit"], made["expose"]) == (64, ["9200", "8080"])
    assert made["ulimits"] == {"nofile": {"soft": 1024, "hard": 65536}, "core": 0, "memlock": -1}


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (UNIX, []),
        ((*UNIX, "--config", "x", "--level", "info"), ["--level", "info"]),
        ((*WINDOWS, "C:\\p.py", "--", "--set", "a=b"), ["--set", "a=b"]),
        ((*WINDOWS, "C:\\p.py"), []),
        (("/usr/bin/foreign", "--set", "a=b"), []),
    ],
)
def test_options_are_found_in_every_systems_command(pod, command, options) -> None:
    """Whatever computer the manifests are made on."""
    words = pod(PLAIN.replace(command=command))["containers"][0]["args"]
    assert words[words.index("stayon.probes.listen=0.0.0.0:9100") + 1 :] == options


def test_compose_knows_every_field(service, wanted) -> None:
    """Only fields of the specification, each of its type; texts where it wants texts."""
    made = service(wanted)
    assert {name: type(value) for name, value in made.items()} == {name: COMPOSE_FIELDS[name] for name in made}
    assert all(isinstance(value, str) for value in made["environment"].values())
    assert set(made["healthcheck"]) == {"test", "interval", "timeout", "retries", "start_period"}
    for volume in made["volumes"]:
        if isinstance(volume, dict):
            assert set(volume) <= {"type", "source", "target", "read_only"}
            assert PurePosixPath(volume["target"]).is_absolute()


@pytest.mark.parametrize(
    ("policy", "word"),
    [
        (None, "on-failure"),
        (restart.never(), "no"),
        (restart.immediate(), "on-failure"),
        (restart.backoff(max_attempts=7), "on-failure:7"),
        (restart.backoff(on="always"), "always"),
    ],
)
def test_restarts_as_near_as_can_be(service, policy, word: str) -> None:
    """Docker restarts by our policy; inside, nobody does it a second time."""
    made = service(PLAIN.replace(restart=policy))
    assert (made["restart"], "--no-restart" in made["command"]) == (word, True)


def test_the_health_check_is_a_verb(service, wanted) -> None:
    """``stayon status`` of this very service, by list."""
    from stayon.cli import words

    command, *program = service(wanted)["healthcheck"]["test"]
    assert (command, program[:4]) == ("CMD", ["python", "-P", "-m", "stayon"])
    understood = words.parse(program[4:], with_target=True)
    assert (understood.verb.name, understood.target) == ("status", wanted.name.partition("@")[0])
    assert understood.given.get("instance", "") == wanted.instance


@pytest.mark.parametrize("name", ["a", "Price_Collector@eu", "x" * 64, "9.lives", "-", "\xfc"])
def test_any_name_becomes_one_for_dns(name: str) -> None:
    """RFC 1123: letters, digits and dashes, at most 63, none at an end."""
    label = contained.dns_label(name)
    assert 0 < len(label) <= 63
    assert label.strip("-") == label
    assert label.isascii()
    assert label.replace("-", "").isalnum()
    assert label == label.lower()


@pytest.mark.parametrize(
    ("probes", "listen"),
    [
        ("", "0.0.0.0:9100"),
        ("9200", "0.0.0.0:9200"),
        ("127.0.0.1:1", "0.0.0.0:1"),
        ("[::1]:2", "[::]:2"),
        ("0", "0.0.0.0:9100"),
    ],
)
def test_probes_listen_where_they_are_asked(pod, probes: str, listen: str) -> None:
    """On loopback nobody reaches them, and a port that is any is one nobody knows."""
    made = pod(PLAIN.replace(probes=probes))
    assert f"stayon.probes.listen={listen}" in made["containers"][0]["args"]
    assert made["containers"][0]["ports"][0]["containerPort"] == int(listen.rpartition(":")[2])


def test_every_system_has_them() -> None:
    """The computer's own management offers both formats."""
    from stayon.platforms import current

    management = current().management
    assert management is not None
    assert set(exports()) <= set(management("system").exports)


def test_a_program_that_is_one_file_is_asked_itself() -> None:
    """There is no Python in its image: the look at its health is a verb of its own, and its options are the same."""
    command = ("/opt/x/collector", "--service", "price-collector", "--", "--config", "/etc/a.toml", "--set", "a=1")
    made = contained.contained(PLAIN.replace(command=command))

    assert contained.health_check(made) == ["/collector", "status"]
    assert made.arguments[-2:] == ("--set", "a=1")
    assert any("RUN /collector info" in note for note in made.notes)
