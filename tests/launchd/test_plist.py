"""What launchd is told of a service, by content: nothing here needs launchd."""

from __future__ import annotations

import plistlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core import restart
from stayon.core.installation import Installation
from stayon.core.places import Places
from stayon.errors import UsageError
from stayon.platforms.launchd import plist, policy, printed
from stayon.platforms.launchd.page import Page
from stayon.platforms.launchd.page import parsed as parsed_page
from stayon.platforms.launchd.page import text as page_text
from stayon.platforms.launchd.plist import Site, definition, rendered, understood

PLACES = Places("/etc/c", "/var/log/c", "/var/lib/c", "/run/c")
AGENT = Site("gui/501", PLACES, "/bin/launchctl bootout gui/501/collector")
DAEMON = Site("system", PLACES)
WANTED = Installation(
    name="collector",
    display_name="Price Collector",
    description="Collects prices.",
    command=("/venv/bin/python", "-P", "/entry.py", "collector", "/srv/collector.py"),
    mark="stayon 0.1.0",
    restart=None,
    start_timeout_s=60.0,
    stop_timeout_s=20.0,
)


def test_a_job_is_what_was_wanted() -> None:
    """Every key that launchd.plist(5) has for it, with the value that it wants."""
    content = definition(WANTED.replace(environment=(("TZ", "UTC"),)), AGENT)

    assert content["Label"] == "collector"
    assert content["ProgramArguments"] == list(WANTED.command)
    assert content["RunAtLoad"] is True
    assert content["KeepAlive"] == {"SuccessfulExit": False}
    assert content["ThrottleInterval"] == 10
    assert content["ExitTimeOut"] == 25
    assert content["StandardOutPath"] == content["StandardErrorPath"] == "/var/log/c/collector.out"
    assert content["EnvironmentVariables"]["TZ"] == "UTC"
    assert "UserName" not in content
    assert "LimitLoadToSessionType" not in content
    assert plistlib.loads(rendered(content)) == content


def test_the_service_is_told_who_started_it_and_where_to_say_how_it_is() -> None:
    """By variables that it takes out of its environment."""
    told = definition(WANTED, AGENT)["EnvironmentVariables"]

    assert told["STAYON_STARTER"] == "launchd"
    assert told["STAYON_PAGE"] == "/run/c/collector.launchd"
    assert told["STAYON_FINAL"] == "64 77 78"
    assert told["STAYON_UNLOAD"] == "/bin/launchctl bootout gui/501/collector"


def test_a_daemon_is_never_root_without_being_told() -> None:
    """Where nothing is said it is an account of little rights."""
    assert definition(WANTED, DAEMON)["UserName"] == "daemon"
    assert definition(WANTED.replace(account="_prices"), DAEMON)["UserName"] == "_prices"
    assert definition(WANTED.replace(account="root"), DAEMON)["UserName"] == "root"
    assert "STAYON_UNLOAD" not in definition(WANTED, DAEMON)["EnvironmentVariables"]


def test_an_agent_without_a_screen_lives_in_the_background() -> None:
    """launchd loads it then where no window server is."""
    assert definition(WANTED, Site("user/501"))["LimitLoadToSessionType"] == "Background"


@pytest.mark.parametrize(
    ("said", "keep_alive", "throttle_s"),
    [
        (restart.never(), False, 10),
        (restart.immediate(), {"SuccessfulExit": False}, 1),
        (restart.immediate(on="always"), True, 1),
        (restart.backoff("1s"), {"SuccessfulExit": False}, 10),
        (restart.backoff("1m", on="always"), True, 60),
        (restart.backoff("1s", cap="4s"), {"SuccessfulExit": False}, 4),
        (None, {"SuccessfulExit": False}, 10),
    ],
)
def test_the_restart_policy_is_what_launchd_has_of_it(said, keep_alive, throttle_s) -> None:
    """Whether, and one wait: launchd's own, or what the policy has that is nearest to it."""
    content = definition(WANTED.replace(restart=said), AGENT)

    assert (content["KeepAlive"], content["ThrottleInterval"]) == (keep_alive, throttle_s)


