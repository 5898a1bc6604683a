"""Configuration files: read strictly, parsed here or in a child, with the line in every error."""

from __future__ import annotations

import datetime
import io
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon import platforms
from stayon.errors import ConfigError, NotPermittedError
from stayon.runtime.config import child, documents
from stayon.runtime.config.child import parse_in_child
from stayon.runtime.config.documents import SIZE_LIMIT, ChangingError, Document, parse_document, read_document
from stayon.runtime.config.locate import line_of, lines_of
from stayon.runtime.config.syntax import BadSyntaxError

LAUNCHER = platforms.current().launcher


def write(folder, name: str, content: str | bytes):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())
    return str(path)


def parsed(folder, name: str, content: str | bytes):
    return parse_document(read_document(write(folder, name, content)))


def error_of(folder, name: str, content: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        parsed(folder, name, content)
    return str(caught.value).replace(str(folder) + os.sep, "")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.toml", 'x = 1\n[t]\ny = ["a", 2.5]\n'),
        ("a.yaml", "x: 1\nt:\n  y: [a, 2.5]\n"),
        ("a.yml", '{"x": 1, "t": {"y": ["a", 2.5]}}'),
        ("a.JSON", ' {"x": 1, "t": {"y": ["a", 2.5]}}\n'),
        ("bom.toml", b'\xef\xbb\xbfx = 1\r\nt.y = ["a", 2.5]\r\n'),
    ],
)
def test_the_three_formats_give_the_same_tree(tmp_path, name, content) -> None:
    """TOML, YAML and JSON are three spellings of one tree; a byte order mark and Windows line ends do no harm."""
    assert parsed(tmp_path, name, content) == {"x": 1, "t": {"y": ["a", 2.5]}}


@pytest.mark.parametrize("name", ["a.toml", "a.yaml", "a.json"])
@pytest.mark.parametrize("content", ["", " \n\t\n", b"\xef\xbb\xbf"])
def test_an_empty_file_says_nothing(tmp_path, name, content) -> None:
    """Empty is {} in all formats."""
    assert parsed(tmp_path, name, content) == {}


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("a.toml", "x = 1\ny = hello\n", "a.toml:2:5: invalid value. Text needs quotes."),
        ("a.toml", "x = 1\nx = 2\n", "a.toml:2:"),
        ("a.toml", "x = [1,\n", "a.toml:"),
        ("a.toml", "x = 1979-13-01\n", "a.toml:1:"),
        ("a.json", '{"a": 1,\n "b": }', "a.json:2:7: expecting value"),
        (
            "a.json",
            '{"a": {"b": 1,\n "c": 2,\n "b": 3}}',
            'a.json:3: the key "b" is there twice. Delete one of the two.',
        ),
        ("a.json", '{"a": 1} x', "a.json:1:10: extra data"),
        ("a.json", '{"a": NaN}', "a.json: NaN is not JSON"),
        ("a.json", "[1]", "a.json:1:1: the outermost value is not an object"),
        ("a.json", '{"a": "\x01"}', "a.json:1:8: invalid control character"),
        ("a.yaml", "a: 1\nb: [1\n", "a.yaml:"),
        ("a.yaml", "a: 1\nb:\n  c: 1\n  c: 2\n", 'a.yaml:4:3: the key "c" is there twice'),
        ("a.yaml", "- 1\n", "a.yaml:1:1: the outermost value is not a mapping"),
        ("a.yaml", "a: 1\nb: no\n", 'a.yaml:2:4: "no" is true or false in YAML 1.1, and text in YAML 1.2. Say true or'),
        ("a.yaml", "on: 1\n", 'a.yaml:1:1: "on" is true or false'),
        ("a.yaml", "a: 0777\n", "a.yaml:1:4: YAML 1.1 and 1.2 read this number differently"),
        ("a.yaml", "a: 12:30\n", "a.yaml:1:4: YAML 1.1 and 1.2 read this number"),
        ("a.yaml", "1: x\n", "a.yaml:1:1: this key is not text. Put it in quotes."),
        ("a.yaml", "a: !!python/object:os.system x\n", "a.yaml:1:4: this tag is not allowed"),
        ("a.yaml", "a: !!binary aGk=\n", "a.yaml:1:4: this tag is not allowed"),
        ("a.yaml", "a: &x [*x]\n", "a.yaml:1:4: an alias means something that contains it"),
        ("a.yaml", "a: 1\n---\nb: 2\n", "a.yaml:"),
        ("a.ini", "", "a.ini: the format of a configuration file ending in '.ini' is not known. Give it one of .toml"),
        ("a.toml", b"x = 1\ny = '\xff'\n", "a.toml:2:6: byte 0xff is not UTF-8. Save the file as UTF-8."),
        ("a.toml", "x = 1".encode("utf-16"), "a.toml: the file is UTF-16. Save it as UTF-8."),
        ("a.toml", b"#" * (SIZE_LIMIT + 1), "a.toml: the file has 1048577 bytes; 1048576 is the most"),
        ("a.json", "[" * 200_000, "a.json: it is nested too deeply. Flatten it."),
        ("a.yaml", "[" * 3_000, "a.yaml: it is nested too deeply. Flatten it."),
    ],
)
def test_bad_text_is_an_error_with_its_place(tmp_path, name, content, place) -> None:
    """Every error names the file, the line and column where the format tells, what is wrong, and what to do."""
    assert error_of(tmp_path, name, content).startswith(place)


