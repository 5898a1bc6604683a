"""Signed programs: a verifier takes them, they are the same inside, they run; and nobody sees the password."""

from __future__ import annotations

from pathlib import Path

import pytest

from stayon import exits
from stayon.build import image
from tests.build import signing_desk as desk
from tests.build.signing_desk import EXAMPLE, PASSWORD, Certificate, build, built, osslsigncode
from tests.build.windows_programs import launcher
from tests.windows.lab import Lab

pytestmark = [
    pytest.mark.linux, pytest.mark.slow, pytest.mark.needs_osslsigncode, pytest.mark.needs_openssl,
    pytest.mark.timeout(300),
]  # fmt: skip

SECRET = {"STAYON_SIGN_PASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Certificate:
    """One of our own making."""
    return desk.certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """A program that nobody has signed."""
    return built(EXAMPLE, tmp_path_factory.mktemp("plain")) / "collector.exe"


@pytest.fixture(scope="module")
def signed(tmp_path_factory, certificate: Certificate) -> Path:
    """The same, signed."""
    return built(EXAMPLE, tmp_path_factory.mktemp("signed"), "--sign", certificate.pfx, **SECRET) / "collector.exe"


def _verified(path: Path, certificate: Certificate) -> bool:
    answer = osslsigncode("verify", "-CAfile", certificate.pem, "-in", path)
    return answer.code == 0 and "Signature verification: ok" in answer.out


def test_a_verifier_takes_it(signed: Path, plain: Path, certificate: Certificate) -> None:
    """The signature is over all of the file, in a form that others know, and has the service's description. It may
    be run as the other may.
    """
    assert _verified(signed, certificate)
    assert signed.stat().st_mode == plain.stat().st_mode
    assert "Collects prices every five seconds" in osslsigncode("verify", "-in", signed).out


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_verifier_refuses_a_changed_one(signed: Path, certificate: Certificate, tmp_path, place: float) -> None:
    """One bit, wherever it is."""
    content = bytearray(signed.read_bytes())
    content[int(len(content) * place)] ^= 1
    (tmp_path / "changed.exe").write_bytes(content)

    assert not _verified(tmp_path / "changed.exe", certificate)


def test_without_its_signature_it_is_the_one_that_nobody_signed(signed: Path, plain: Path, tmp_path) -> None:
    """So a signed file, whose signature tells the time, can be compared with a build by somebody else."""
    bare = tmp_path / "bare.exe"

    assert image.payload_of(signed.read_bytes()) == image.payload_of(plain.read_bytes())
    assert osslsigncode("remove-signature", "-in", signed, "-out", bare).code == 0
    assert bare.read_bytes() == plain.read_bytes()


def test_it_runs(lab: Lab, signed: Path) -> None:
    """On Windows it says what is inside."""
    exe = lab.folder / "signed" / "collector.exe"
    exe.parent.mkdir()
    exe.write_bytes(signed.read_bytes())
    answer = lab.exe(exe, "info", "--json")

    assert (answer.code, answer.err) == (0, "")
    assert answer.json["service"] == "price-collector"


def test_of_a_pair_the_launcher_is_signed(lab: Lab, certificate: Certificate, tmp_path) -> None:
    """It is the same one for everybody as before, and runs with the file beside it."""
    output = built(EXAMPLE, tmp_path / "dist", "--layout", "pair", "--sign", certificate.pfx, **SECRET)
    exe, bare = output / "collector.exe", tmp_path / "bare.exe"

    assert _verified(exe, certificate)
    assert osslsigncode("remove-signature", "-in", exe, "-out", bare).code == 0
    assert bare.read_bytes() == launcher()
    place = lab.folder / "signed-pair"
    place.mkdir()
    for path in (exe, exe.with_suffix(".pkg")):
        (place / path.name).write_bytes(path.read_bytes())
    assert lab.exe(place / exe.name, "info", "--json").json["layout"] == "pair"


def test_nobody_sees_the_password(certificate: Certificate, tmp_path) -> None:
    """It stands in no command line and in no environment of the program that signs, and is printed nowhere."""
    tools = desk.recorder(tmp_path / "bin")
    path = {"PATH": f"{tools}:/usr/bin:/bin"}
    right = build(EXAMPLE, tmp_path / "right", "--sign", certificate.pfx, **SECRET, **path)
    wrong = build(EXAMPLE, tmp_path / "wrong", "--sign", certificate.pfx, STAYON_SIGN_PASSWORD="not-this", **path)
    told = (tools / "osslsigncode.told").read_text("utf-8")

    assert (right.code, wrong.code) == (exits.DONE, exits.FAILED)
    assert "-pkcs12" in told
    for text in (told, right.out, right.err, wrong.out, wrong.err):
        assert PASSWORD not in text
        assert "not-this" not in text


@pytest.mark.parametrize("form", ["pfx", "locked"])
def test_the_password_may_be_in_a_file(certificate: Certificate, tmp_path, form: str) -> None:
    """As systems that keep secrets hand them over; for a key in a file of its own, too."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n", "utf-8")
    given = str(certificate.pfx) if form == "pfx" else f"{certificate.pem}+{certificate.locked}"
    output = built(EXAMPLE, tmp_path / "dist", "--sign", given, STAYON_SIGN_PASSWORD_FILE=str(tmp_path / "password"))

    assert _verified(output / "collector.exe", certificate)


def test_a_key_in_the_clear_needs_no_password(certificate: Certificate, tmp_path) -> None:
    """Certificate and key are two files."""
    output = built(EXAMPLE, tmp_path / "dist", "--sign", f"{certificate.pem}+{certificate.key}")

    assert _verified(output / "collector.exe", certificate)


def test_a_wrong_password_leaves_nothing(certificate: Certificate, tmp_path) -> None:
    """One line says what is wrong, and no program is there that would pass for a signed one."""
    for words in (["--sign", certificate.pfx], ["--sign", f"{certificate.pem}+{certificate.locked}"]):
        answer = build(EXAMPLE, tmp_path / "dist", *words, STAYON_SIGN_PASSWORD="not-this")

        assert answer.code == exits.FAILED
        assert answer.err.endswith("[build.sign-failed]\n")
        assert len(answer.err.splitlines()) == 1
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--sign nowhere.pfx", "64 [build.sign]"),
        ("--sign {pem}", "69 [build.sign-program]"),
        ("--sign {pem} --target linux-x64", "64 [build.choice]"),
        ("--sign {pem} --layout trusted", "64 [build.choice]"),
    ],
)
def test_what_cannot_be_signed_is_told_first(certificate: Certificate, tmp_path, options: str, told: str) -> None:
    """No such file, nobody who signs, no program of Windows, one that is signed already: one line each."""
    words = [word.format(pem=certificate.pem) for word in options.split()]
    nobody = {"PATH": str(tmp_path)} if "program" in told else {}
    answer = build(EXAMPLE, tmp_path / "dist", *words, **nobody)
    code, _, error = told.partition(" ")

    assert answer.code == int(code)
    assert f"{error}\n" in answer.err
    assert not (tmp_path / "dist").exists()