def test_exit_codes_that_a_restart_can_not_help_are_told_only_where_there_are_restarts() -> None:
    """Those of the policy; none where launchd never starts it again."""
    codes = definition(WANTED.replace(restart=restart.immediate(final=(3, 78))), AGENT)["EnvironmentVariables"]

    assert codes["STAYON_FINAL"] == "3 78"
    assert "STAYON_FINAL" not in definition(WANTED.replace(restart=restart.never()), AGENT)["EnvironmentVariables"]


def test_limits_are_soft_and_hard() -> None:
    """By launchd's names; what it doesn't have is left out, and said."""
    limits = (("nofile", "1024:65536"), ("core", "0"), ("stack", "infinity"), ("rttime", "5"))
    wanted = WANTED.replace(limits=limits)
    content = definition(wanted, AGENT)

    assert content["SoftResourceLimits"] == {"NumberOfFiles": 1024, "Core": 0, "Stack": 2**63 - 1}
    assert content["HardResourceLimits"] == {"NumberOfFiles": 65536, "Core": 0, "Stack": 2**63 - 1}
    assert [(change.name, change.new) for change in plist.warnings(wanted, AGENT)] == [("limits", "rttime")]


def test_sockets_are_launchds() -> None:
    """By name, with address and family; and the service is told the names."""
    sockets = (("http", "127.0.0.1:8080"), ("six", "[::1]:80"), ("local", "/run/c/x.sock"))
    content = definition(WANTED.replace(sockets=sockets), AGENT)

    assert content["Sockets"] == {
        "http": {"SockNodeName": "127.0.0.1", "SockServiceName": "8080", "SockType": "stream", "SockFamily": "IPv4"},
        "six": {"SockNodeName": "::1", "SockServiceName": "80", "SockType": "stream", "SockFamily": "IPv6"},
        "local": {"SockPathName": "/run/c/x.sock", "SockPathMode": 0o600},
    }
    assert content["EnvironmentVariables"]["STAYON_SOCKETS"] == "http six local"


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"start": "delayed"}, "start"),
        ({"restart": restart.backoff("1s")}, "restart"),
        ({"restart": restart.immediate(max_attempts=3)}, "restart"),
        ({"after": ("postgres",)}, "after"),
        ({"groups": ("Network",)}, "groups"),
        ({"triggers": ("network-up",)}, "triggers"),
        ({"privileges": ("SeBackupPrivilege",)}, "privileges"),
        ({"controllers": "staff"}, "controllers"),
        ({"memory_bytes": 2**28}, "memory"),
        ({"cpu_percent": 50.0}, "cpu"),
        ({"tasks": 8}, "tasks"),
        ({"account": "alice"}, "account"),
    ],
)
def test_what_launchd_does_not_have_is_a_warning(fields, name) -> None:
    """It is named, with the reason, and nothing else is."""
    warned = plist.warnings(WANTED.replace(**fields), AGENT)

    assert [change.name for change in warned] == [name]
    assert all(change.new and change.warning.startswith("left out: ") for change in warned)


def test_nothing_is_warned_of_that_nobody_asked_for() -> None:
    """What holds where nothing is said needs no words."""
    assert plist.warnings(WANTED, AGENT) == []
    assert plist.warnings(WANTED.replace(restart=restart.never(), account="root"), DAEMON) == []


@pytest.mark.parametrize("name", ["", "a/b", "a b", ".hidden", "-x", "a\nb"])
def test_names_that_launchd_can_not_have(name) -> None:
    """They are refused before anything is done."""
    with pytest.raises(UsageError) as caught:
        definition(WANTED.replace(name=name), AGENT)
    assert caught.value.code == "launchd.bad-name"


def test_ours_is_known_and_an_edit_is_seen() -> None:
    """By a key that launchd passes over. Another order or another layout is no edit; another value is."""
    content = definition(WANTED, AGENT)
    ours = understood("/x", rendered(content))
    reordered = understood("/x", plistlib.dumps(content, sort_keys=True, fmt=plistlib.FMT_BINARY))
    edited = understood("/x", rendered({**content, "Nice": 5}))
    foreign = understood("/x", rendered({"Label": "collector", "Program": "/bin/sleep"}))
    broken = understood("/x", b"<plist><dict>")

    assert (bool(ours.mark), ours.is_edited) == (True, False)
    assert (bool(reordered.mark), reordered.is_edited) == (True, False)
    assert (bool(edited.mark), edited.is_edited) == (True, True)
    assert (bool(foreign.mark), foreign.is_edited) == (False, False)
    assert (bool(broken.mark), broken.is_edited) == (False, False)


