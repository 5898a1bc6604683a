"""Where the members of CPython's structures are, by version and system: the launcher is compiled without its headers.

The members are those of ``Include/cpython/initconfig.h`` and ``import.h`` of the released versions (builds without
``--disable-gil`` and ``--with-pydebug``); the offsets follow from them by C's layout rules on 64-bit systems. Patch
releases don't change them (https://docs.python.org/3/c-api/stable.html#platform-considerations).
"""

from __future__ import annotations

from typing import Final

VERSIONS: Final = ((3, 11), (3, 12), (3, 13))
SYSTEMS: Final = ("linux", "windows")

# A type is one letter: int, long, pointer, list (PyWideStringList). A leading word names the versions or system that
# have the member: ">=12", "windows".
_PRECONFIG = """
    i _config_init, i parse_argv, i isolated, i use_environment, i configure_locale, i coerce_c_locale,
    i coerce_c_locale_warn, windows i legacy_windows_fs_encoding, i utf8_mode, i dev_mode, i allocator
"""
_CONFIG = """
    i _config_init, i isolated, i use_environment, i dev_mode, i install_signal_handlers, i use_hash_seed,
    n hash_seed, i faulthandler, i tracemalloc, >=12 i perf_profiling, i import_time, i code_debug_ranges,
    i show_ref_count, i dump_refs, p dump_refs_file, i malloc_stats, p filesystem_encoding, p filesystem_errors,
    p pycache_prefix, i parse_argv, l orig_argv, l argv, l xoptions, l warnoptions, i site_import, i bytes_warning,
    i warn_default_encoding, i inspect, i interactive, i optimization_level, i parser_debug, i write_bytecode,
    i verbose, i quiet, i user_site_directory, i configure_c_stdio, i buffered_stdio, p stdio_encoding,
    p stdio_errors, windows i legacy_windows_stdio, p check_hash_pycs_mode, i use_frozen_modules, i safe_path,
    >=12 i int_max_str_digits, >=13 i cpu_count, i pathconfig_warnings, p program_name, p pythonpath_env, p home,
    p platlibdir, i module_search_paths_set, l module_search_paths, p stdlib_dir, p executable, p base_executable,
    p prefix, p base_prefix, p exec_prefix, p base_exec_prefix, i skip_source_first_line, p run_command, p run_module,
    p run_filename, >=13 p sys_path_0, i _install_importlib, i _init_main, <=11 i _isolated_interpreter,
    i _is_python_build
"""
_FROZEN = "p name, p code, i size, i is_package, <=12 p get_code"

# The members that the launcher uses, in the order of payload.h's enum Abi behind the two sizes and utf8_mode.
CONFIG_MEMBERS: Final = (
    "install_signal_handlers", "site_import", "write_bytecode", "pathconfig_warnings", "parse_argv",
    "use_frozen_modules", "module_search_paths_set", "argv", "orig_argv", "program_name", "executable",
    "base_executable", "prefix", "exec_prefix", "base_prefix", "base_exec_prefix", "stdlib_dir", "home",
)  # fmt: skip


def numbers(python: tuple[int, int], system: str) -> tuple[int, ...]:
    """What ``enum Abi`` lists, for *python* on *system*, one of ``SYSTEMS``. ``ValueError``: not known."""
    if python not in VERSIONS or system not in SYSTEMS:
        raise ValueError(f"no structures known of Python {python[0]}.{python[1]} on {system}")
    config, config_size = layout(_CONFIG, python, system)
    preconfig, _ = layout(_PRECONFIG, python, system)
    _, frozen_size = layout(_FROZEN, python, system)
    return (frozen_size, preconfig["utf8_mode"], config_size, *(config[name] for name in CONFIG_MEMBERS))


def layout(members: str, python: tuple[int, int], system: str) -> tuple[dict[str, int], int]:
    """Offsets of *members*, by name, and the size of the structure they make."""
    sizes = {"i": (4, 4), "n": (4, 4) if system == "windows" else (8, 8), "p": (8, 8), "l": (16, 8)}
    offsets: dict[str, int] = {}
    end = 0
    for member in members.split(","):
        *conditions, kind, name = member.split()
        if not all(_holds(condition, python, system) for condition in conditions):
            continue
        size, alignment = sizes[kind]
        offsets[name] = end + -end % alignment
        end = offsets[name] + size
    return offsets, end + -end % 8


def _holds(condition: str, python: tuple[int, int], system: str) -> bool:
    if condition.startswith((">=", "<=")):
        minor = int(condition[2:])
        return python[1] >= minor if condition[0] == ">" else python[1] <= minor
    return condition == system
