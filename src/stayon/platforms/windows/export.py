"""An installation as commands of Windows' own, for who may not run ours: a .cmd file of sc.exe and reg.exe, or
PowerShell.

Passwords are never in it: PowerShell asks, and sc.exe's lines say where one has to be typed in.
"""

from __future__ import annotations

from stayon.core import installation
from stayon.platforms.windows import definition, service_access
from stayon.platforms.windows.command_line import command_line
from stayon.platforms.windows.event_source import EVENT_LOGS, LOG, WANTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stayon.core.installation import Installation
    from stayon.platforms.windows.api import FailureActions, ServiceConfig, Trigger

    _Value = tuple[str, str, str, tuple[str, ...]]

_SERVICES = "HKLM\\SYSTEM\\CurrentControlSet\\Services\\"

_START_WORDS = {
    installation.AUTO: "auto",
    installation.DELAYED: "delayed-auto",
    installation.MANUAL: "demand",
    installation.DISABLED: "disabled",
}
_STARTUP_TYPES = {2: "Automatic", 3: "Manual", 4: "Disabled"}
_SID_TYPES = {0: "none", 1: "unrestricted", 3: "restricted"}

# What icacls calls the rights that a directory's *access* stands for.
_RIGHTS = {"read": "RX", "write": "M", "publish": "M"}

_SPECIAL = "&|<>^()!"


def sc_lines(wanted: Installation, security: str = "") -> str:
    """The lines of a .cmd file that make the service *wanted*; *security* is its SDDL ("": Windows' own)."""
    config = definition.configuration(wanted, security)
    name, account = wanted.name, definition.account_of(wanted.account, wanted.name)
    lines = [f"rem {wanted.name}, to be run as an administrator"]
    lines.append(_cmd("sc.exe", "create", name, *_options(config)))
    if config.description:
        lines.append(_cmd("sc.exe", "description", name, config.description))
    lines += [_cmd("sc.exe", *words) for words in _settings(name, config)]
    lines += [_cmd(*words) for words in _registry(name, config)]
    lines += [_cmd(*words) for words in _directories(wanted)]
    if account.kind == definition.USER:
        lines.append(
            "rem Now give it its password in services.msc, Properties, Log On: that grants the right to log on, too."
        )
    elif account.kind == definition.MANAGED:
        lines.append(f"rem Now give {account.name} the right to log on as a service, in secpol.msc.")
    return "\r\n".join([*lines, ""])


def powershell(wanted: Installation, security: str = "") -> str:
    """The same as a script for PowerShell 5.1 and later: what New-Service and the registry's cmdlets can, they do."""
    config = definition.configuration(wanted, security)
    name, account = wanted.name, definition.account_of(wanted.account, wanted.name)
    lines = [f"# {wanted.name}, to be run as an administrator", "$ErrorActionPreference = 'Stop'"]
    made = {"Name": name, "BinaryPathName": config.command, "DisplayName": config.display_name}
    made["StartupType"] = _STARTUP_TYPES[config.start_type]
    if config.description:
        made["Description"] = config.description
    options = " ".join(f"-{option} {_ps(value)}" for option, value in made.items())
    credential = f" -Credential (Get-Credential {_ps(account.name)})" if account.kind == definition.USER else ""
    lines.append(f"New-Service {options}{credential}")
    changed = []
    if account.kind != definition.USER and config.account != definition.LOCAL_SYSTEM:
        changed += ["obj=", config.account]
    if config.delayed:
        changed += ["start=", _START_WORDS[installation.DELAYED]]
    if config.dependencies:
        changed += ["depend=", "/".join(config.dependencies)]
    if changed:
        lines.append(_native("sc.exe", "config", name, *changed))
    lines += [_native("sc.exe", *words) for words in _settings(name, config)]
    lines += [_property(*words) for words in _values(name, config)]
    lines += [_native(*words) for words in _directories(wanted)]
    if account.kind in (definition.USER, definition.MANAGED):
        lines.append(f"# Now give {account.name} the right to log on as a service, in secpol.msc.")
    return "\r\n".join([*lines, ""])


def _options(config: ServiceConfig) -> list[str]:
    """What ``sc.exe create`` takes: a word with "=" at its end, then its value."""
    options = ["binPath=", config.command, "DisplayName=", config.display_name]
    options += ["start=", _START_WORDS[definition.start_word(config)], "obj=", config.account]
    if config.dependencies:
        options += ["depend=", "/".join(config.dependencies)]
    return options


