"""What the SCM is told of an installation, and what is made of its answers: pure functions, so everything anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stayon.core import restart, states
from stayon.core.installation import DISABLED, Installation, checked_options
from stayon.errors import UsageError
from stayon.platforms.windows import definition, service_access
from stayon.platforms.windows.api import FailureActions, ServiceConfig, ServiceStatus, Trigger
from stayon.platforms.windows.definition import BUILT_IN, MANAGED, OWN, USER, account_of, configuration, failure_actions

WANTED = Installation(
    name="collector",
    display_name="Price Collector",
    description="Collects prices.",
    command=(
        "C:\\Program Files\\Python\\python.exe",
        "-I",
        "C:\\Program Files\\a b\\entry.py",
        "--service",
        "collector",
    ),
    mark="stayon 0.1.0",
    restart=None,
    start_timeout_s=60.0,
    stop_timeout_s=20.0,
)
DEVICE = "4d36e96b-e325-11ce-bfc1-08002be10318"

policies = st.just(restart.never()) | st.builds(
    lambda first, factor, longer, attempts: restart.backoff(
        first, factor, max(first, 0.1) + longer, max_attempts=attempts
    ),
    st.floats(0.001, 1e4),
    st.floats(1, 1_000),
    st.floats(0, 1e6),
    st.none() | st.integers(1, 2_000),
)


def restarts(actions: FailureActions, failures: int) -> list[tuple[int, int]]:
    """What the SCM does after each of so many failures in a row: the last action repeats."""
    if not actions.actions:
        return [(0, 0)] * failures
    return [actions.actions[min(number, len(actions.actions) - 1)] for number in range(failures)]


@given(policies)
def test_failure_actions_are_the_policy(policy) -> None:
    """The SCM restarts after the waits that the policy has, and gives up when it does."""
    actions, waits = failure_actions(policy), restart.delays(policy, 1_500)

    done = restarts(actions, 1_000)

    for number, (kind, delay_ms) in enumerate(done):
        assert (kind == definition.ACTION_RESTART) is (number < len(waits))
        assert kind != definition.ACTION_RESTART or abs(delay_ms / 1_000 - waits[number]) < 0.000_501
    assert len(actions.actions) <= definition.ACTIONS_LIMIT


@given(policies)
def test_waiting_for_a_restart_does_not_count_as_being_well(policy) -> None:
    """The SCM measures from failure to failure, wait included, so its period is longer than any wait."""
    actions = failure_actions(policy)

    assert all(delay_ms < actions.reset_s * 1_000 for _, delay_ms in actions.actions)


def test_a_service_that_says_nothing_is_restarted_with_back_off() -> None:
    """Without a policy: growing waits, without an end. A policy of "never": none at all."""
    usual, none = configuration(WANTED), configuration(WANTED.replace(restart=restart.never()))

    assert usual.failure.actions[:3] == ((1, 1_000), (1, 2_000), (1, 4_000))
    assert usual.failure.actions[-1] == (1, 300_000)
    assert usual.failure_on_non_crash
    assert none.failure == FailureActions(0)
    assert not none.failure_on_non_crash


def test_the_program_is_quoted() -> None:
    r"""Unquoted, C:\Program.exe could be started in its place; blanks in arguments are kept together, too."""
    assert configuration(WANTED).command == (
        '"C:\\Program Files\\Python\\python.exe" -I "C:\\Program Files\\a b\\entry.py" --service collector'
    )
    assert definition.quoted(("C:\\python.exe",)) == '"C:\\python.exe"'


def test_everything_that_is_wanted_is_in_the_configuration() -> None:
    """Start type, dependencies, groups, triggers, privileges, environment and times arrive as the SCM takes them."""
    config = configuration(
        WANTED.replace(
            start="delayed",
            after=("Tcpip",),
            groups=("NDIS",),
            triggers=("network-up", "network-down", f"device:{DEVICE}", f"event:{DEVICE}"),
            privileges=("SeChangeNotifyPrivilege",),
            environment=(("TZ", "UTC"), ("A", "1=2")),
        )
    )

    assert (config.start_type, config.delayed) == (2, True)
    assert config.dependencies == ("Tcpip", "+NDIS")
    assert config.triggers == (
        Trigger(2, 1, definition.FIRST_ADDRESS),
        Trigger(2, 2, definition.LAST_ADDRESS_GONE),
        Trigger(1, 1, DEVICE),
        Trigger(20, 1, DEVICE),
    )
    assert config.privileges == ("SeChangeNotifyPrivilege",)
    assert config.environment == ("TZ=UTC", "A=1=2")
    assert config.preshutdown_ms == 25_000
    assert (config.account, config.sid_type, config.mark) == ("NT AUTHORITY\\LocalService", 1, "stayon 0.1.0")
    assert configuration(WANTED.replace(start=DISABLED)).start_type == 4


@pytest.mark.parametrize(
    ("said", "name", "kind"),
    [
        ("", "NT AUTHORITY\\LocalService", BUILT_IN),
        ("localservice", "NT AUTHORITY\\LocalService", BUILT_IN),
        ("NT AUTHORITY\\Local Service", "NT AUTHORITY\\LocalService", BUILT_IN),
        ("NetworkService", "NT AUTHORITY\\NetworkService", BUILT_IN),
        ("LocalSystem", "LocalSystem", BUILT_IN),
        ("nt authority\\system", "LocalSystem", BUILT_IN),
        ("nt service\\COLLECTOR", "NT SERVICE\\collector", OWN),
        ("SHOP\\prices$", "SHOP\\prices$", MANAGED),
        ("SHOP\\alice", "SHOP\\alice", USER),
        (".\\alice", ".\\alice", USER),
        ("alice", ".\\alice", USER),
        ("alice@shop.example", "alice@shop.example", USER),
    ],
)
def test_accounts(said, name, kind) -> None:
    """Every way of saying an account means one that the SCM takes; LocalSystem has to be said."""
    assert account_of(said, "collector") == definition.Account(name, kind)


@pytest.mark.parametrize(
    "said",
    [
        "NT SERVICE\\other",
        "NT AUTHORITY\\nobody",
        "\\alice",
        "SHOP\\",
        "prices$",
        "@shop",
        "alice@",
        "A\\B\\c",
        "NT AUTHORITY\\",
    ],
)
def test_accounts_that_can_not_be(said) -> None:
    """What the SCM would refuse with a number is refused before, with a reason."""
    with pytest.raises(UsageError) as caught:
        account_of(said, "collector")
    assert caught.value.code == "scm.bad-account"


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", "x" * 257, "a\nb"])
def test_names_that_the_scm_does_not_take(name) -> None:
    """No slash, no backslash, 1 to 256 characters."""
    with pytest.raises(UsageError) as caught:
        definition.checked_name(name)
    assert caught.value.code == "scm.bad-name"
    assert definition.checked_name("x" * 256) == "x" * 256


def test_a_command_line_that_is_too_long() -> None:
    """Windows has 32,767 characters for it."""
    with pytest.raises(UsageError) as caught:
        configuration(WANTED.replace(command=("C:\\python.exe", "x" * 32_767)))
    assert caught.value.code == "scm.long-command"


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (ServiceStatus(1, exit_code=1066, specific=78), (78, "bad configuration")),
        (ServiceStatus(1, exit_code=1067), (1067, "text of 1067")),
        (ServiceStatus(1, exit_code=1077), (0, "")),
        (ServiceStatus(1), (0, "")),
        (ServiceStatus(4, exit_code=1067), (0, "")),
    ],
)
def test_the_last_end_in_words(status, ending) -> None:
    """Our own exit code and its meaning, else Windows' text; nothing for who lives or was never started."""
    assert definition.ending(status, lambda code: f"text of {code}") == ending