@given(st.binary(max_size=200))
def test_any_file_is_a_list_or_none(raw) -> None:
    """What can't be read is somebody else's, and no error."""
    assert understood("/x", raw).mark == {}


def test_values_of_the_environment_are_not_shown_but_a_change_of_them_is() -> None:
    """They may be secret."""
    old, new = (
        definition(WANTED.replace(environment=(("TOKEN", value), ("TZ", "UTC"))), AGENT) for value in ("hush", "psst")
    )

    (change,) = plist.changes(old, new)
    assert (change.name, change.old, change.new) == ("environment", "TOKEN, TZ", "TOKEN, TZ")
    assert "hush" not in repr(plist.changes(None, old))


def test_a_change_is_one_line() -> None:
    """Whatever it changes in the list; and what only the list has is a change, too."""
    old = definition(WANTED, AGENT)

    assert [
        change.name for change in plist.changes(old, definition(WANTED.replace(restart=restart.never()), AGENT))
    ] == ["restart"]
    assert [change.name for change in plist.changes(old, {**old, "RunAtLoad": False})] == ["property list"]


@pytest.mark.parametrize("said", [restart.never(), restart.immediate(), restart.immediate(on="always"), None])
def test_a_policy_can_be_said(said) -> None:
    """In words, whichever it is."""
    assert policy.words(policy.keeping(said))


RUNNING = """gui/501/collector = {
	active count = 1
	path = /Users/alice/Library/LaunchAgents/collector.plist
	type = LaunchAgent
	state = running

	program = /usr/bin/python3
	arguments = {
		/usr/bin/python3
		state = nonsense
	}

	default environment = {
		PATH => /usr/bin:/bin:/usr/sbin:/sbin
		STAYON_DIGEST => of somebody else
	}

	environment = {
		STAYON_DIGEST => abc123
		XPC_SERVICE_NAME => collector
	}

	domain = gui/501 [100005]
	asid = 100005
	minimum runtime = 10
	exit timeout = 25
	runs = 3
	pid = 4711
	immediate reason = inefficient
	forks = 0
	last exit code = 70

	resource coalition = {
		ID = 5
		type = resource
		state = active
		pid = 9
	}
}
"""


def test_a_running_job_is_read() -> None:
    """Only what is the job's own, and its environment."""
    job = printed.parsed(RUNNING, "STAYON_DIGEST")

    assert (job.state, job.pid, job.runs, job.exit_code) == ("running", 4711, 3, 70)
    assert (job.path, job.digest) == ("/Users/alice/Library/LaunchAgents/collector.plist", "abc123")


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("last exit code = (never exited)", None),
        ("last exit code = 0", 0),
        ("last exit code = 78: EX_CONFIG", 78),
        ("last terminating signal = Killed: 9", -9),
        ("last exit reason = whatever", None),
        ("", None),
    ],
)
def test_an_end_is_read(lines, code) -> None:
    """A code, a signal, or nothing."""
    job = printed.parsed(f"system/x = {{\n\tstate = not running\n\t{lines}\n}}\n", "D")

    assert (job.exit_code, job.pid) == (code, 0)


@given(st.text(max_size=300))
def test_any_answer_is_read(text) -> None:
    """What launchctl prints is no promise of Apple's: nothing of it is an error."""
    assert printed.parsed(text, "D").pid >= 0


@given(st.text(max_size=50), st.text(max_size=50), st.integers(0, 255), st.integers(1, 10**6))
def test_a_page_is_what_was_written(status, why, code, pid) -> None:
    """Whatever the service says, on one line each."""
    found = parsed_page(page_text(Page("STOPPED", pid, 12.5, code, status, why)))

    assert found is not None
    assert (found.state, found.pid, found.since, found.exit_code) == ("STOPPED", pid, 12.5, code)
    assert len(found.status) == len(status)


@pytest.mark.parametrize("text", ["", "state RUNNING\n", "state RUNNING\npid x\nsince 1\nexit_code 0\nstatus \nwhy \n"])
def test_half_a_page_is_none(text) -> None:
    """It says nothing."""
    assert parsed_page(text) is None
