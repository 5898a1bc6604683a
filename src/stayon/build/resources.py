"""Resources of a PE file: who made it, in which version, and its icon
(https://learn.microsoft.com/windows/win32/menurc/vs-versioninfo, .../debug/pe-format#the-rsrc-section).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from struct import error, pack, pack_into, unpack_from

from stayon.build import pe
from stayon.build.elf import FormatError

ICON, GROUP_ICON, VERSION, MANIFEST = 3, 14, 16, 24
_ENGLISH_UNITED_STATES, _UNICODE = 0x409, 1200
_RELOCATIONS = 5
_SUBDIRECTORY = 0x80000000
_FIXED_FILE_INFO = 0xFEEF04BD
_NT_WINDOWS32, _APPLICATION = 0x40004, 1

Key = tuple[int | str, int | str, int]
Tree = dict[Key, bytes]


def of(data: bytes) -> Tree:
    """The resources of *data*: type, name and language of each. Raises ``FormatError``."""
    image = pe.read(data)
    address, _ = image.directory(pe.RESOURCES)
    if not address:
        return {}
    root = image.place(address)
    found: Tree = {}
    try:
        for kind, names in _children(data, root, 0):
            for name, languages in _children(data, root, names):
                for language, entry in _children(data, root, languages):
                    place, size = unpack_from("<2I", data, root + entry)
                    begin = image.place(place)
                    found[kind, name, int(language)] = data[begin : begin + size]
    except (error, ValueError) as cause:
        raise FormatError(f"its resources cannot be read: {cause}") from cause
    return found


def _children(data: bytes, root: int, directory: int) -> list[tuple[int | str, int]]:
    named, numbered = unpack_from("<2H", data, root + directory + 12)
    found: list[tuple[int | str, int]] = []
    for index in range(named + numbered):
        name, place = unpack_from("<2I", data, root + directory + 16 + 8 * index)
        if name & _SUBDIRECTORY:
            at = root + (name & ~_SUBDIRECTORY)
            (length,) = unpack_from("<H", data, at)
            found.append((data[at + 2 : at + 2 + 2 * length].decode("utf-16-le"), place & ~_SUBDIRECTORY))
        else:
            found.append((name, place & ~_SUBDIRECTORY))
    return found


def with_resources(data: bytes, tree: Tree) -> bytes:
    """*data* with the resources *tree* instead of its own. What stands behind them (relocations alone can) moves.

    Raises ``FormatError``: it has none, or another section is behind them.
    """
    image = pe.read(data)
    own = next((one for one in image.sections if one.name == ".rsrc"), None)
    if own is None:
        raise FormatError("it has no resources to be replaced")
    behind = [one for one in image.sections if one.address > own.address]
    if any(one.name != ".reloc" for one in behind):
        raise FormatError("another section stands behind its resources")
    content = _written(tree, own.address)
    body = content + bytes(-len(content) % image.file_alignment)
    made = bytearray(data[: own.offset] + body)
    address = own.address
    _set_row(made, image, own, (len(content), address, len(body), own.offset))
    end = address + len(content)
    for section in behind:
        address = end + -end % image.section_alignment
        offset = len(made)
        made += data[section.offset : section.offset + section.file_size]
        _set_row(made, image, section, (section.size, address, section.file_size, offset))
        _, size = image.directory(_RELOCATIONS)
        pack_into("<2I", made, image.optional + 112 + 8 * _RELOCATIONS, address, size)
        end = address + section.size
    pack_into("<2I", made, image.optional + 112 + 8 * pe.RESOURCES, own.address, len(content))
    pack_into("<I", made, image.optional + 56, end + -end % image.section_alignment)
    return pe.with_checksum(made)


def _set_row(made: bytearray, image: pe.Pe, section: pe.Section, place: tuple[int, int, int, int]) -> None:
    row = image.table + 40 * image.sections.index(section)
    pack_into("<4I", made, row + 8, *place)


def _written(tree: Tree, address: int) -> bytes:
    """The section's bytes: directories, then texts, then entries, then what they are."""
    levels: dict[int | str, dict[int | str, dict[int, bytes]]] = {}
    for (kind, name, language), content in sorted(tree.items(), key=lambda item: tuple(map(_order, item[0]))):
        levels.setdefault(kind, {}).setdefault(name, {})[language] = content
    directories = bytearray()
    texts: list[tuple[int, str]] = []
    entries: list[tuple[int, bytes]] = []
    _directory(levels, directories, texts, entries)
    for place, text in texts:
        pack_into("<I", directories, place, _SUBDIRECTORY | len(directories))
        directories += pack("<H", len(text)) + text.encode("utf-16-le")
    directories += bytes(-len(directories) % 8)
    data_begin = len(directories) + 16 * len(entries)
    contents = bytearray()
    for place, content in entries:
        pack_into("<I", directories, place, len(directories))
        directories += pack("<4I", address + data_begin + len(contents), len(content), 0, 0)
        contents += content + bytes(-len(content) % 8)
    return bytes(directories + contents)


