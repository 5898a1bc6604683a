"""The reload as a transaction, on real files and with real hooks: all of it holds, or none of it does."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sqlite3
import threading
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon import platforms
from stayon.errors import ConfigError
from stayon.runtime.config.hook_thread import HookThread
from stayon.runtime.config.live import LiveConfig
from stayon.runtime.config.reload import Inputs, ReloadAborted, Result, Subscriber, Transaction
from stayon.runtime.config.secrets import Secret
from stayon.runtime.config.shapes import needs_restart
from stayon.runtime.config.store import Origin, Store

CLOCK = platforms.current().clock


@dataclasses.dataclass(frozen=True)
class Config:
    a: int = 0
    b: int = 0
    dsn: Annotated[str, needs_restart] = "x"
    password: Secret | None = None


def inline(function, *arguments, timeout_s: float) -> Any:
    return function(*arguments)


class Bench:
    """A service's configuration on disk, its hooks, and a log of what they were told."""

    def __init__(self, folder, *, text: str = "a = 0\nb = 0\n", name: str = "a.toml", kind: Any = Config) -> None:
        self.path = folder / name
        self.path.write_text(text)
        self.store = Store(
            Origin("svc", str(self.path), required=True, kind=kind, state_directory=str(folder / "state")),
            {"S": "hunter2"},
        )
        self.live = LiveConfig(self.store.load())
        self.hooks: list[Subscriber] = []
        self.log: list[tuple] = []
        self.call: Any = inline
        self.hook_timeout_s = 5.0
        self.run_coroutine: Any = None

    def reload(self) -> Result:
        inputs = Inputs(self.live, self.store, self.hooks, "ctx", self.call, self.hook_timeout_s, self.run_coroutine)
        return Transaction(inputs).run()

    def plain(self, name: str, fails: frozenset[str] = frozenset()) -> None:
        def hook(ctx, new, old) -> None:
            self.log.append((name, "plain", old.a, new.a))
            if "plain" in fails or ("again" in fails and new.a < old.a):
                raise ValueError(f"{name} fails")

        self.hooks.append(Subscriber(name, hook))

    def generator(self, name: str, fails: frozenset[str] = frozenset()) -> None:
        def hook(ctx, new, old):
            self.log.append((name, "prepare", old.a, new.a))
            if "prepare" in fails:
                raise ValueError(f"{name} fails")
            try:
                yield
            except ReloadAborted:
                self.log.append((name, "abort", old.a, new.a))
                if "abort" in fails:
                    raise ValueError(f"{name} fails") from None
                raise
            self.log.append((name, "commit", old.a, new.a))
            if "commit" in fails:
                raise ValueError(f"{name} fails")

        self.hooks.append(Subscriber(name, hook))


def test_the_same_file_is_no_change(tmp_path) -> None:
    """Touching it, or changing a comment, tells no hook and counts no generation."""
    bench = Bench(tmp_path)
    bench.plain("p")
    assert bench.reload() == Result("unchanged", 1)
    os.utime(bench.path, ns=(1, 1))
    assert bench.reload() == Result("unchanged", 1)
    bench.path.write_text("# better said\na = 0\n")
    assert bench.reload() == Result("unchanged", 1)

    assert bench.log == []


def test_a_good_change_is_prepared_swapped_and_committed(tmp_path) -> None:
    """In the order of declaration; the new object holds between prepare and commit."""
    bench = Bench(tmp_path)
    seen = []

    def look(ctx, new, old):
        seen.append((ctx, bench.live.current is old))
        yield
        seen.append((ctx, bench.live.current is new))

    bench.generator("g")
    bench.plain("p")
    bench.hooks.append(Subscriber("look", look))
    bench.path.write_text("a = 1\n")

    assert bench.reload() == Result("applied", 2, ("a",))
    assert bench.log == [("g", "prepare", 0, 1), ("p", "plain", 0, 1), ("g", "commit", 0, 1)]
    assert seen == [("ctx", True), ("ctx", True)]
    assert bench.live.current == Config(1)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "a = \n", r"a\.toml:1:5: invalid value"),
        ("a.toml", "a = 1\nc = 2\n", r"a\.toml:2: c: this key is not known"),
        ("a.toml", "", "the file is empty"),
        ("a.yaml", "a: [\n", r"a\.yaml:2:1"),
        ("a.yaml", "a: 1\nb: x\n", r"a\.yaml:2: b: expected a whole number, found text"),
        ("a.json", '{"a": 1,\n"b": "2"}', r"a\.json:2: b: expected a whole number, found text"),
        ("a.json", '{"a": 1', r"a\.json:1:8"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path, name, text, message) -> None:
    """The old configuration stays, no hook is told, and the error says where."""
    bench = Bench(
        tmp_path, name=name, text='{"a": 0}' if name.endswith("json") else "a: 0" if name.endswith("yaml") else "a = 0"
    )
    bench.plain("p")
    before = bench.live.loaded
    bench.path.write_text(text)
    result = bench.reload()

    assert (result.outcome, result.generation, bench.log) == ("refused", 1, [])
    assert bench.live.loaded is before
    with pytest.raises(ConfigError, match=message):
        raise result.error  # type: ignore[misc]  # it is there, or this fails


