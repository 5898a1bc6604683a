"""Exports are read back the way cmd, the C run-time and PowerShell read them: nothing is lost on the way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stayon.core.installation import Installation
from stayon.core.restart import backoff, never
from stayon.platforms.windows import definition, export, service_access

GUID = "4d36e96b-e325-11ce-bfc1-08002be10318"
WANTED = Installation(
    name="collector",
    display_name="Price Collector",
    description='Collects "prices", 100 % & more.',
    command=("C:\\Program Files\\Python\\python.exe", "-I", "C:\\a b\\entry.py", "--set", 'greeting=say "hi" & go'),
    mark="stayon 0.1.0",
    restart=backoff("1s", 2, "10s", max_attempts=3),
    start_timeout_s=60.0,
    stop_timeout_s=20.0,
    start="delayed",
    after=("Tcpip", "Dnscache"),
    groups=("NDIS",),
    triggers=("network-up", "network-down", f"device:{GUID}", f"event:{GUID}"),
    privileges=("SeChangeNotifyPrivilege", "SeBackupPrivilege"),
    environment=(("TZ", "UTC"), ("PATHS", "%TEMP%;a b")),
    directories=(("C:\\ProgramData\\collector", "read"), ("C:\\ProgramData\\collector\\run", "publish")),
)
SECURITY = service_access.with_controllers("S-1-5-21-1-2-3-1001")

# What may stand in names, paths and arguments: everything that one of the readers finds special.
texts = st.text(st.sampled_from("aZ09 .\\\"'%&|<>^()!$`;,=/-äß\u2019\t"), max_size=20)


def after_cmd(line: str) -> str:
    """What cmd hands to the program: carets taken away where they aren't quoted, two percent signs made one.

    An operator that is not quoted would end the command, so it is an error here.
    """
    found, quoted, at = "", False, 0
    line = line.replace("%%", "\0")
    assert "%" not in line, f"a variable would be expanded: {line}"
    while at < len(line):
        letter = line[at]
        if letter == "^" and not quoted:
            at += 1
            letter = line[at]
        elif letter == '"':
            quoted = not quoted
        elif not quoted:
            assert letter not in "&|<>()", f"cmd would see an operator: {line}"
        found += letter
        at += 1
    return found.replace("\0", "%")


def arguments(line: str) -> list[str]:
    """The program's arguments, by the rules of CommandLineToArgvW."""
    found: list[str] = []
    word, started, quoted, backslashes = "", False, False, 0
    for letter in line + " ":
        if letter == "\\":
            backslashes, started = backslashes + 1, True
            continue
        if letter == '"':
            word += "\\" * (backslashes // 2)
            if backslashes % 2:
                word += '"'
            else:
                quoted = not quoted
            started = True
        else:
            word += "\\" * backslashes
            if letter in " \t" and not quoted:
                if started:
                    found.append(word)
                word, started = "", False
            else:
                word, started = word + letter, True
        backslashes = 0
    return found


def cmd_lines(text: str) -> list[list[str]]:
    """The commands of a .cmd file with their arguments."""
    lines = [line for line in text.split("\r\n") if line and not line.startswith("rem ")]
    return [arguments(after_cmd(line)) for line in lines]


def ps_words(line: str) -> list[str]:
    """The words of a line of PowerShell, as far as ours go: bare ones, and such in single quotes."""
    found, at = [], 0
    while at < len(line):
        if line[at] == "'":
            word, at = "", at + 1
            while not (line[at] == "'" and line[at + 1 : at + 2] != "'"):
                at += 1 if line[at] not in "'\u2018\u2019\u201a\u201b" else 2
                word += line[at - 1]
            found.append(word)
            at += 1
        elif line[at] == " ":
            at += 1
        else:
            end = line.find(" ", at)
            end = len(line) if end < 0 else end
            found.append(line[at:end])
            at = end
    return found


def test_sc_creates_what_we_would() -> None:
    """Each setting has its line, and the command comes out as the SCM has to get it."""
    lines = cmd_lines(export.sc_lines(WANTED, SECURITY))
    config = definition.configuration(WANTED, SECURITY)

    created = lines[0]
    assert created[:3] == ["sc.exe", "create", "collector"]
    options = dict(zip(created[3::2], created[4::2], strict=True))
    assert options == {
        "binPath=": config.command,
        "DisplayName=": "Price Collector",
        "start=": "delayed-auto",
        "obj=": "NT AUTHORITY\\LocalService",
        "depend=": "Tcpip/Dnscache/+NDIS",
    }
    assert arguments(options["binPath="]) == list(WANTED.command)
    assert ["sc.exe", "description", "collector", WANTED.description] in lines
    assert ["sc.exe", "sidtype", "collector", "unrestricted"] in lines
    assert ["sc.exe", "failureflag", "collector", "1"] in lines
    assert ["sc.exe", "privs", "collector", "SeChangeNotifyPrivilege/SeBackupPrivilege"] in lines
    assert ["sc.exe", "sdset", "collector", SECURITY] in lines
    triggers = ["start/networkon", "stop/networkoff", f"start/device/{GUID}", f"start/custom/{GUID}"]
    assert ["sc.exe", "triggerinfo", "collector", *triggers] in lines


def test_failure_actions_can_be_read_back() -> None:
    """``sc failure`` has the waits in milliseconds; "none" has no word, only its place."""
    config = definition.configuration(WANTED)
    line = next(line for line in cmd_lines(export.sc_lines(WANTED)) if line[1] == "failure")
    options = dict(zip(line[3::2], line[4::2], strict=True))
    parts = options["actions="].split("/")

    read = [(1 if kind == "restart" else 0, int(delay)) for kind, delay in zip(parts[::2], parts[1::2], strict=True)]

    assert tuple(read) == config.failure.actions
    assert read[-1] == (0, 0)
    assert int(options["reset="]) == config.failure.reset_s


def test_what_is_not_wanted_has_no_line() -> None:
    """A plain service is a few lines: no failure actions for "never", no list of rights of its own."""
    plain = WANTED.replace(
        restart=never(), privileges=(), triggers=(), after=(), groups=(), environment=(), directories=()
    )
    verbs = [line[1] for line in cmd_lines(export.sc_lines(plain)) if line[0] == "sc.exe"]

    assert verbs == ["create", "description", "sidtype"]


def test_the_registry_has_the_rest() -> None:
    """The time at shutdown, the environment, our mark and the event source have no verb of sc.exe."""
    lines = [line for line in cmd_lines(export.sc_lines(WANTED)) if line[0] == "reg.exe"]
    values = {line[line.index("/v") + 1]: (line[line.index("/t") + 1], line[line.index("/d") + 1]) for line in lines}

    assert values["PreshutdownTimeout"] == ("REG_DWORD", "25000")
    assert values["Environment"] == ("REG_MULTI_SZ", "TZ=UTC\\0PATHS=%TEMP%;a b")
    assert values["Stayon"] == ("REG_SZ", "stayon 0.1.0") or values["Stayon"] == ("REG_DWORD", "1")
    assert values["EventMessageFile"][0] == "REG_EXPAND_SZ"
    assert "%SystemRoot%" in values["EventMessageFile"][1]
    assert all(line[-1] == "/f" for line in lines)


def test_directories_are_closed_to_others() -> None:
    """Each is made and given to the service, and inherits nothing."""
    lines = [line for line in cmd_lines(export.sc_lines(WANTED)) if line[0] in ("icacls.exe", "cmd.exe")]

    assert lines[0] == ["cmd.exe", "/d", "/c", "md", "C:\\ProgramData\\collector"]
    assert lines[1][:3] == ["icacls.exe", "C:\\ProgramData\\collector", "/inheritance:r"]
    assert "NT SERVICE\\collector:(OI)(CI)RX" in lines[1]
    assert "NT SERVICE\\collector:(OI)(CI)M" in lines[3]
    assert "*S-1-5-32-545:(OI)(CI)RX" in lines[3]


def test_passwords_are_left_to_be_typed_in() -> None:
    """They are in neither format; PowerShell asks, and a remark says where to type it in otherwise."""
    user = WANTED.replace(account="SHOP\\alice", password=lambda: "hush")

    assert "hush" not in export.sc_lines(user) + export.powershell(user)
    assert "services.msc" in export.sc_lines(user)
    assert "-Credential (Get-Credential 'SHOP\\alice')" in export.powershell(user)
    assert "secpol.msc" in export.sc_lines(WANTED.replace(account="SHOP\\prices$"))


@given(texts, texts, texts)
def test_cmd_and_the_program_get_every_letter(one, two, three) -> None:
    """Whatever is special to cmd or to the C run-time arrives as it was."""
    command = ("C:\\Program Files\\python.exe", one, two)
    wanted = WANTED.replace(command=command, description=three, environment=())
    lines = cmd_lines(export.sc_lines(wanted))

    assert arguments(lines[0][lines[0].index("binPath=") + 1]) == list(command)
    assert lines[1][-1] == three or not three


@given(texts, texts)
def test_powershell_gets_every_letter(one, two) -> None:
    """Between single quotes nothing is special but these, which come twice."""
    wanted = WANTED.replace(command=("C:\\Program Files\\python.exe", one), display_name=two or "x", description="")
    line = next(line for line in export.powershell(wanted).split("\r\n") if line.startswith("New-Service"))
    words = ps_words(line)
    options = dict(zip(words[1::2], words[2::2], strict=True))

    assert arguments(options["-BinaryPathName"]) == list(wanted.command)
    assert options["-DisplayName"] == wanted.display_name
    assert options["-StartupType"] == "Automatic"


def test_powershell_makes_the_same() -> None:
    """What New-Service can't is done by sc.exe, without a quote in any word: 5.1 would not pass it on."""
    lines = export.powershell(WANTED, SECURITY).split("\r\n")
    native = [ps_words(line) for line in lines if line.startswith(("sc.exe", "icacls.exe", "cmd.exe"))]

    assert [
        "sc.exe", "config", "collector", "obj=", "NT AUTHORITY\\LocalService", "start=", "delayed-auto", "depend=",
        "Tcpip/Dnscache/+NDIS",
    ] in native  # fmt: skip
    assert ["sc.exe", "sdset", "collector", SECURITY] in native
    assert not any('"' in word for words in native for word in words)
    assert any("-PropertyType MultiString -Value @('TZ=UTC', 'PATHS=%TEMP%;a b')" in line for line in lines)
