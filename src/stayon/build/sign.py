"""A signature that Windows knows (Authenticode), made by a program that can: osslsigncode, or Microsoft's signtool."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from stayon.build import pe
from stayon.errors import FailedError, UnavailableError, UsageError

PASSWORD = "STAYON_SIGN_PASSWORD"  # noqa: S105  # the variable's name, not a password
TIMEOUT_S = 120
_STACK, _QUESTION = re.compile(r"[0-9A-F]{16}:error:"), re.compile(r"Enter [^:\n]*:")
_SAID_LIMIT = 300
_THUMBPRINT = re.compile(r"[0-9A-Fa-f]{40}")


@dataclass(frozen=True)
class Signer:
    """With what is signed: a file with certificate and key (.pfx, .p12), a certificate (.pem) with its key in another
    file, or, by signtool, the thumbprint of one in Windows' store; and who is asked for the time ("": nobody).
    """

    certificate: str
    timestamp: str = ""


def checked(given: str, timestamp: str) -> Signer:
    """The signer that ``--sign`` means. Raises ``UsageError``: there is no such file; ``UnavailableError``: no program
    that signs is here.
    """
    if not _THUMBPRINT.fullmatch(given):
        for path in given.split("+"):
            if not os.path.isfile(path):
                raise UsageError(
                    "there is no such certificate", where=path,
                    hint="Give a .pfx file; or certificate and key: --sign cert.pem+key.pem; or, with signtool, the "
                    "thumbprint of one in the store.", code="build.sign",
                )  # fmt: skip
    _program(given)
    return Signer(given, timestamp)


def _program(given: str) -> str:
    wanted = "signtool" if _THUMBPRINT.fullmatch(given) else "osslsigncode"
    found = shutil.which(wanted)
    if found:
        return found
    cure = "It comes with the Windows SDK." if wanted == "signtool" else "On Debian: apt-get install osslsigncode."
    raise UnavailableError(f"{wanted} is not here, and it is what signs", hint=cure, code="build.sign-program")


def sign(path: str, signer: Signer, description: str) -> None:
    """Sign the PE file at *path*, in its place. Blocks. Raises ``FailedError``.

    The password goes from our environment through a pipe: a command line can be read by every account.
    """
    program = _program(signer.certificate)
    beside = f"{path}.signed"
    if program.lower().endswith(("signtool", "signtool.exe")):
        command = [program, "sign", "/q", "/sha1", signer.certificate, "/fd", "SHA256", "/d", description]
        command += ["/tr", signer.timestamp, "/td", "SHA256"] if signer.timestamp else []
        _run([*command, path], "")
        return
    certificate, _, key = signer.certificate.partition("+")
    command = [program, "sign", *(["-certs", certificate, "-key", key] if key else ["-pkcs12", certificate])]
    password = _password()
    # (osslsigncode 2.5 does not know "-", and Windows no other name.)
    command += ["-readpass", "-" if os.name == "nt" else "/dev/stdin"] if password else []
    command += ["-h", "sha256", "-n", description, *(["-ts", signer.timestamp] if signer.timestamp else [])]
    try:
        _run([*command, "-in", path, "-out", beside], password)
        shutil.copymode(path, beside)
        os.replace(beside, path)
    finally:
        if os.path.exists(beside):
            os.unlink(beside)


def _password() -> str:
    """What the environment says, or the file that it names; one line."""
    path = os.environ.get(f"{PASSWORD}_FILE")
    if not path:
        return os.environ.get(PASSWORD, "")
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "the password cannot be read", where=path, why=str(error), hint=f"Check {PASSWORD}_FILE.",
            code="build.sign",
        ) from error  # fmt: skip


def _run(command: list[str], password: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PASSWORD)}
    try:
        done = subprocess.run(
            command, input=password, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=environment,
            errors="replace", start_new_session=True,  # without a terminal nobody is asked for a password there
        )  # fmt: skip
        said = _in_short((done.stderr + done.stdout).replace(password or "\0", "***"))
        why = "" if done.returncode == 0 else said or f"it ended with {done.returncode}"
    except (OSError, subprocess.SubprocessError) as error:
        why = str(error)
    if why:
        raise FailedError(
            "it cannot be signed", where=os.path.basename(command[0]), why=why,
            hint=f"Check the certificate, and its password in {PASSWORD} or {PASSWORD}_FILE.", code="build.sign-failed",
        )  # fmt: skip


def _in_short(text: str) -> str:
    """What a signer complains of: without OpenSSL's stack behind it, and the questions before."""
    words = " ".join(_QUESTION.sub("", _STACK.split(text)[0]).split())
    return words if len(words) <= _SAID_LIMIT else f"{words[:_SAID_LIMIT]}..."


def is_signed(data: bytes) -> bool:
    """Whether the PE file *data* has a signature at all; who made it, and whether it is right, a verifier tells."""
    offset, size = pe.read(data).directory(pe.CERTIFICATES)
    return bool(offset and size)
