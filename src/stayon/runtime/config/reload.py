"""A change of the configuration as a transaction: all of it holds, or none of it does, and the error says why.

Read, the same: nothing. Parse and validate whole, compare, let every hook prepare, swap one object, commit. A hook that
raises or is late before the swap: the old configuration stays. After it: the old one comes back.
"""

from __future__ import annotations

from _thread import allocate_lock

from stayon.core.plan import diff
from stayon.core.record import Record
from stayon.errors import ConfigError, FailedError, StayonError
from stayon.runtime.config.documents import ChangingError
from stayon.runtime.config.key_paths import covers, shown
from stayon.runtime.config.problems import masked
from stayon.runtime.config.secrets import Secret, looks_secret
from stayon.runtime.config.sources import NO_DIGEST, digest_of
from stayon.runtime.outcome import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, Protocol

    from stayon.core.plan import Change
    from stayon.runtime.config.documents import Document
    from stayon.runtime.config.live import LiveConfig
    from stayon.runtime.config.store import Loaded, Store

    class Call(Protocol):
        """Calls a hook within a limit: returns what it returns, raises what it raises, or ``TimeoutError``."""

        def __call__(self, function: Callable[..., Any], *arguments: Any, timeout_s: float) -> Any: ...


APPLIED = "applied"
UNCHANGED = "unchanged"
REFUSED = "refused"
ROLLED_BACK = "rolled-back"
RESTART_REQUIRED = "restart-required"

# How often a file that changes under our eyes is read again before it is told.
ATTEMPTS = 3


class ReloadAborted(Exception):  # noqa: N818  # a message to a generator, not an error
    """Thrown into a hook at its ``yield``: the new configuration will not hold, so undo what was prepared."""


class Subscriber(Record):
    """A hook to be told of a change, and its name for messages."""

    name: str
    hook: Callable[..., Any]


class Result(Record):
    """How a reload went. *changed* are the paths of the keys that differ (paths only: no value is ever in a Result).

    *warnings* are about what holds now; *error* is why nothing changed, or why it was changed back.
    """

    outcome: str
    generation: int
    changed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    error: StayonError | None = None


class Inputs(Record):
    """What a transaction works on: what holds now, where new ones come from, and who is told, with the ``ctx`` they
    get.

    *run_coroutine* runs what an ``async def`` hook returned, to its end, from a thread that is not the event loop's.
    """

    live: LiveConfig
    store: Store
    subscribers: Sequence[Subscriber]
    context: Any
    call: Call
    hook_timeout_s: float
    run_coroutine: Callable[[Any], object] | None = None


