"""``doctor``: look at everything a service needs, before it needs it. Changes nothing."""

from __future__ import annotations

import os
import sys

from stayon import app, exits
from stayon.cli import keepers
from stayon.cli.command import answer
from stayon.core.finding import BAD, OK, WARNING, Finding
from stayon.core.installation import SYSTEM
from stayon.core.record import Record
from stayon.errors import StayonError, UsageError
from stayon.platforms.onefile.places import is_for_all
from stayon.platforms.onefile.program import here
from stayon.runtime.probe_address import listening_socket, parse_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.cli.command import Call
    from stayon.core.spec import ServiceSpec
    from stayon.machine import Machine
    from stayon.runtime.config.store import Loaded
    from stayon.runtime.service import Service

PYTHON_PATH = "PYTHONPATH"

# A log's worth, and room for a database to breathe.
FREE_BYTES = 200 * 1024 * 1024


class Patient(Record):
    """What the examinations look at. *loaded* is None if the configuration cannot be loaded."""

    call: Call
    service: Service
    spec: ServiceSpec
    paths: app.Paths
    options: app.Options
    loaded: Loaded | None = None


def doctor(call: Call) -> int:
    """Examine the service; gives 0, or the exit code that starting it would have for what is wrong with it."""
    if call.service is None:
        raise UsageError(
            f"{call.name!r} names a service, but its program is needed to examine it",
            hint="Say its file: stayon doctor collector.py",
            code="usage.target",
        )
    findings = examine(call.service, call)
    text = "\n".join(f"{finding.verdict:<8} {finding.subject:<14} {finding.text}" for finding in findings)
    answer(call, [finding.as_dict() for finding in findings], text)
    return next((finding.exit_code for finding in findings if finding.verdict == BAD), exits.DONE)


def examine(service: Service, call: Call) -> list[Finding]:
    """All findings, the worst of each examination."""
    given = call.given
    options = app.Options(given.get("config", ""), tuple(given.get("set", ())), given.get("instance", ""))
    findings = _python(call)
    try:
        spec = service.spec()
    except StayonError as error:
        return [*findings, _bad("program", error)]
    findings.append(
        Finding(OK, "program", f"{len(spec.jobs)} jobs, {len(spec.checks)} checks, {len(spec.workers)} workers")
    )
    paths = app.paths_of(call.here(), spec.name, options.instance)
    patient = Patient(call, service, spec, paths, options)
    loaded = _configuration(patient)
    findings.append(loaded[1])
    patient = patient.replace(loaded=loaded[0])
    for look in (_account, _directories, _space, _running, _probes, _manager):
        findings += look(patient)
    return findings


def _python(call: Call) -> list[Finding]:
    found = [Finding(OK, "python", f"{sys.version.split()[0]}, {sys.executable}")]
    one_file = here()
    if one_file is None:
        return found
    root, scope = os.path.dirname(one_file.sets[0]), keepers.scope_wanted(call)
    if scope != SYSTEM or is_for_all(root):
        return [*found, Finding(OK, "on disk", root)]
    text = (
        f"{root} is this account's. What installs the service puts it where all accounts can read it; that is done "
        "by the administrator's account only"
    )
    return [*found, Finding(OK if keepers.uid_of(call) != keepers.ROOT else BAD, "on disk", text, exits.NOT_PERMITTED)]


def _configuration(patient: Patient) -> tuple[Loaded | None, Finding]:
    try:
        store = app.store_of(patient.service, patient.spec, patient.paths, patient.options, patient.call.here())
        loaded = store.load()
    except StayonError as error:
        return None, _bad("configuration", error)
    said = [f"{key}={value} ({origin})" for key, value, origin in loaded.rows() if origin != "default"]
    where = loaded.path if loaded.exists else f"no file at {loaded.path}, defaults hold"
    text = "; ".join([where, *said, *loaded.warnings])
    return loaded, Finding(WARNING if loaded.warnings else OK, "configuration", text)


def _account(patient: Patient) -> list[Finding]:
    facts = patient.call.here().facts()
    text = f"{facts.get('account')} on {facts.get('host')}, {facts.get('system')}"
    if facts.get("uid") == keepers.ROOT and not _are_the_managers(patient):
        return [Finding(WARNING, "account", f"{text}: a service seldom needs root. Give it an account of its own.")]
    return [Finding(OK, "account", text)]


def _directories(patient: Patient) -> list[Finding]:
    if _are_the_managers(patient):
        return []
    places, machine = patient.paths.places, patient.call.here()
    return [
        _directory(machine, name, path)
        for name, path in (("state", places.state), ("logs", places.logs), ("run", places.run))
    ]