@pytest.mark.parametrize(
    ("status", "is_there", "exit_code"),
    [
        (ServiceStatus(4, pid=42), True, 0),
        (ServiceStatus(4, pid=42), False, 1067),
        (ServiceStatus(3, pid=42), False, 1067),
        (ServiceStatus(2, pid=42), False, 1067),
        (ServiceStatus(2), False, 0),
        (ServiceStatus(4), False, 1067),
        (ServiceStatus(1, exit_code=7), False, 7),
    ],
)
def test_who_has_no_process_is_dead(status, is_there, exit_code) -> None:
    """Whatever the SCM still says of it; one that is just being started may not have its process yet."""
    found = definition.alive_or_dead(status, lambda _pid: is_there)

    assert found.exit_code == exit_code
    assert (found == status) == (exit_code != 1067)


@pytest.mark.parametrize(("state", "number"), states.SCM_NUMBERS.items())
def test_how_a_service_is(state, number) -> None:
    """Every number of a state has its word, and what people ask of a service is there."""
    found = definition.described("collector", configuration(WANTED), ServiceStatus(number, pid=42), str)

    assert (found.state, found.pid, found.start, found.mark) == (state, 42, "auto", "stayon 0.1.0")


def test_failure_actions_in_words() -> None:
    """They can be read; an array of many is cut short."""
    few = FailureActions(600, ((1, 0), (1, 1_500), (0, 0)))

    assert definition.failure_words(few) == "restart after 0s, 1.5s, then give up; counted anew after 10m"
    assert definition.failure_words(FailureActions(60, ((1, 100),))) == (
        "restart after 100ms, every time; counted anew after 1m"
    )
    assert definition.failure_words(FailureActions(0)) == ""
    assert "..." in definition.failure_words(failure_actions(restart.backoff(cap="1d")))