def test_delete_and_create_again_then_rename_over_it(tmp_path) -> None:
    """While the file is away the old configuration holds; when it is back, or replaced, what it says does."""
    bench = Bench(tmp_path)
    bench.path.unlink()
    gone = bench.reload()
    bench.path.write_text("a = 3\n")

    assert (gone.outcome, gone.error.code if gone.error else "") == ("refused", "config.missing")
    assert bench.reload().outcome == "applied"
    assert bench.live.current.a == 3
    (tmp_path / "new").write_text("a = 4\n")
    os.replace(tmp_path / "new", bench.path)
    assert bench.reload() == Result("applied", 3, ("a",))


@pytest.mark.linux
@pytest.mark.macos
def test_symlinks_swapped_twice(tmp_path) -> None:
    """As the kubelet publishes: the file is a link through ``..data``, which is swapped."""
    for version in (1, 2, 3):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "a.toml").write_text(f"a = {version}\n")
    bench = Bench(tmp_path)
    bench.path.unlink()
    bench.path.symlink_to("..data/a.toml")
    seen = []
    for version in (1, 2, 3):
        (tmp_path / "..new").symlink_to(f"..{version}")
        os.replace(tmp_path / "..new", tmp_path / "..data")
        seen.append((bench.reload().outcome, bench.live.current.a))

    assert seen == [("applied", 1), ("applied", 2), ("applied", 3)]


def test_a_writer_that_never_rests_is_outlasted(tmp_path) -> None:
    """Truncated and written in pieces under constant reloading: at the end its last words hold."""
    bench = Bench(tmp_path, text="a = 0\nb = 0\n")
    problems = []

    def keep_writing() -> None:
        for number in range(1, 60):
            with open(bench.path, "w") as file:
                for line in (f"a = {number}\n", "# comment\n" * 50, f"b = {number}\n"):
                    file.write(line)
                    file.flush()

    writer = threading.Thread(target=keep_writing)
    writer.start()
    while writer.is_alive():
        result = bench.reload()
        if result.error is not None:
            problems.append(result.error.code)
    writer.join()
    bench.reload()

    assert bench.live.current == Config(59, 59)
    assert set(problems) <= {"config.empty", "config.unstable"}


def test_a_file_that_changed_after_it_was_read_is_read_again(tmp_path, monkeypatch) -> None:
    """Valid by chance is not enough: before anything is applied, the file is looked at once more."""
    bench = Bench(tmp_path)
    texts = iter(["a = 1\nb = 2\n", "a = 1\nb = 22\n"])
    load = bench.store.load_document

    def load_while_written(document):
        loaded = load(document)
        text = next(texts, None)
        if text is not None:
            bench.path.write_text(text)
        return loaded

    monkeypatch.setattr(bench.store, "load_document", load_while_written)
    bench.path.write_text("a = 1\n")

    assert bench.reload().outcome == "applied"
    assert bench.live.current == Config(1, 22)


def test_a_rotated_secret_is_a_change(tmp_path) -> None:
    """The same file, but what it refers to is another: the hooks get the new secret, and the Result only its path."""
    (tmp_path / "pw").write_text("hunter2\n")
    bench = Bench(tmp_path, text='password = { file = "pw" }\n')
    (tmp_path / "pw").write_text("hunter3\n")
    result = bench.reload()

    assert result == Result("applied", 2, ("password",))
    assert bench.live.current.password == Secret("hunter3")


def test_a_field_that_needs_a_restart_refuses_the_whole_reload(tmp_path) -> None:
    """Nothing is applied, not even the rest, and the error says which keys and what to run."""
    bench = Bench(tmp_path)
    bench.plain("p")
    bench.path.write_text('a = 1\ndsn = "y"\n[stayon]\nprobes.listen = 3\n')
    result = bench.reload()

    assert (result.outcome, result.changed, bench.log) == ("restart-required", ("a", "dsn", "stayon.probes.listen"), [])
    assert "dsn, stayon.probes.listen changed" in str(result.error)
    assert "restart" in str(result.error).partition("nothing was applied")[2]
    assert bench.live.current == Config()


