"""Programs for Windows that are built here, and a certificate of our own making to sign them with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.build.program_desk import BUILD_S, Answer

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "collector.py"
PASSWORD = "100 % $HOME; 'a' \"b\""
TOOL_S = 60.0

# Stands in the place of osslsigncode, notes what it was told, and is osslsigncode.
RECORDER = """\
#!/bin/sh
printf '%s\\n' "$@" >> "$0.told"
env >> "$0.told"
exec {real} "$@"
"""


class Certificate(NamedTuple):
    """*pem* and its *key* in the clear; *locked*, the key behind ``PASSWORD``; *pfx*, both behind it."""

    pem: Path
    key: Path
    locked: Path
    pfx: Path


def certificate(folder: Path) -> Certificate:
    """One that nobody trusts, for signing programs."""
    made = Certificate(folder / "cert.pem", folder / "key.pem", folder / "locked.pem", folder / "both.pfx")
    pair = ("-in", made.pem, "-inkey", made.key)
    behind = ("-passout", f"pass:{PASSWORD}")
    _openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", made.key, "-out", made.pem,
        "-subj", "/CN=stayon tests", "-addext", "extendedKeyUsage=codeSigning", "-addext", "keyUsage=digitalSignature",
    )  # fmt: skip
    _openssl("rsa", "-aes256", "-in", made.key, "-out", made.locked, *behind)
    _openssl("pkcs12", "-export", *pair, "-out", made.pfx, *behind)
    return made


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=TOOL_S)


def osslsigncode(*words: str | Path) -> Answer:
    """What it says."""
    done = subprocess.run(["osslsigncode", *words], capture_output=True, text=True, timeout=TOOL_S, check=False)
    return Answer(done.returncode, done.stdout, done.stderr)


def recorder(folder: Path) -> Path:
    """A directory for PATH in which osslsigncode notes, in ``osslsigncode.told``, what it is called with."""
    program = folder / "osslsigncode"
    folder.mkdir()
    program.write_text(RECORDER.format(real=shutil.which("osslsigncode")), "utf-8")
    program.chmod(0o755)
    return folder


def build(program: Path, output: Path, /, *options: str | Path, **environment: str) -> Answer:
    """``stayon build`` of *program* for Windows, into *output*."""
    words = [sys.executable, "-m", "stayon", "build", program, "--target", "windows-x64", "--output", output, *options]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=BUILD_S, check=False, stdin=subprocess.DEVNULL,
        start_new_session=True, env={**os.environ, **environment},
    )  # fmt: skip
    return Answer(done.returncode, done.stdout, done.stderr)


def built(program: Path, output: Path, /, *options: str | Path, **environment: str) -> Path:
    """As ``build``, where that goes well: gives *output*."""
    answer = build(program, output, *options, **environment)
    assert answer.code == 0, answer
    return output