@pytest.mark.parametrize("said", ["network-up", "network-down", f"device:{DEVICE}", f"event:{DEVICE}"])
def test_triggers_there_and_back(said) -> None:
    """A trigger as the SCM has it can be said in the words that made it."""
    assert definition.trigger_words(definition.trigger(said)) == said


def test_a_foreign_trigger_is_shown_with_its_numbers() -> None:
    """What our words can't say is not hidden."""
    assert definition.trigger_words(Trigger(3, 1, DEVICE)) == f"type 3, action 1, {DEVICE}"


def test_a_group_that_may_control() -> None:
    """The group gets the rights to start, stop, pause, ask and look, beside what the SCM gives of itself."""
    sddl = service_access.with_controllers("S-1-5-32-545")

    assert service_access.controllers(sddl) == "S-1-5-32-545"
    assert service_access.controllers(service_access.DEFAULT) == ""
    assert service_access.controllers("D:(A;;CC;;;WD)") == "?"
    assert {"RP", "WP", "DT", "LO", "LC"} <= {service_access.CONTROL[at : at + 2] for at in range(0, 18, 2)}


def test_lists_of_rights_are_compared_by_what_they_give() -> None:
    """The order of entries and letters, and a SID for its two letters, make no difference; a right more does."""
    same = "D:(A;;CCLCSWLOCRRC;;;S-1-5-6)(A;;LCCCSWLOCRRC;;;IU)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;S-1-5-32-544)"
    same += "(A;;CCLCSWRPWPDTLOCRRC;;;SY)S:(AU;FA;CC;;;WD)"

    assert service_access.same(same, service_access.DEFAULT)
    assert not service_access.same(same.replace("(A;;CCLCSWLO", "(A;;RPCCLCSWLO"), service_access.DEFAULT)
    assert not service_access.same("D:", service_access.DEFAULT)


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ({"start": "soon"}, "start"),
        ({"after": "Tcpip"}, "list"),
        ({"after": ["Tcpip", "Tcpip"]}, "twice"),
        ({"after": [""]}, "empty"),
        ({"triggers": ["network"]}, "network"),
        ({"triggers": ["device:1234"]}, "GUID"),
        ({"privileges": ["Backup"]}, "privilege"),
        ({"account": "a\nb"}, "account"),
        ({"account": None}, "account"),
        ({"environment": [("A", "1")]}, "dict"),
        ({"environment": {"A=B": "1"}}, "A=B"),
        ({"environment": {"A": 1}}, "A"),
    ],
)
def test_mistakes_in_what_is_declared(said, part) -> None:
    """Each is found before anything is changed, and named."""
    with pytest.raises(UsageError, match=part) as caught:
        checked_options(said)
    assert caught.value.code in ("spec.installation", "spec.choice")


def test_what_is_declared_becomes_fields() -> None:
    """Lists become tuples, GUIDs small letters without braces, and what isn't said has its default."""
    fields = checked_options(
        {
            "after": ["Tcpip"],
            "privileges": ["SeBackupPrivilege"],
            "triggers": [f"device:{{{DEVICE.upper()}}}", "network-up"],
            "environment": {"A": "1"},
        }
    )

    assert fields["after"] == ("Tcpip",)
    assert fields["triggers"] == (f"device:{DEVICE}", "network-up")
    assert fields["privileges"] == ("SeBackupPrivilege",)
    assert fields["environment"] == (("A", "1"),)
    assert WANTED.replace(**fields).start == "auto"


def test_a_start_type_of_a_driver_has_no_word() -> None:
    """Somebody else's service may be started by the boot loader."""
    assert definition.start_word(ServiceConfig("x", start_type=0)) == ""