def _order(part: int | str) -> tuple[bool, int, str]:
    """Names before numbers, each in its order."""
    return (True, part, "") if isinstance(part, int) else (False, 0, part)


def _directory(
    children: Mapping[int | str, object] | Mapping[int, object], made: bytearray, texts: list[tuple[int, str]],
    entries: list[tuple[int, bytes]],
) -> None:  # fmt: skip
    named = sum(isinstance(name, str) for name in children)
    made += pack("<2I4H", 0, 0, 0, 0, named, len(children) - named)
    rows = len(made)
    made += bytes(8 * len(children))
    for index, (name, child) in enumerate(children.items()):
        row = rows + 8 * index
        if isinstance(name, str):
            texts.append((row, name))
        else:
            pack_into("<I", made, row, name)
        if isinstance(child, dict):
            pack_into("<I", made, row + 4, _SUBDIRECTORY | len(made))
            _directory(child, made, texts, entries)
        elif isinstance(child, bytes):
            entries.append((row + 4, child))


def version_info(version: str, texts: Mapping[str, str]) -> bytes:
    """VS_VERSIONINFO: *version* as numbers, and *texts* such as CompanyName, in English."""
    numbers = ([int(part) for part in re.match(r"[\d.]*", version)[0].split(".") if part] + [0, 0, 0, 0])[:4]  # type: ignore[index]  # it matches everything
    high, low = numbers[0] << 16 | numbers[1], numbers[2] << 16 | numbers[3]
    fixed = pack("<13I", _FIXED_FILE_INFO, 0x10000, high, low, high, low, 0x3F, 0, _NT_WINDOWS32, _APPLICATION, 0, 0, 0)
    strings = b"".join(
        _padded(_block(key, (text + "\0").encode("utf-16-le"), is_text=True)) for key, text in texts.items()
    )
    table = _block(f"{_ENGLISH_UNITED_STATES:04x}{_UNICODE:04x}", b"", strings, is_text=True)
    translation = _block("Translation", pack("<2H", _ENGLISH_UNITED_STATES, _UNICODE))
    children = _padded(_block("StringFileInfo", b"", table, is_text=True)) + _block(
        "VarFileInfo", b"", translation, is_text=True
    )
    return _block("VS_VERSION_INFO", fixed, children)


def _block(key: str, value: bytes, children: bytes = b"", *, is_text: bool = False) -> bytes:
    head = _padded(bytes(6) + (key + "\0").encode("utf-16-le")) + value
    whole = _padded(head) + children if children else head
    return pack("<3H", len(whole), len(value) // 2 if is_text else len(value), is_text) + whole[6:]


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)


def icons(ico: bytes) -> Tree:
    """The resources that an .ico file is. Raises ``FormatError``."""
    try:
        reserved, kind, count = unpack_from("<3H", ico)
        if (reserved, kind) != (0, 1) or not count:
            raise FormatError("it is no .ico file")
        group = bytearray(pack("<3H", 0, 1, count))
        found: Tree = {}
        for index in range(count):
            look = ico[6 + 16 * index : 6 + 16 * index + 8]
            size, begin = unpack_from("<2I", ico, 6 + 16 * index + 8)
            if begin + size > len(ico):
                raise FormatError("an image in it is cut off")
            found[ICON, index + 1, _ENGLISH_UNITED_STATES] = ico[begin : begin + size]
            group += look + pack("<IH", size, index + 1)
    except error as cause:
        raise FormatError("it is no .ico file") from cause
    found[GROUP_ICON, 1, _ENGLISH_UNITED_STATES] = bytes(group)
    return found


def branded(launcher: bytes, version: str, texts: Mapping[str, str], icon: bytes = b"") -> bytes:
    """*launcher* with the version and *texts* of a program, and with its *icon* if there is one. Its manifest, and what
    else it has, stay. Raises ``FormatError``.
    """
    replaced = (VERSION, ICON, GROUP_ICON) if icon else (VERSION,)
    tree = {key: content for key, content in of(launcher).items() if key[0] not in replaced}
    tree[VERSION, 1, _ENGLISH_UNITED_STATES] = version_info(version, texts)
    return with_resources(launcher, {**tree, **(icons(icon) if icon else {})})


def version_of(data: bytes) -> str:
    """The file version of a PE file's resources, four numbers; "" without one, or if *data* is no PE file."""
    try:
        found = [content for (kind, _, _), content in of(data).items() if kind == VERSION] if data[:2] == b"MZ" else []
    except FormatError:
        return ""
    at = found[0].find(pack("<I", _FIXED_FILE_INFO)) if found else -1
    if at < 0:
        return ""
    high, low = unpack_from("<2I", found[0], at + 8)
    return f"{high >> 16}.{high & 0xFFFF}.{low >> 16}.{low & 0xFFFF}"