def _directory(machine: Machine, name: str, path: str) -> Finding:
    """Whether *path* can be written to or, where it is missing, made."""
    existing = path
    while not os.path.isdir(existing) and existing != os.path.dirname(existing):
        existing = os.path.dirname(existing)
    if existing == path:
        try:
            machine.check_directory(path)
        except StayonError as error:
            return Finding(BAD, name, str(error), error.exit_code)
        return Finding(OK, name, path)
    if os.access(existing, os.W_OK | os.X_OK):
        return Finding(OK, name, f"{path} (will be made)")
    text = f"{path}: this account may not write to {existing}. Use another account, or set STAYON_HOME."
    return Finding(BAD, name, text, exits.NOT_PERMITTED)


def _space(patient: Patient) -> list[Finding]:
    import shutil

    existing = patient.paths.places.logs
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    free = shutil.disk_usage(existing).free
    verdict = OK if free >= FREE_BYTES else WARNING
    return [Finding(verdict, "disk", f"{free // 1024**2} MiB free at {existing}")]


def _running(patient: Patient) -> list[Finding]:
    if app.is_locked(patient.call.here(), patient.paths):
        return [Finding(WARNING, "lock", f"it is running: a second start would end with {exits.TEMPORARY}")]
    leftover = (
        " (a socket is left of a former run; the next start replaces it)"
        if os.path.exists(patient.paths.control)
        else ""
    )
    return [Finding(OK, "lock", f"free{leftover}")]


def _probes(patient: Patient) -> list[Finding]:
    listen = patient.loaded.host["probes.listen"] if patient.loaded is not None else patient.spec.probes
    if not listen:
        return [Finding(OK, "probes", "none")]
    if app.is_locked(patient.call.here(), patient.paths):
        return [Finding(OK, "probes", f"http://{listen}, its own")]
    try:
        listening_socket(parse_address(listen)).close()
    except StayonError as error:
        return [_bad("probes", error)]
    return [Finding(OK, "probes", f"http://{listen} is free")]


def _are_the_managers(patient: Patient) -> bool:
    """Whether its directories here are those of the kept service, which its manager makes, for its account."""
    here = keepers.here(patient.call)
    if here is None or here.manager is None or here.places is None:
        return False
    return here.places(keepers.name_of(patient.call), os.environ) == patient.paths.places


def _manager(patient: Patient) -> list[Finding]:
    """What would be in the way of installing it, where that can be done."""
    from stayon.cli.wanted import exposed, left_behind, loaded_from, wanted_installation

    here = keepers.here(patient.call)
    if here is None:
        return []
    if here.manager is None:
        text = f"none here that stayon knows. As a daemon: {patient.call.command('start')}"
        return [Finding(OK, "manager", text)]
    try:
        wanted = wanted_installation(patient.call, here.command)
    except StayonError as error:
        return [_bad("installation", error)]
    left = left_behind(patient.spec.name, wanted, os.environ)
    told = _exposed(exposed(wanted, patient.options.settings))
    return [*_rights(patient, wanted.scope), *here.preflight(wanted, loaded_from()), *_left_behind(left), *told]


def _rights(patient: Patient, scope: str) -> list[Finding]:
    """Who may install what, on a system whose accounts have numbers; Windows' own examination knows its rights."""
    uid = keepers.uid_of(patient.call)
    if uid is None:
        return []
    if scope == SYSTEM and uid != keepers.ROOT:
        text = (
            f"installing a service of this computer takes root: {patient.call.sudo('install')}. "
            "Or install one of this account alone: --user"
        )
        return [Finding(WARNING, "rights", text, exits.NOT_PERMITTED)]
    whose = "of this computer" if scope == SYSTEM else "of this account"
    return [Finding(OK, "rights", f"may install services {whose}")]


def _left_behind(names: list[str]) -> list[Finding]:
    """One finding for all settings, and one for what Python is told here by its own variable."""
    found = []
    settings = [name for name in names if name.upper() != PYTHON_PATH]
    if settings:
        options = " ".join(f"--env {name}=VALUE" for name in settings)
        text = f"{', '.join(settings)}: set here, but not for the service. Give it to install: {options}"
        found.append(Finding(WARNING, "environment", text))
    if len(settings) < len(names):
        text = "it is set here, but a service has only what is installed: pip install what it points to, or use a venv"
        found.append(Finding(WARNING, PYTHON_PATH, text))
    return found


def _exposed(names: list[str]) -> list[Finding]:
    """What is installed is no secret: a unit, a property list, the registry are for all to read."""
    if not names:
        return []
    text = (
        f"{', '.join(names)}: every account here can read what a service is installed with. Have it read a file that "
        'only its account can: NAME_FILE=PATH for a variable, NAME = { file = "PATH" } in the configuration'
    )
    return [Finding(WARNING, "secrets", text)]


def _bad(subject: str, error: StayonError) -> Finding:
    return Finding(BAD, subject, str(error), error.exit_code)