def test_a_host_setting_changes_live(tmp_path) -> None:
    """``[stayon]`` is part of the same transaction."""
    bench = Bench(tmp_path)
    bench.path.write_text('[stayon.log]\nlevel = "debug"\n')

    assert bench.reload() == Result("applied", 2, ("stayon.log.level",))
    assert bench.live.loaded.host["log.level"] == "debug"


def test_a_hook_that_refuses_leaves_everything_as_it_was(tmp_path) -> None:
    """Prepared generators are aborted, plain functions told the old values, in reverse; later ones hear nothing."""
    bench = Bench(tmp_path)
    bench.generator("one")
    bench.plain("two")
    bench.generator("three", frozenset({"prepare"}))
    bench.generator("four")
    bench.path.write_text("a = 1\n")
    result = bench.reload()

    assert bench.log == [
        ("one", "prepare", 0, 1),
        ("two", "plain", 0, 1),
        ("three", "prepare", 0, 1),
        ("two", "plain", 1, 0),
        ("one", "abort", 0, 1),
    ]
    assert (result.outcome, bench.live.current) == ("refused", Config())
    assert "the hook three refused it: ValueError: three fails" in str(result.error)
    assert "the old one holds" in str(result.error)


def test_a_hook_that_fails_at_commit_brings_the_old_back(tmp_path) -> None:
    """Swapped back; the committed ones are called again with the old, the uncommitted aborted, all in reverse."""
    bench = Bench(tmp_path)
    bench.generator("one")
    bench.generator("two", frozenset({"commit"}))
    bench.plain("three")
    bench.generator("four")
    bench.path.write_text("a = 1\n")
    result = bench.reload()

    assert bench.log[4:] == [
        ("one", "commit", 0, 1),
        ("two", "commit", 0, 1),
        ("four", "abort", 0, 1),
        ("three", "plain", 1, 0),
        ("one", "prepare", 1, 0),
        ("one", "commit", 1, 0),
    ]
    assert (result.outcome, result.generation, bench.live.current) == ("rolled-back", 1, Config())
    assert "the hook two failed: ValueError: two fails" in str(result.error)


def test_a_hook_that_cannot_go_back_is_told_of_as_well(tmp_path) -> None:
    """The error has the cause and the result of restoring."""
    bench = Bench(tmp_path)
    bench.plain("one", frozenset({"again"}))
    bench.generator("two", frozenset({"commit"}))
    bench.path.write_text("a = 1\n")
    result = bench.reload()

    assert result.error is not None
    assert result.error.code == "config.hook-not-restored"
    assert "the hook two failed" in str(result.error)
    assert "the hook one could not go back: ValueError: one fails" in str(result.error)
    assert bench.live.current == Config()


FAILURES = st.frozensets(st.sampled_from(["prepare", "commit", "abort", "plain", "again"]), max_size=2)


@given(hooks=st.lists(st.tuples(st.booleans(), FAILURES), max_size=4))
def test_whatever_the_hooks_do_one_configuration_holds_for_all(tmp_path_factory, hooks) -> None:
    """Applied: every hook ends with the new. Not applied: the old object holds, and every hook that could went back."""
    bench = Bench(tmp_path_factory.mktemp("r"))
    for number, (is_generator, fails) in enumerate(hooks):
        (bench.generator if is_generator else bench.plain)(str(number), fails)
    before = bench.live.loaded
    bench.path.write_text("a = 1\n")
    result = bench.reload()
    holds: dict[str, int] = {}
    for name, act, old, new in bench.log:
        if act in ("plain", "commit"):
            holds[name] = new
        elif act == "abort":
            holds[name] = old

    if result.outcome == "applied":
        assert bench.live.current.a == 1
        assert set(holds.values()) <= {1}
        assert len(holds) == len(hooks)
    else:
        assert bench.live.loaded is before
        assert all(value == 0 for name, value in holds.items() if f"the hook {name} " not in str(result.error))


@pytest.mark.parametrize("act", ["prepare", "commit", "plain"])
def test_secrets_are_not_in_the_error_of_a_hook(tmp_path, act) -> None:
    """A hook's exception may say anything; what is secret in the old or the new configuration is masked."""
    bench = Bench(tmp_path, text='password = "hunter2"\n')

    def hook(ctx, new, old):
        if act == "commit":
            yield
        raise ValueError(f"{old.password.reveal()} {new.password.reveal()}")

    def plain(ctx, new, old) -> None:
        next(hook(ctx, new, old))

    bench.hooks.append(Subscriber("h", plain if act == "plain" else hook))
    bench.path.write_text('password = "hunter3"\n')
    result = bench.reload()

    assert "*** ***" in str(result.error)
    assert "hunter" not in f"{result}{result.error!r}{result.error}"