class Transaction:
    """One reload. ``run`` is straight code, for a worker thread; one at a time."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._live, self._store = inputs.live, inputs.store
        self._old = inputs.live.loaded
        self._parts: list[_Part] = []

    def run(self) -> Result:
        """Reload. Blocks: reads files, calls hooks. Raises nothing; what went wrong is in the Result."""
        try:
            new = self._load()
        except StayonError as error:
            return self._result(REFUSED, error=error)
        except Exception as error:  # noqa: BLE001  # the user's type may raise anything; the service goes on
            return self._result(REFUSED, error=FailedError("the configuration cannot be loaded", why=_told(error)))
        changes = diff(self._old.tree, new.tree) if new is not None else ()
        if new is None or not changes:
            if new is not None:
                self._live.swap(new)  # equal values; but its digest and its secrets' sources are those to compare with
            return self._result(UNCHANGED)
        changed = tuple(shown(change.path) for change in changes)
        stuck = self._stuck(changes)
        if stuck:
            return self._result(RESTART_REQUIRED, changed, error=self._needs_restart(stuck))
        return self._apply(new, changed)

    def _load(self) -> Loaded | None:
        """The new configuration; None if it is the one that holds."""
        path = self._store.origin.path
        for _ in range(ATTEMPTS):
            document = self._store.read()
            if self._is_current(document):
                return None
            self._refuse_gone(document)
            loaded = self._store.load_document(document)
            if document is None or self._is_still(document):
                return loaded
        raise ConfigError(
            "the file kept changing",
            where=path,
            hint="Write it in one step: to another name, then rename.",
            code="config.unstable",
        )

    def _is_current(self, document: Document | None) -> bool:
        digest = digest_of(document.text) if document is not None else NO_DIGEST
        same_file = digest == self._old.digest and (document is not None) is self._old.exists
        return same_file and self._old.sources.unchanged()

    def _is_still(self, document: Document) -> bool:
        """Whether the file is what was read: a half-written one that was valid by chance must not be applied."""
        try:
            again = self._store.read()
        except (ConfigError, ChangingError):
            return False
        return again is not None and again.text == document.text

    def _refuse_gone(self, document: Document | None) -> None:
        """While running, a file that is away or empty is one that is being replaced, or lost; not the wish for
        defaults.
        """
        path = self._store.origin.path
        if document is None and self._old.exists:
            raise ConfigError("the file is gone", where=path, hint="Put it back, or restart.", code="config.missing")
        if document is not None and not document.text and self._old.exists and self._old.digest != digest_of(""):
            raise ConfigError(
                "the file is empty",
                where=path,
                hint="If defaults are meant, write a comment into it.",
                code="config.empty",
            )

    def _stuck(self, changes: tuple[Change, ...]) -> list[str]:
        patterns = self._store.restart_patterns()
        return [shown(change.path) for change in changes if any(covers(pattern, change.path) for pattern in patterns)]

    def _needs_restart(self, stuck: list[str]) -> ConfigError:
        name = self._store.origin.service_name
        return ConfigError(
            f"{', '.join(stuck)} changed, which a running service cannot take; nothing was applied",
            where=self._store.origin.path,
            hint=f"Run the verb restart of {name}, or change it back.",
            code="config.restart-required",
        )

    def _apply(self, new: Loaded, changed: tuple[str, ...]) -> Result:
        self._parts = [_Part(subscriber, self._inputs) for subscriber in self._inputs.subscribers]
        for part in self._parts:
            error = part.prepare(new.config, self._old.config)
            if error is not None:
                return self._go_back(
                    REFUSED, new, changed, f"the hook {part.name} refused it: {self._safe(error, new)}"
                )
        self._live.swap(new)
        for part in self._parts:
            error = part.commit()
            if error is not None:
                self._live.swap(self._old)
                return self._go_back(
                    ROLLED_BACK, new, changed, f"the hook {part.name} failed: {self._safe(error, new)}"
                )
        self._live.generation += 1
        return self._result(APPLIED, changed, (*new.warnings, *self._kept(new)))

    def _kept(self, new: Loaded) -> tuple[str, ...]:
        try:
            self._store.keep(new)
        except StayonError as error:
            return (str(error),)
        return ()

    def _go_back(self, outcome: str, new: Loaded, changed: tuple[str, ...], cause: str) -> Result:
        """Undo what the hooks have done, the last first, and tell how that went as well."""
        failures = []
        for part in reversed(self._parts):
            error = part.undo(self._old.config, new.config)
            if error is not None:
                failures.append(f"the hook {part.name} could not go back: {self._safe(error, new)}")
        after = f"; but {'; '.join(failures)}" if failures else ""
        what = "the new configuration was not applied" if outcome == REFUSED else "the new configuration was taken back"
        return self._result(
            outcome,
            changed,
            error=ConfigError(
                f"{what}; the old one holds{after}",
                where=self._store.origin.path,
                why=cause,
                hint="Restart the service: a part of it may be in between." if failures else "",
                code="config.hook-failed" if not failures else "config.hook-not-restored",
            ),
        )

    def _safe(self, error: BaseException, new: Loaded) -> str:
        """What an exception of the user's says, without the secrets of either configuration."""
        return masked(_told(error), {*_secrets_in(self._old.tree), *_secrets_in(new.tree)})

    def _result(
        self,
        outcome: str,
        changed: tuple[str, ...] = (),
        warnings: tuple[str, ...] = (),
        error: StayonError | None = None,
    ) -> Result:
        return Result(outcome, self._live.generation, changed, warnings, error)


