"""The verbs ``build`` and ``verify``: what they make, what they say, and that nothing is left of what failed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import stayon
from stayon.build import cache, contents, embeddable, image, pack, payload
from stayon.build.payload import PackedFile, Payload
from stayon.errors import StayonError
from tests.build.program_desk import Answer, built, run

pytestmark = [pytest.mark.linux, pytest.mark.slow, pytest.mark.timeout(200)]

BUILD_S = 150
SOURCE = """\
from stayon import Service

import prices

service = Service("price-collector", description="Collects prices")

@service.every("1s")
def collect(ctx):
    ctx.log.info(prices.ALL)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A program in two files, in a directory of its own."""
    (tmp_path / "collector.py").write_text(SOURCE, "utf-8")
    (tmp_path / "prices.py").write_text('ALL = "all prices"\n', "utf-8")
    return tmp_path


def stayon_(*words: str | Path, cwd: Path, limit_bytes: int = 0, more: dict[str, str] | None = None) -> Answer:
    """``stayon WORDS`` in *cwd*, with *more* in its environment; no file that it writes is above *limit_bytes*."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_bytes}, {limit_bytes}))\n"
    program = f"{limit if limit_bytes else ''}from stayon.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=BUILD_S,
        check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(stayon.__file__).parents[1]), **(more or {})},
    )  # fmt: skip
    return Answer(done.returncode, done.stdout, done.stderr)


def has_windows() -> None:
    """Skip where CPython for Windows is not kept, and can't be had."""
    try:
        embeddable.directory((3, 13), is_offline=False, progress=lambda done, size: None)
    except StayonError as error:
        pytest.skip(str(error))


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_it_makes_a_program_and_its_bill(folder: Path) -> None:
    """One executable and one bill of materials, no more; the bill has the hash of the executable."""
    before = names(folder)
    done = stayon_("build", "collector.py", "--json", cwd=folder)
    assert done.code == 0, done
    made = folder / "dist" / "collector"
    bill = json.loads((folder / "dist" / "collector.cdx.json").read_bytes())

    assert names(folder) - before == {"dist", "dist/collector", "dist/collector.cdx.json"}
    assert os.access(made, os.X_OK)
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    assert done.json["sha256"] == bill["metadata"]["component"]["hashes"][0]["content"] == digest
    assert done.json["size_bytes"] == made.stat().st_size
    assert done.json["about"]["service"] == "price-collector"
    assert done.err == ""


def test_people_are_told_how_big_it_is(folder: Path) -> None:
    """The answer has a line with a bar for each part, and where the file is; a pipe gets no progress."""
    done = stayon_("build", "collector.py", cwd=folder, more={"PYTHONIOENCODING": "ascii"})

    assert (done.code, done.err) == (0, "")
    assert "Python's library" in done.out
    assert "###" in done.out
    assert "dist/collector: " in done.out
    assert "\r" not in done.out


@pytest.mark.parametrize(
    "options",
    ["", "--source strip", "--layout pair", "--target windows-x64", "--target windows-x64 --layout trusted"],
)
def test_the_same_twice_is_the_same(folder: Path, tmp_path: Path, options: str) -> None:
    """Two builds, in directories of different names, with other caches and hash seeds, give the same bytes."""
    if "windows" in options:
        has_windows()
    other = tmp_path / "some other place"
    other.mkdir()
    shutil.copy2(folder / "prices.py", other)
    shutil.copy(folder / "collector.py", other)
    runtimes = Path(cache.directory("runtimes"))
    empty = tmp_path / "cache"
    (empty / "stayon").mkdir(parents=True, mode=0o700)
    shutil.copytree(runtimes, empty / "stayon" / "runtimes")
    made: list[dict[Path, bytes]] = []
    for place, kept in ((folder, cache.directory("runtimes").removesuffix("/stayon/runtimes")), (other, str(empty))):
        more = {"XDG_CACHE_HOME": kept, "PYTHONHASHSEED": str(len(made) + 1)}
        done = stayon_("build", place / "collector.py", "-o", place / "out", *options.split(), cwd=place, more=more)
        assert done.code == 0, done
        out = place / "out"
        made.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()})

    assert made[0].keys() == made[1].keys()
    assert [str(name) for name in made[0] if made[0][name] != made[1][name]] == []


def test_nothing_of_this_computer_is_in_it(folder: Path) -> None:
    """No directory of the computer that built it is in what it carries."""
    done = stayon_("build", "collector.py", cwd=folder)
    assert done.code == 0, done
    carried = contents.read(image.payload_of((folder / "dist" / "collector").read_bytes()))
    code = b"".join(map(pack.code_of, carried.modules))

    for place in (str(folder), str(Path(stayon.__file__).parent)):
        assert place.encode() not in code + carried.about


