"""The configuration a service starts with: where it may come from, what goes before what, and what nobody may see."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.platform.conftest import Program

TYPED = """
from dataclasses import dataclass, field
from stayon import Secret

@dataclass
class Database:
    port: int = 1
    password: Secret = Secret("")

@dataclass
class Config:
    name: str = "default"
    count: int = 0
    database: Database = field(default_factory=Database)

service = Service("s", config=Config, stop_timeout="2s")

@service.every("60s")
def work(ctx):
    config = ctx.config
    ctx.log.info("begun", name=config.name, count=config.count, port=config.database.port)
"""


def test_argument_over_environment_over_file_over_default(program: Program) -> None:
    """Each layer goes before the one behind it; a reload does not change that."""
    program.config.write_text("name = 'file'\ncount = 1\n[database]\nport = 2\n")
    started = program.run(
        TYPED, "run", "--set", "name=argument", environment={"S_NAME": "environment", "S_DATABASE_PORT": "3"}
    )
    assert started.wait_log("begun")["fields"] == {"name": "argument", "count": 1, "port": 3}
    program.config.write_text("name = 'other'\ncount = 5\n[database]\nport = 6\n")
    assert started.wait_log("configuration applied")["fields"]["changed"] == ["count"]


def test_a_bad_value_says_which_layer_it_came_from(program: Program) -> None:
    """The one line of the error names the variable, or the argument, as it would name the line of a file."""
    program.write(TYPED)
    variable = program.verb("run", environment={"S_DATABASE_PORT": "many"})
    argument = program.verb("run", "--set", "database.port=many")
    for answer, where in ((variable, "environment S_DATABASE_PORT"), (argument, "argument --set: database.port")):
        assert (answer.code, answer.err.count("\n")) == (78, 1), answer
        assert where in answer.err
        assert "many" not in answer.err.replace(where, ""), "a bad value may be a secret in the wrong place"


def test_another_file_can_be_said(program: Program) -> None:
    """``--config FILE`` takes that one, which then has to be there."""
    other = program.folder / "other.toml"
    other.write_text("count = 4\n")
    started = program.run(TYPED, "run", "--config", "other.toml")
    assert started.wait_log("begun")["fields"]["count"] == 4
    assert started.stop() == 0
    missing = program.verb("run", "--config", "nothere.toml")
    assert (missing.code, missing.err.count("\n")) == (78, 1)
    assert str(program.folder / "nothere.toml") in missing.err


def test_several_files_are_one_too_many(program: Program) -> None:
    """Two files in the configuration's place are not a riddle for the operator: 78, and both are named."""
    program.write(TYPED)
    program.config.write_text("")
    program.config.with_suffix(".json").write_text("{}")
    answer = program.verb("run")
    assert (answer.code, answer.err.count("\n")) == (78, 1)
    assert "s.toml, s.json" in answer.err


def test_the_last_good_file_saves_a_cold_start(program: Program) -> None:
    """With keep_last_good a start that finds a bad file takes the last good one, and warns; without, it is 78."""
    good = "count = 7\n[stayon]\nkeep_last_good = true\n"
    program.config.write_text(good)
    assert program.run(TYPED).stop() == 0
    program.config.write_text("count = [\n")
    started = program.run(None)
    assert started.wait_log("begun")["fields"]["count"] == 7
    warning = started.records("the last good one is used")[0]
    assert warning["level"] == "WARNING"
    assert f"{program.config}:" in warning["message"]
    program.config.write_text(good.replace("true", "false"))
    started.wait_log("configuration applied")
    assert started.stop() == 0
    program.config.write_text("count = [\n")
    assert program.verb("run").code == 78


SECRETS = ("hunter2-file", "hunter2-environment", "hunter2-set", "hunter2-new")


def test_secrets_are_nowhere_to_be_seen(program: Program) -> None:
    """Neither the log nor any verb, neither a refusal nor a crash report, shows what is secret."""
    secret_file = program.folder / "password"
    secret_file.write_text("hunter2-file\n")
    program.config.write_text(f"[database]\npassword = {{file = '{secret_file}'}}\n")
    started = program.run(
        TYPED
        + """
@service.on_reload
def told(ctx, new, old):
    ctx.log.info("told", config=new, password=new.database.password)
    if new.count == 3:
        raise ValueError(f"cannot connect with {new.database.password.reveal()}")

@service.every("50ms")
def leak(ctx):
    ctx.log.info("as it is", config=ctx.config, password=ctx.config.database.password, text=f"{ctx.config}")
    if ctx.config.count == 4:
        secret = ctx.config.database.password
        raise ValueError(f"no login with {secret}")
""",
        "run", "--level", "debug",
    )  # fmt: skip
    started.wait_log("as it is")
    seen = [program.verb(verb) for verb in ("status", "dump", "doctor", "logs")]
    secret_file.write_text("hunter2-new\n")
    assert started.wait_log("configuration applied")["fields"]["changed"] == ["database.password"]
    program.config.write_text(f"count = 3\n[database]\npassword = {{file = '{secret_file}'}}\n")
    started.wait_log("configuration not applied")
    program.config.write_text("[database]\npassword = ['hunter2-file']\n")
    started.wait_log("configuration not applied", 2)
    program.config.write_text(f"count = 4\n[database]\npassword = {{file = '{secret_file}'}}\n")
    started.wait_log("job failed")
    seen += [program.verb(verb) for verb in ("status", "dump", "doctor", "logs", "reload")]
    assert started.stop() == 0
    for words, environment in (
        (("run", "--set", "database.password=hunter2-set", "--set", "count=x"), {}),
        (("run", "--set", "count=x"), {"S_DATABASE_PASSWORD": "hunter2-environment"}),
        (("doctor", "--set", "database.password=hunter2-set"), {"S_COUNT": "hunter2-environment"}),
    ):
        seen.append(program.verb(*words, environment=environment))
    everything = [
        started.err,
        started.out,
        program.log_file.read_text(),
        *(text for answer in seen for text in answer[1:]),
    ]
    for secret in SECRETS:
        assert not [text for text in everything if secret in text], secret
    kept = [path for path in program.home.rglob("*") if path.is_file() and path != program.config]
    assert not [path for path in kept if b"hunter2" in path.read_bytes()]


def test_the_environment_is_not_in_a_failure_report(program: Program) -> None:
    """The report of a failure has no variable's value and no argument, as one may be a secret."""
    started = program.start(
        """
        service = Service("s")

        @service.run
        def main(ctx):
            raise ValueError("boom")
        """,
        "run", "--", "hunter2-argument",
        environment={"DATABASE_URL": "hunter2-environment"},
    )  # fmt: skip
    assert started.wait() == 70
    assert "hunter2" not in started.err


def test_all_mistakes_of_a_file_are_told_at_once(program: Program) -> None:
    """A line each, with the file's name and line: nobody has to correct one to learn of the next."""
    program.write(TYPED)
    program.config.write_text("nam = 'x'\ncount = 'many'\n[database]\nprt = 1\n[stayon]\nlgo = 1\n")
    answer = program.verb("run")
    assert answer.code == 78
    for place in (":1: nam", ":2: count", ":4: database.prt", ":6: stayon.lgo"):
        assert len([line for line in answer.err.splitlines() if f"{program.config}{place}" in line]) == 1, answer.err
    assert "many" not in answer.err
