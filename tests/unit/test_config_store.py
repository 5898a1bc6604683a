"""Loading: the layers joined, the origin of each value, and the last good file for a cold start."""

from __future__ import annotations

import dataclasses
import os
import stat

import pytest

from stayon import platforms
from stayon.errors import ConfigError
from stayon.runtime.config.secrets import Secret
from stayon.runtime.config.store import Origin, Store


@dataclasses.dataclass(frozen=True)
class Config:
    port: int = 80
    name: str = "x"
    password: Secret | None = None


def store(tmp_path, environment=None, **options) -> Store:
    options = {"kind": Config, "state_directory": str(tmp_path / "state"), **options}
    return Store(Origin("svc", str(tmp_path / "a.toml"), **options), environment or {}, platforms.current().launcher)


def test_four_layers_and_their_origins(tmp_path) -> None:
    """Argument > environment > file > default; doctor's rows say which, and show no secret."""
    (tmp_path / "a.toml").write_text('port = 1\nname = "file"\npassword = "hunter2"\n[stayon.log]\nlevel = "debug"\n')
    loaded = store(tmp_path, {"SVC_NAME": "env", "SVC_STAYON_LOG_KEEP": "3"}, arguments=["port=9"]).load()

    assert loaded.config == Config(9, "env", Secret("hunter2"))
    assert (loaded.host["log.level"], loaded.host["log.keep"], loaded.host["log.gzip"]) == ("debug", 3, True)
    rows = {key: (value, origin) for key, value, origin in loaded.rows()}
    assert rows["port"] == ("9", "argument --set")
    assert rows["name"] == ("'env'", "environment SVC_NAME")
    assert rows["password"] == ("***", f"file {tmp_path / 'a.toml'}")
    assert rows["stayon.log.level"] == ("'debug'", f"file {tmp_path / 'a.toml'}")
    assert rows["stayon.log.keep"] == ("3", "environment SVC_STAYON_LOG_KEEP")
    assert rows["stayon.log.gzip"] == ("True", "default")


def test_errors_name_the_place_of_the_value(tmp_path) -> None:
    """Line of the file, variable, or argument, for the user's keys and the host's, in one report."""
    (tmp_path / "a.toml").write_text("name = 5\nprot = 1\n[stayon]\nrelaod = 1\n")
    with pytest.raises(ConfigError) as caught:
        store(tmp_path, {"SVC_PORT": "x"}, arguments=["passwort=hunter2"]).load()

    assert [line.strip().split(":")[0] for line in str(caught.value).splitlines()[1:] if "a.toml" not in line] == [
        "argument --set",
        "environment SVC_PORT",
    ]
    assert f"{tmp_path / 'a.toml'}:1: name: expected text" in str(caught.value)
    assert f"{tmp_path / 'a.toml'}:2: prot: this key is not known" in str(caught.value)
    assert f"{tmp_path / 'a.toml'}:4: stayon.relaod: this key is not known. Did you mean" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_file_may_be_missing_unless_it_is_required(tmp_path) -> None:
    """A place where a file may be is no demand; a file that was named is."""
    loaded = store(tmp_path).load()

    assert (loaded.config, loaded.exists) == (Config(), False)
    assert Store(Origin("svc", kind=Config), {}).load().config == Config()
    with pytest.raises(ConfigError, match="there is no such file"):
        store(tmp_path, required=True).load()


@pytest.mark.linux
@pytest.mark.macos
def test_a_link_that_leads_nowhere_is_a_file_that_is_missing(tmp_path) -> None:
    """Somebody has put it there, so it is no place that happens to be empty."""
    (tmp_path / "a.toml").symlink_to("nowhere")
    with pytest.raises(ConfigError, match="there is no such file"):
        store(tmp_path).load()


def test_files_with_secrets_are_watched_too(tmp_path) -> None:
    """A rotated secret leads to a reload; its path is beside the configuration."""
    (tmp_path / "pw").write_text("hunter2\n")
    (tmp_path / "a.toml").write_text('password = { file = "pw" }\n')
    loaded = store(tmp_path).load()

    assert loaded.config.password == Secret("hunter2")
    assert loaded.files() == (str(tmp_path / "a.toml"), str(tmp_path / "pw"))


def test_the_last_good_file_serves_a_cold_start(tmp_path) -> None:
    """Kept when asked, used with a loud warning when the file is bad, and the error that was found is not lost."""
    good = 'port = 1\npassword = { env = "S" }\n[stayon]\nkeep_last_good = true\n'
    (tmp_path / "a.toml").write_text(good)
    first = store(tmp_path, {"S": "hunter2"})
    first.keep(first.load())
    copy = tmp_path / "state" / "last-good.toml"
    assert copy.read_text() == good
    assert os.name == "nt" or stat.S_IMODE(copy.stat().st_mode) == 0o600
    (tmp_path / "a.toml").write_text("port = [\n")
    loaded = store(tmp_path, {"S": "hunter2"}).load_at_start()

    assert loaded.config == Config(1, "x", Secret("hunter2"))
    assert loaded.from_last_good is not None
    assert loaded.warnings[0].startswith("the configuration is bad, so the last good one is used")
    assert os.listdir(tmp_path / "state") == ["last-good.toml"]


def test_a_bad_file_without_a_last_good_one_is_an_error(tmp_path) -> None:
    """Not asked for: nothing is kept, and what was kept before goes; a kept one that doesn't fit is no help."""
    (tmp_path / "a.toml").write_text("[stayon]\nkeep_last_good = true\n")
    first = store(tmp_path)
    first.keep(first.load())
    (tmp_path / "a.toml").write_text("port = 1\n")
    first.keep(first.load())
    assert os.listdir(tmp_path / "state") == []
    (tmp_path / "state" / "last-good.toml").write_text("prot = 1\n")
    (tmp_path / "a.toml").write_text("nmae = 1\n")
    with pytest.raises(ConfigError, match="nmae"):
        store(tmp_path).load_at_start()


def test_a_last_good_file_that_cannot_be_written_is_told(tmp_path) -> None:
    """An unwritable state directory is an error with the path, not silence."""
    (tmp_path / "a.toml").write_text("[stayon]\nkeep_last_good = true\n")
    (tmp_path / "state").write_text("a file is in the way")
    blocked = store(tmp_path)
    with pytest.raises(Exception, match=r"the last good configuration cannot be kept.*config\.last-good"):
        blocked.keep(blocked.load())