class _Part:
    """One subscriber's way through a transaction."""

    def __init__(self, subscriber: Subscriber, inputs: Inputs) -> None:
        self.name = subscriber.name
        self._hook, self._inputs = subscriber.hook, inputs
        self._generator: Any = None
        self._values: tuple[Any, Any] = (None, None)
        self._told = False
        self._given_up = self._in_commit = False
        self._lock = allocate_lock()

    def prepare(self, new: Any, old: Any) -> BaseException | None:
        """Call the hook, a generator function up to its ``yield``. Gives the error, or None."""
        self._values = (new, old)
        return self._unless_late(self._prepare, new, old)

    def _unless_late(self, function: Callable[..., object], *arguments: Any) -> BaseException | None:
        error = self._limited(function, *arguments)
        if error is not None:
            with self._lock:
                self._given_up = True
        return error

    def _prepare(self, new: Any, old: Any) -> None:
        generator = self._begun(new, old)
        with self._lock:
            if not self._given_up:
                self._generator, self._told = generator, generator is None
                return
        # It was late, and the transaction has gone on without it: what has been prepared just now is undone just now.
        if generator is not None:
            _throw(generator)
        else:
            self._tell_again(old, new)

    def _begun(self, new: Any, old: Any) -> Any:
        """The generator, at its ``yield``; None if the hook is a plain function, or never came to a ``yield``."""
        returned = self._hook(self._inputs.context, new, old)
        if hasattr(returned, "__await__") and self._inputs.run_coroutine is not None:
            self._inputs.run_coroutine(returned)
            return None
        if hasattr(returned, "__await__") or hasattr(returned, "__anext__"):
            raise TypeError("a reload hook must be a function, a generator function, or an async def without yield")
        if not hasattr(returned, "throw"):
            return None
        try:
            next(returned)
        except StopIteration:
            return None
        return returned

    def commit(self) -> BaseException | None:
        """Go on behind the ``yield``; a plain function has done its work. Gives the error, or None."""
        if self._generator is None:
            return None
        generator, self._generator = self._generator, None
        self._in_commit = True
        error = self._unless_late(self._commit, generator)
        self._in_commit = isinstance(error, TimeoutError)
        return error

    def _commit(self, generator: Any) -> None:
        _finish(generator)
        with self._lock:
            self._told = True
            if not self._given_up:
                return
        # It was late, and the old configuration has come back meanwhile: so it has to come back here as well.
        new, old = self._values
        self._tell_again(old, new)

    def undo(self, old: Any, new: Any) -> BaseException | None:
        """Abort what is prepared; tell a hook that has finished that *old* holds again. Gives the error, or None."""
        if self._generator is not None:
            generator, self._generator = self._generator, None
            return self._limited(_throw, generator)
        with self._lock:
            if self._given_up and not self._told and self._in_commit:
                return TimeoutError("it is still at it; when it is through, it will be told to go back")
            if not self._told or self._given_up:
                return None
        return self._limited(self._tell_again, old, new)

    def _tell_again(self, old: Any, new: Any) -> None:
        generator = self._begun(old, new)
        if generator is not None:
            _finish(generator)

    def _limited(self, function: Callable[..., object], *arguments: Any) -> BaseException | None:
        try:
            self._inputs.call(function, *arguments, timeout_s=self._inputs.hook_timeout_s)
        except BaseException as error:  # noqa: BLE001  # a hook's SystemExit is a refusal, too
            return error
        return None


def _finish(generator: Any) -> None:
    try:
        next(generator)
    except StopIteration:
        return
    generator.close()
    raise RuntimeError("it came to a second yield")


def _throw(generator: Any) -> None:
    try:
        generator.throw(ReloadAborted("the new configuration does not hold"))
    except (ReloadAborted, StopIteration):
        return
    generator.close()
    raise RuntimeError("it came to a second yield")


def _told(error: BaseException) -> str:
    """What it is, what it says, and where it was raised."""
    place, trace = "", error.__traceback__
    while trace is not None:
        place = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"{text_of(error)}{place}"


def _secrets_in(value: Any, key: object = "") -> Iterator[str]:
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, dict):
        for inner_key, inner in value.items():
            yield from _secrets_in(inner, key if looks_secret(key) else inner_key)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _secrets_in(inner, key)
    elif isinstance(value, str) and looks_secret(key):
        yield value