def test_yaml_cannot_be_a_bomb(tmp_path) -> None:
    """Ten levels of ten aliases each would be ten thousand million values; they are refused before they are made."""
    lines = ["a0: &a0 [1]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 11)]

    assert "more than 100000 values" in error_of(tmp_path, "bomb.yaml", "\n".join(lines))


def test_yaml_anchors_and_merges_work(tmp_path) -> None:
    """What people use aliases for is not forbidden along with the bombs."""
    content = "base: &base {x: 1, y: 2}\nother:\n  <<: *base\n  y: 3\nday: 2024-05-01\nquoted: 'no'\n"

    assert parsed(tmp_path, "a.yaml", content) == {
        "base": {"x": 1, "y": 2},
        "other": {"x": 1, "y": 3},
        "day": datetime.date(2024, 5, 1),
        "quoted": "no",
    }


@pytest.mark.parametrize("value", ["*hunter2", "!hunter2", "&hunter2 *hunter2", "%hunter2", "@hunter2", "[hunter2"])
def test_a_password_that_breaks_yaml_is_not_in_the_error(tmp_path, value) -> None:
    """Names of aliases and tags are quoted by PyYAML; they may be someone's password without quotes."""
    assert "hunter2" not in error_of(tmp_path, "a.yaml", f"a: 1\npassword: {value}\n")


def test_what_is_not_a_readable_file_is_told(tmp_path) -> None:
    """A missing file, a directory and (on Unix) a named pipe each have their own error, and none of them blocks."""
    with pytest.raises(ConfigError, match=r"there is no such file.*\[config\.missing\]"):
        read_document(str(tmp_path / "none.toml"))
    (tmp_path / "d.toml").mkdir()
    with pytest.raises(ConfigError, match=r"this is not a file"):
        read_document(str(tmp_path / "d.toml"))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "p.toml")
        with pytest.raises(ConfigError, match=r"this is not a file"):
            read_document(str(tmp_path / "p.toml"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_another_account_is_not_permitted(tmp_path) -> None:
    """No permission is exit code 77, not bad configuration."""
    path = write(tmp_path, "a.toml", "")
    os.chmod(path, 0)
    with pytest.raises(NotPermittedError):
        read_document(path)


# (What is open, Windows replaces by nothing.)
@pytest.mark.parametrize("change", ["append", pytest.param("replace", marks=[pytest.mark.linux, pytest.mark.macos])])
def test_a_file_that_changes_while_it_is_read_is_not_believed(tmp_path, monkeypatch, change) -> None:
    """Written to or replaced between the first and the last look at it: what was read is thrown away."""
    path = tmp_path / "a.toml"
    path.write_text("x = 1\n")

    class Interrupted(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(-1 if size is None else size) or b""
            if data and change == "append":
                path.write_text("x = 1\ny = 2\n")
            elif data:
                (tmp_path / "new").write_text("x = 2\n")
                os.replace(tmp_path / "new", path)
            return data

    monkeypatch.setattr(documents, "open", lambda name, _mode, buffering: Interrupted(name), raising=False)
    with pytest.raises(ChangingError):
        read_document(str(path))
    monkeypatch.undo()

    assert read_document(str(path)).text in ("x = 1\ny = 2\n", "x = 2\n")


TOML = """\
title = "x"
when = 2024-05-01T12:00:00Z
local = 2024-05-01T12:00:00.123
day = 2024-05-01
clock = 12:30:00
big = 123456789012345678901234567890
[[list]]
none = [1, [2.5, true], {a = 2024-05-01}]
"""


def test_a_child_gives_the_same_tree(tmp_path) -> None:
    """Parsing in a child differs from parsing here in memory only: dates, big numbers and nesting survive."""
    import tomllib

    assert parse_in_child(LAUNCHER, "toml", TOML) == tomllib.loads(TOML)
    assert parse_in_child(LAUNCHER, "yaml", "a: [1, 2024-05-01]\n") == {"a": [1, datetime.date(2024, 5, 1)]}


def test_a_child_gives_the_same_error() -> None:
    """Line, column and hint come back from the child."""
    with pytest.raises(ConfigError) as in_process:
        parse_document(Document("a.toml", "toml", "x = 1\ny = z\n"))
    with pytest.raises(BadSyntaxError) as in_child:
        parse_in_child(LAUNCHER, "toml", "x = 1\ny = z\n")
    found = in_child.value

    assert (found.line, found.column, found.hint, found.code) == (2, 5, "Text needs quotes.", "config.syntax")
    assert str(in_process.value).startswith(f"a.toml:{found.line}:{found.column}: {found.what}")


class BrokenLauncher:
    """A computer on which no process can be started, or on which the program isn't Python."""

    def __init__(self, command: list[str] | None) -> None:
        self.command = command
        self.asked = 0

    def spawn(self, command, *, stdin=b"", env=None):
        self.asked += 1
        if self.command is None:
            raise OSError("no more processes")
        return LAUNCHER.spawn(self.command, stdin=stdin)


@pytest.mark.parametrize("command", [None, ["true"], ["cat"], ["echo", "hello"], [sys.executable, "-c", "1/0"]])
def test_without_a_working_child_parsing_happens_here(command) -> None:
    """A child that can't be had, or talks nonsense, costs memory, not the configuration."""
    launcher = BrokenLauncher(command)

    assert parse_in_child(launcher, "toml", "x = 1\n") == {"x": 1}
    assert launcher.asked == 1


def test_a_child_that_hangs_is_ended(monkeypatch) -> None:
    """Every wait has a limit."""
    monkeypatch.setattr(child, "TIMEOUT_S", 0.2)

    assert parse_in_child(BrokenLauncher(["sleep", "60"]), "toml", "x = 1\n") == {"x": 1}


def test_what_does_not_fit_into_a_pipe_is_parsed_here() -> None:
    """A launcher takes 64 KiB of input; more never reaches it."""
    launcher = BrokenLauncher(None)

    assert parse_in_child(launcher, "toml", "x = 1\n#" + "y" * 70_000) == {"x": 1}
    assert launcher.asked == 0


IDLE = """
import sys
from stayon import platforms
from stayon.runtime.config.documents import parse_document, read_document
tree = parse_document(read_document(sys.argv[1]), platforms.current().launcher)
print(tree["x"], sorted({"tomllib", "typing", "re", "json", "yaml"} & set(sys.modules)))
"""


@pytest.mark.parametrize(("name", "content"), [("a.toml", "x = 1\n"), ("a.yaml", "x: 1\n"), ("a.json", '{"x": 1}')])
def test_reading_a_file_leaves_no_parser_in_the_process(tmp_path, python, name, content) -> None:
    """An idle service has none of the parsers' modules, whatever format its file has."""
    path = write(tmp_path, name, content)
    places = [str(Path(platforms.__file__).parents[2]), *(entry for entry in sys.path if "site-packages" in entry)]
    run = f"import sys; sys.path += {places}\n{IDLE}"
    done = subprocess.run(
        [python, "-I", "-S", "-c", run, path], capture_output=True, text=True, check=False, timeout=30
    )

    assert done.stdout == "1 []\n", done.stderr


LOCATED = {
    "toml": """\
    # comment
    title = "x" # [no]
    dotted.key = 1
    "quoted key".'x' = 2
    text = '''
    [not.a.table]
    key = 1 '''
    list = [
      1, # one
      {a = 1, b = "}"},
    ]
    [http]
    port = 80
    [[endpoints]]
    url = "a\\"]"
    [[endpoints]]
    [endpoints.tls]
    days = 3
    """,
    "yaml": """\
    title: x
    http:
      port: 80
    endpoints:
      - url: a
      - tls: {days: 3}
    """,
    "json": """\
    {"title": "a\\"}",
     "http": {
       "port": 80},
     "endpoints": [{"url": 1},
       {"tls": {"days":
          3}}]}
    """,
}


@pytest.mark.parametrize(
    ("syntax", "path", "line"),
    [
        ("toml", ("title",), 2),
        ("toml", ("dotted", "key"), 3),
        ("toml", ("quoted key", "x"), 4),
        ("toml", ("list", 0), 9),
        ("toml", ("list", 1, "b"), 10),
        ("toml", ("http", "port"), 13),
        ("toml", ("http", "missing"), 12),
        ("toml", ("endpoints", 0, "url"), 15),
        ("toml", ("endpoints", 1), 16),
        ("toml", ("endpoints", 1, "tls", "days"), 18),
        ("toml", ("not", "there"), 0),
        ("yaml", ("http", "port"), 3),
        ("yaml", ("endpoints", 1, "tls", "days"), 6),
        ("json", ("http", "port"), 3),
        ("json", ("endpoints", 0, "url"), 4),
        ("json", ("endpoints", 1, "tls", "days"), 5),
    ],
)
def test_the_line_of_a_key_is_found(syntax, path, line) -> None:
    """An error about a value can name its line in all formats."""
    assert line_of(lines_of(Document("x", syntax, textwrap.dedent(LOCATED[syntax]))), path) == line


@given(st.text(alphabet="ab.=[]{}\"'#,: \n\\1", max_size=60), st.sampled_from(["toml", "json", "yaml"]))
def test_looking_for_lines_never_fails(text, syntax) -> None:
    """Whatever the text is, the search for lines ends and raises nothing."""
    lines_of(Document("x", syntax, text))


@given(st.text(alphabet="ab.=[]{}\"'#,: \n\\1-&*!", max_size=40), st.sampled_from(["toml", "json", "yaml"]))
def test_parsing_gives_a_table_or_a_config_error(text, syntax) -> None:
    """No text makes a parser raise anything of its own."""
    try:
        tree = parse_document(Document("x", syntax, text))
    except ConfigError:
        return
    assert isinstance(tree, dict)
    assert all(isinstance(key, str) for key in tree)