def test_a_late_hook_is_given_up_and_undone_when_it_ends(tmp_path) -> None:
    """After its time the old configuration stays; when the hook comes back at last, it is aborted by itself."""
    bench = Bench(tmp_path)
    hooks = HookThread(CLOCK)
    bench.call, bench.hook_timeout_s = hooks.call, 0.05
    go_on, aborted = threading.Event(), threading.Event()

    def slow(ctx, new, old):
        go_on.wait(10)
        try:
            yield
        except ReloadAborted:
            aborted.set()
            raise

    bench.generator("one")
    bench.hooks.append(Subscriber("slow", slow))
    bench.path.write_text("a = 1\n")
    result = bench.reload()
    assert "the hook slow refused it: TimeoutError: it did not return within 0.05 s" in str(result.error)
    assert bench.log == [("one", "prepare", 0, 1), ("one", "abort", 0, 1)]
    go_on.set()
    hooks.close()

    assert aborted.wait(10)


def test_a_late_plain_hook_is_told_the_old_values_when_it_ends(tmp_path) -> None:
    """It has applied the new ones after all, so it is called again."""
    bench = Bench(tmp_path)
    hooks = HookThread(CLOCK)
    bench.call, bench.hook_timeout_s = hooks.call, 0.05
    go_on, told = threading.Event(), threading.Event()

    def slow(ctx, new, old) -> None:
        if new.a == 1:
            go_on.wait(10)
        else:
            told.set()

    bench.hooks.append(Subscriber("slow", slow))
    bench.path.write_text("a = 1\n")
    assert bench.reload().outcome == "refused"
    go_on.set()
    hooks.close()

    assert told.wait(10)


def test_both_halves_of_a_hook_run_on_one_thread(tmp_path) -> None:
    """So that what belongs to a thread, such as an SQLite connection, can be prepared and then used."""
    bench = Bench(tmp_path)
    hooks = HookThread(CLOCK)
    bench.call = hooks.call
    used = []

    def hook(ctx, new, old):
        connection = sqlite3.connect(":memory:")
        yield
        used.append(connection.execute("select 1").fetchone())
        connection.close()

    bench.hooks.append(Subscriber("h", hook))
    bench.path.write_text("a = 1\n")
    result = bench.reload()
    hooks.close()

    assert (result.outcome, used) == ("applied", [(1,)])


def test_an_async_hook_runs_where_the_host_says(tmp_path) -> None:
    """``async def`` works where there is a way to run it; with a yield in it, it is refused with the reason."""
    bench = Bench(tmp_path)
    told = []

    async def hook(ctx, new, old) -> None:
        told.append(new.a)

    async def strange(ctx, new, old):
        yield

    bench.hooks.append(Subscriber("h", hook))
    bench.run_coroutine = asyncio.run
    bench.path.write_text("a = 1\n")
    assert (bench.reload().outcome, told) == ("applied", [1])
    bench.hooks = [Subscriber("strange", strange)]
    bench.path.write_text("a = 2\n")

    assert "a reload hook must be a function" in str(bench.reload().error)


def test_a_second_yield_is_a_mistake(tmp_path) -> None:
    """A generator with two yields would be left hanging: it counts as failed, and the old configuration comes back."""
    bench = Bench(tmp_path)

    def hook(ctx, new, old):
        yield
        yield

    bench.hooks.append(Subscriber("h", hook))
    bench.path.write_text("a = 1\n")
    result = bench.reload()

    assert result.outcome == "rolled-back"
    assert "it came to a second yield" in str(result.error)


def test_the_last_good_file_follows_an_applied_reload(tmp_path) -> None:
    """After a reload that held the copy is the new file; after one that didn't, it is the old."""
    bench = Bench(tmp_path)
    good = "a = 1\n[stayon]\nkeep_last_good = true\n"
    bench.path.write_text(good)
    assert bench.reload().warnings == ()
    bench.plain("p", frozenset({"plain"}))
    bench.path.write_text("a = 2\n[stayon]\nkeep_last_good = true\n")
    bench.reload()

    assert (tmp_path / "state" / "last-good.toml").read_text() == good


def test_an_unwritable_copy_does_not_undo_a_reload(tmp_path) -> None:
    """The change holds, and the Result warns."""
    bench = Bench(tmp_path)
    (tmp_path / "state").write_text("a file is in the way")
    bench.path.write_text("a = 1\n[stayon]\nkeep_last_good = true\n")
    result = bench.reload()

    assert result.outcome == "applied"
    assert "cannot be kept" in result.warnings[0]