def test_a_file_that_is_there_is_replaced_whole(folder: Path) -> None:
    """A build over an older one replaces it; one that fails leaves it as it was."""
    assert stayon_("build", "collector.py", cwd=folder).code == 0
    first = (folder / "dist" / "collector").read_bytes()
    (folder / "prices.py").write_text("def broken(:\n", "utf-8")
    assert stayon_("build", "collector.py", cwd=folder).code == 78
    assert (folder / "dist" / "collector").read_bytes() == first

    (folder / "prices.py").write_text('ALL = "others"\n', "utf-8")
    assert stayon_("build", "collector.py", cwd=folder).code == 0
    assert (folder / "dist" / "collector").read_bytes() != first


BAD = {
    "build.program": ("nowhere.module:service", 78),
    "usage.no-file": ("missing.py", 64),
    "build.missing-module": ("importing.py", 78),
    "build.target": ("collector.py --target windows-x86", 64),
    "build.no-runtime": ("collector.py --target linux-arm64", 69),
    "build.name": ("collector.py --name a/b", 64),
    "build.version": ("collector.py --version new", 64),
    "build.choice": ("collector.py --layout two", 64),
    "build.python": ("collector.py --python 3.9", 64),
    "build.data": ("collector.py --data nothing.csv", 64),
    "build.include": ("collector.py --include nothing", 78),
    "build.runtime-version": ("collector.py --runtime .", 78),
    "build.no-hash": ("collector.py --runtime http://127.0.0.1:1/x.zip", 64),
    "build.no-network": (f"collector.py --runtime http://127.0.0.1:1/x.zip#sha256={'0' * 64}", 69),
    "usage.target": ("", 64),
}


@pytest.mark.parametrize("code", BAD)
def test_what_is_wrong_is_one_line(folder: Path, code: str) -> None:
    """Each has a code, an exit code and one line; nothing is left behind."""
    (folder / "importing.py").write_text("import nothing_that_is_there\n" + SOURCE, "utf-8")
    before = names(folder)
    words, exit_code = BAD[code]
    done = stayon_("build", *words.split(), cwd=folder)

    lines = [line for line in done.err.splitlines() if not line.startswith("Help: ")]
    assert done.code == exit_code, done
    assert len(lines) == 1, done
    assert lines[0].endswith(f"[{code}]"), done
    assert names(folder) == before


@pytest.mark.parametrize("options", ["--sign x.pfx", "--icon x.ico", "--layout trusted"])
def test_what_windows_alone_has_is_refused_for_linux(folder: Path, options: str) -> None:
    """An option that would do nothing is refused, not ignored."""
    (folder / "x.pfx").write_bytes(b"")
    done = stayon_("build", "collector.py", *options.split(), cwd=folder)

    assert (done.code, "is for Windows" in done.err) == (64, True), done
    assert not (folder / "dist").exists()


def test_a_full_disk_leaves_nothing(folder: Path) -> None:
    """A file that cannot be written whole is told in a line, and is gone."""
    stayon_("build", "collector.py", "-o", "warm", cwd=folder)
    shutil.rmtree(folder / "warm")
    before = names(folder)
    done = stayon_("build", "collector.py", cwd=folder, limit_bytes=2 * 1024**2)

    assert done.code == 69, done
    assert "[build.output]" in done.err
    assert names(folder) == before


@pytest.mark.parametrize("place", ["/proc/stayon", "collector.py/dist"])
def test_a_place_that_takes_no_files_is_told(folder: Path, place: str) -> None:
    """What cannot be a directory is refused before anything is compiled."""
    done = stayon_("build", "collector.py", "-o", place, cwd=folder)

    assert (done.code, done.err.count("\n")) == (69, 1), done
    assert "[build.output]" in done.err


def test_a_directory_of_others_is_told(folder: Path) -> None:
    """Where this account may not write, and in /sys nobody makes a directory, the line says so."""
    done = stayon_("build", "collector.py", "-o", "/sys/stayon", cwd=folder)

    assert done.code == 77, done
    assert "[build.output-rights]" in done.err


def test_it_says_why_a_module_is_in_it(folder: Path) -> None:
    """--explain follows the imports to the module, and builds nothing."""
    done = stayon_("build", "collector.py", "--explain", "prices", cwd=folder)

    assert done.code == 0, done
    assert "collector.py:3" in done.out
    assert not (folder / "dist").exists()


