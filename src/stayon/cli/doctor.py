"""``doctor``: look at everything a service needs, before it needs it. Changes nothing."""

from __future__ import annotations

import os
import sys

from stayon import app, exits
from stayon.cli.command import say
from stayon.core.record import Record
from stayon.errors import StayonError, UsageError
from stayon.platforms.places import check_directory
from stayon.runtime.probe_address import listening_socket, parse_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.cli.command import Call
    from stayon.core.spec import ServiceSpec
    from stayon.runtime.config.store import Loaded
    from stayon.runtime.service import Service

OK, WARNING, BAD = "ok", "warning", "bad"

# A log's worth, and room for a database to breathe.
FREE_BYTES = 200 * 1024 * 1024


class Finding(Record):
    """One thing that was looked at: how it is, and what to do if it isn't well."""

    verdict: str
    subject: str
    text: str
    exit_code: int = exits.DONE


class Patient(Record):
    """What the examinations look at. *loaded* is None if the configuration cannot be loaded."""

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
    if "json" in call.given:
        import json

        say(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        say("\n".join(f"{finding.verdict:<8} {finding.subject:<14} {finding.text}" for finding in findings))
    return next((finding.exit_code for finding in findings if finding.verdict == BAD), exits.DONE)


def examine(service: Service, call: Call) -> list[Finding]:
    """All findings, the worst of each examination."""
    given = call.given
    options = app.Options(given.get("config", ""), tuple(given.get("set", ())), given.get("instance", ""))
    findings = [_python()]
    try:
        spec = service.spec()
    except StayonError as error:
        return [*findings, _bad("program", error)]
    findings.append(
        Finding(OK, "program", f"{len(spec.jobs)} jobs, {len(spec.checks)} checks, {len(spec.workers)} workers")
    )
    patient = Patient(service, spec, app.paths_of(app.here(), spec.name, options.instance), options)
    loaded = _configuration(patient)
    findings.append(loaded[1])
    patient = patient.replace(loaded=loaded[0])
    for look in (_account, _directories, _space, _running, _probes):
        findings += look(patient)
    return findings


def _python() -> Finding:
    return Finding(OK, "python", f"{sys.version.split()[0]}, {sys.executable}")


def _configuration(patient: Patient) -> tuple[Loaded | None, Finding]:
    try:
        store = app.store_of(patient.service, patient.spec, patient.paths, patient.options, app.here())
        loaded = store.load()
    except StayonError as error:
        return None, _bad("configuration", error)
    said = [f"{key}={value} ({origin})" for key, value, origin in loaded.rows() if origin != "default"]
    where = loaded.path if loaded.exists else f"no file at {loaded.path}, defaults hold"
    text = "; ".join([where, *said, *loaded.warnings])
    return loaded, Finding(WARNING if loaded.warnings else OK, "configuration", text)


def _account(_patient: Patient) -> list[Finding]:
    facts = app.here().facts()
    text = f"{facts.get('account')} on {facts.get('host')}, {facts.get('system')}"
    if facts.get("uid") == 0:
        return [Finding(WARNING, "account", f"{text}: a service seldom needs root. Give it an account of its own.")]
    return [Finding(OK, "account", text)]


def _directories(patient: Patient) -> list[Finding]:
    places = patient.paths.places
    return [
        _directory(name, path) for name, path in (("state", places.state), ("logs", places.logs), ("run", places.run))
    ]


def _directory(name: str, path: str) -> Finding:
    """Whether *path* can be written to or, where it is missing, made."""
    existing = path
    while not os.path.isdir(existing) and existing != os.path.dirname(existing):
        existing = os.path.dirname(existing)
    if existing == path:
        try:
            check_directory(path)
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
    if app.is_locked(app.here(), patient.paths):
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
    if app.is_locked(app.here(), patient.paths):
        return [Finding(OK, "probes", f"http://{listen}, its own")]
    try:
        listening_socket(parse_address(listen)).close()
    except StayonError as error:
        return [_bad("probes", error)]
    return [Finding(OK, "probes", f"http://{listen} is free")]


def _bad(subject: str, error: StayonError) -> Finding:
    return Finding(BAD, subject, str(error), error.exit_code)
