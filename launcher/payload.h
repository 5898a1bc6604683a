/* The payload: what the launcher carries. Written by stayon/build/payload.py, which has the same layout in Python.
 *
 * All numbers are little-endian; offsets count from the payload's beginning; texts are UTF-8 and end with a zero byte.
 * On Windows the payload is the section ".stayon" of the executable; on Linux it begins at the first page boundary
 * after the ELF file's section headers; with the layout "pair" it is the whole file NAME.pkg beside the executable.
 */
#ifndef STAYON_PAYLOAD_H
#define STAYON_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

#define PAYLOAD_MAGIC "stayon\r\n"
#define PAYLOAD_FORMAT 1
#define PAYLOAD_PAGE 4096

typedef struct {
    char magic[8];
    uint64_t size;         /* of all of it */
    uint64_t hash;         /* XXH64, seed 0, of what follows, to the end: found damaged, it is refused */
    uint32_t format;       /* PAYLOAD_FORMAT */
    uint32_t python;       /* 0x030d for 3.13 */
    uint32_t modules, module_count; /* Module[], sorted by the bytes of their names */
    uint32_t files, file_count;     /* File[], those of set 0 first */
    uint32_t sets, set_count;       /* Set[]: 0 is the interpreter, 1 (may be missing) the program's own */
    uint32_t about, about_size;     /* JSON, for people and for Python */
    uint32_t abi, abi_count;        /* uint32_t[], see enum Abi: what Python's headers would have told the compiler */
    uint32_t boot;         /* text: the module whose main() is the program */
    uint32_t library;      /* text: the file of set 0 that is the interpreter */
    uint32_t reserved[2];
} Header;

enum { MODULE_PACKAGE = 1, MODULE_FROZEN = 2, MODULE_NATIVE = 4, MODULE_NAMESPACE = 8, MODULE_BESIDE = 16,
       MODULE_LIBRARY = 32,
       MODULE_PACKED = 64 };

typedef struct {
    uint32_t name;         /* text: "requests.sessions" */
    uint32_t flags;        /* FROZEN: in PyImport_FrozenModules; NATIVE: an extension, a file of set 1, or with LIBRARY
                              of set 0; BESIDE: origin counts from the executable's directory, else from set 1's */
    uint32_t code, code_size;       /* marshalled */
    uint32_t source, source_size;   /* zlib; 0: not kept */
    uint32_t origin;       /* text: "requests/sessions.py", with "/" */
    uint32_t unpacked;     /* PACKED: code is LZMA, as FILE_LZMA, and becomes this many bytes */
} Module;

/* LZMA: LZMA1, raw, lc=3 lp=0 pb=2, end by size; BCJ: x86 filter after it. */
enum { FILE_STORED = 0, FILE_LZMA = 1, FILE_LZMA_BCJ = 2 };
enum { FILE_PRELOAD = 1, FILE_EXECUTABLE = 2 };             /* PRELOAD: loaded, in order, before the interpreter */

typedef struct {
    uint32_t name;         /* text: path in the set's directory, with "/" */
    uint32_t offset, packed_size, size;
    uint32_t filter;
    uint32_t flags;
    uint8_t sha256[32];    /* of the file as it is on disk */
} File;

typedef struct {
    uint32_t name;         /* text: the directory's name: the first 32 hex digits of the SHA-256 over its files */
    uint32_t first, count; /* of files */
} Set;

/* Where the members of Python's structures are: they differ by version, and the launcher is the same for all. */
enum Abi {
    ABI_FROZEN_STRIDE,     /* sizeof(struct _frozen); 3.11 and 3.12 have one more member */
    ABI_PRECONFIG_UTF8_MODE,
    ABI_CONFIG_SIZE,
    ABI_CONFIG_INSTALL_SIGNAL_HANDLERS,
    ABI_CONFIG_SITE_IMPORT,
    ABI_CONFIG_WRITE_BYTECODE,
    ABI_CONFIG_PATHCONFIG_WARNINGS,
    ABI_CONFIG_PARSE_ARGV,
    ABI_CONFIG_USE_FROZEN_MODULES,
    ABI_CONFIG_MODULE_SEARCH_PATHS_SET,
    ABI_CONFIG_ARGV,
    ABI_CONFIG_ORIG_ARGV,
    ABI_CONFIG_PROGRAM_NAME,
    ABI_CONFIG_EXECUTABLE,
    ABI_CONFIG_BASE_EXECUTABLE,
    ABI_CONFIG_PREFIX,
    ABI_CONFIG_EXEC_PREFIX,
    ABI_CONFIG_BASE_PREFIX,
    ABI_CONFIG_BASE_EXEC_PREFIX,
    ABI_CONFIG_STDLIB_DIR,
    ABI_CONFIG_HOME,
    ABI_COUNT
};

#endif