def test_data_is_beside_the_modules(folder: Path) -> None:
    """A file that was built in is found from the program's own ``__file__``."""
    (folder / "table.csv").write_text("a;b\n", "utf-8")
    (folder / "prices.py").write_text(
        'import os\nALL = open(os.path.join(os.path.dirname(__file__), "in", "table.csv")).read()\nprint(ALL)\n',
        "utf-8",
    )
    done = stayon_("build", "collector.py", "--data", "table.csv=in/table.csv", cwd=folder)
    assert done.code == 0, done
    (folder / "table.csv").unlink()
    told = run(folder / "dist" / "collector", "status", env={"STAYON_RUNTIME": str(folder / "runtime")})

    assert "a;b" in told.out, told


def test_with_a_pair_the_launcher_is_the_same_for_all(folder: Path) -> None:
    """The layout pair leaves the launcher as it is shipped; with its package beside it, it runs."""
    done = stayon_("build", "collector.py", "--layout", "pair", "--version", "7.1", cwd=folder)
    assert done.code == 0, done
    dist = folder / "dist"
    shipped = Path(payload.__file__).with_name("launchers") / "linux-x64"
    told = run(dist / "collector", "info", "--json", env={"STAYON_RUNTIME": str(folder / "runtime")})

    assert (dist / "collector").read_bytes() == shipped.read_bytes()
    assert told.json["version"] == "7.1", told
    assert stayon_("verify", "dist/collector", cwd=folder).code == 0


def test_it_is_verified() -> None:
    """verify reads it whole, and has it run."""
    done = stayon_("verify", built(), "--json", cwd=built().parent)

    assert done.code == 0, done
    assert {finding["verdict"] for finding in done.json} == {"ok"}
    assert "start" in {finding["subject"] for finding in done.json}


def damaged(place: Path, change: int) -> Path:
    data = bytearray(built().read_bytes())
    data[len(data) * change // 100] ^= 0x10
    (place / "damaged").write_bytes(data)
    return place / "damaged"


@pytest.mark.parametrize("change", [5, 50, 99])
def test_a_flipped_bit_is_found(tmp_path: Path, change: int) -> None:
    """verify refuses a file in which one bit of what it carries is another."""
    done = stayon_("verify", damaged(tmp_path, change), cwd=tmp_path)

    assert done.code == 78, done
    assert "bad" in done.out


def test_a_file_with_another_content_is_found(tmp_path: Path) -> None:
    """A file whose SHA-256 is another is found even where the payload's own hash was made to fit."""
    launcher = Path(payload.__file__).with_name("launchers") / "linux-x64"
    carried = contents.read(image.payload_of(built().read_bytes()))
    (first, *rest), *others = carried.sets
    wrong = PackedFile(first.name, b"evil", 4, hashlib.sha256(b"good").digest(), payload.STORED)
    changed = Payload(
        carried.python, carried.modules, ((wrong, *rest), *others), carried.about, carried.abi, carried.boot,
        carried.library,
    )  # fmt: skip
    (tmp_path / "it").write_bytes(image.with_payload(launcher.read_bytes(), payload.written(changed)))
    done = stayon_("verify", "it", cwd=tmp_path)

    assert done.code == 78, done
    assert first.name in done.out


def test_what_was_not_built_is_said_not_to_be(tmp_path: Path) -> None:
    """Another program, a text, and a missing file are told apart from a damaged one."""
    (tmp_path / "text").write_text("no program", "utf-8")

    assert "build has not made it" in stayon_("verify", "text", cwd=tmp_path).out
    assert "build has not made it" in stayon_("verify", sys.executable, cwd=tmp_path).out
    assert stayon_("verify", "missing", cwd=tmp_path).code == 64
    assert stayon_("verify", cwd=tmp_path).code == 64


def test_a_terminal_sees_how_far_it_is(folder: Path) -> None:
    """On a terminal one line says what is done, and is gone at the end."""
    import pty

    main, other = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(Path(stayon.__file__).parents[1]), "TERM": "xterm"}
    command = [sys.executable, "-m", "stayon", "build", "collector.py"]
    with os.fdopen(main, "rb", 0) as terminal:
        done = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=other)
        os.close(other)
        seen = b""
        try:
            while chunk := terminal.read(4096):
                seen += chunk
        except OSError:
            pass  # what a terminal says whose other end is closed
        out, _ = done.communicate(timeout=BUILD_S)

    assert done.returncode == 0, out
    assert b"] compiling modules" in seen
    assert seen.endswith(b"\r\x1b[K")
    assert b"\x1b" not in out