def _settings(name: str, config: ServiceConfig) -> list[list[str]]:
    """What ``sc.exe`` sets by verbs of its own."""
    settings = [["sidtype", name, _SID_TYPES[config.sid_type]]]
    if config.failure.actions:
        settings.append(["failure", name, "reset=", str(config.failure.reset_s), "actions=", _actions(config.failure)])
    if config.failure_on_non_crash:
        settings.append(["failureflag", name, "1"])
    if config.privileges:
        settings.append(["privs", name, "/".join(config.privileges)])
    if config.triggers:
        settings.append(["triggerinfo", name, *(_trigger(each) for each in config.triggers)])
    if config.security and not service_access.same(config.security, service_access.DEFAULT):
        settings.append(["sdset", name, config.security])
    return settings


def _actions(failure: FailureActions) -> str:
    words = {definition.ACTION_NONE: "", definition.ACTION_RESTART: "restart"}
    return "/".join(f"{words[kind]}/{delay_ms}" for kind, delay_ms in failure.actions)


def _trigger(each: Trigger) -> str:
    """In the words of ``sc.exe triggerinfo``."""
    verb = "start" if each.action == definition.TRIGGER_START else "stop"
    if each.type == definition.TRIGGER_NETWORK:
        return f"{verb}/{'networkon' if each.subtype == definition.FIRST_ADDRESS else 'networkoff'}"
    return f"{verb}/{'device' if each.type == definition.TRIGGER_DEVICE else 'custom'}/{each.subtype}"


def _values(name: str, config: ServiceConfig) -> list[_Value]:
    """What is in the registry only: key, value, type, content."""
    source = f"HKLM\\{EVENT_LOGS}\\{LOG}\\{name}"
    values: list[_Value] = [(_SERVICES + name, "PreshutdownTimeout", "REG_DWORD", (str(config.preshutdown_ms),))]
    if config.environment:
        values.append((_SERVICES + name, "Environment", "REG_MULTI_SZ", config.environment))
    values.append((_SERVICES + name + "\\Parameters", "Stayon", "REG_SZ", (config.mark,)))
    for value, content in WANTED.items():
        form = "REG_EXPAND_SZ" if isinstance(content, str) else "REG_DWORD"
        values.append((source, value, form, (str(content),)))
    return values


def _registry(name: str, config: ServiceConfig) -> list[list[str]]:
    r"""The same for reg.exe, which takes ``\0`` for the end of each text of several."""
    return [
        ["reg.exe", "add", key, "/v", value, "/t", form, "/d", "\\0".join(content), "/f"]
        for key, value, form, content in _values(name, config)
    ]


def _directories(wanted: Installation) -> list[list[str]]:
    """Make them, and let nobody in but the service, administrators and the system."""
    lines = []
    for path, access in wanted.directories:
        grants = [
            "*S-1-5-18:(OI)(CI)F",
            "*S-1-5-32-544:(OI)(CI)F",
            f"NT SERVICE\\{wanted.name}:(OI)(CI){_RIGHTS[access]}",
        ]
        if access == "publish":
            grants.append("*S-1-5-32-545:(OI)(CI)RX")
        lines.append(["cmd.exe", "/d", "/c", "md", path])
        lines.append(["icacls.exe", path, "/inheritance:r", *(part for each in grants for part in ("/grant:r", each))])
    return lines


def _cmd(*words: str) -> str:
    """A line of a .cmd file. Quotes are no quotes to cmd where a caret stands before them, so in a line with anything
    that is special to it each of these has one; a percent sign is written twice.
    """
    line = command_line(words).replace("%", "%%")
    if not any(letter in line for letter in _SPECIAL):
        return line
    return "".join("^" + letter if letter in _SPECIAL + '"' else letter for letter in line)


def _ps(text: str) -> str:
    """*text* between single quotes, where nothing but these is special to PowerShell (its typographic ones, too)."""
    for quote in "'\u2018\u2019\u201a\u201b":
        text = text.replace(quote, quote * 2)
    return f"'{text}'"


def _native(program: str, *words: str) -> str:
    """A program called from PowerShell: no word of ours has a quote in it, which 5.1 would not pass on."""
    return " ".join([program, *(_ps(word) for word in words)])


def _property(key: str, value: str, form: str, content: tuple[str, ...]) -> str:
    """A value of the registry, by a cmdlet; its key is made if need be."""
    kind = {"REG_DWORD": "DWord", "REG_SZ": "String", "REG_EXPAND_SZ": "ExpandString", "REG_MULTI_SZ": "MultiString"}[
        form
    ]
    path = _ps("Registry::" + key)
    shown = f"@({', '.join(_ps(each) for each in content)})" if kind == "MultiString" else _ps(content[0])
    made = f"if (-not (Test-Path -LiteralPath {path})) {{ New-Item -Path {path} -Force | Out-Null }}"
    set_to = f"-Name {_ps(value)} -PropertyType {kind} -Value {shown}"
    return f"{made}; New-ItemProperty -LiteralPath {path} {set_to} -Force | Out-Null"
