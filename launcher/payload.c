#include <string.h>

#include "hash.h"
#include "messages.h"
#include "runtime.h"

#define CHUNK ((size_t)256 * 1024)

Payload payload;

static int damaged(const char *what) {
    return failed(EXIT_DAMAGED, "launcher.damaged",
                  "%s is damaged: %s. Copy it here again, or build it again.", payload.place.path.text, what);
}

static bool fits(uint64_t offset, uint64_t size) {
    return offset <= payload.header->size && size <= payload.header->size - offset;
}

static bool fits_table(uint32_t offset, uint32_t count, size_t item_size) {
    return offset % sizeof(uint32_t) == 0 && fits(offset, (uint64_t)count * item_size);
}

/* A text that ends within the payload. */
static bool is_text(uint32_t offset) {
    for (uint64_t at = offset; at < payload.header->size; at++)
        if (payload.bytes[at] == 0)
            return true;
    return false;
}

/* A relative path that stays below where it is put, on every system. */
static bool is_safe_name(const char *name) {
    const char *part = name;
    for (;; name++) {
        if (*name == '\\' || *name == ':')
            return false;
        if (*name != '/' && *name != 0)
            continue;
        size_t size = (size_t)(name - part);
        if (size == 0 || (size == 1 && part[0] == '.') || (size == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        if (*name == 0)
            return true;
        part = name + 1;
    }
}

static bool modules_fit(void) {
    const char *before = "";
    for (uint32_t i = 0; i < payload.header->module_count; i++) {
        const Module *module = payload.modules + i;
        if (!is_text(module->name) || !is_text(module->origin) || !fits(module->code, module->code_size) ||
            !fits(module->source, module->source_size) || module->code_size > INT32_MAX || module->unpacked > INT32_MAX)
            return false;
        const char *name = payload_text(module->name);
        if (strcmp(before, name) >= 0)
            return false;
        before = name;
    }
    return true;
}

static bool files_fit(void) {
    uint64_t next = 0;
    for (uint32_t i = 0; i < payload.header->file_count; i++) {
        const File *file = payload.files + i;
        if (!is_text(file->name) || !is_safe_name(payload_text(file->name)) || !fits(file->offset, file->packed_size) ||
            file->filter > FILE_LZMA_BCJ || (file->filter == FILE_STORED && file->size != file->packed_size))
            return false;
    }
    for (uint32_t i = 0; i < payload.header->set_count; i++) {
        const Set *set = payload.sets + i;
        if (!is_text(set->name) || !is_safe_name(payload_text(set->name)) || set->first != next || set->count == 0)
            return false;
        next += set->count;
    }
    return next == payload.header->file_count;
}

static bool tables_fit(void) {
    const Header *header = payload.header;
    if (!fits_table(header->modules, header->module_count, sizeof(Module)) ||
        !fits_table(header->files, header->file_count, sizeof(File)) ||
        !fits_table(header->sets, header->set_count, sizeof(Set)) ||
        !fits_table(header->abi, header->abi_count, sizeof(uint32_t)) || !fits(header->about, header->about_size))
        return false;
    payload.modules = (const Module *)(payload.bytes + header->modules);
    payload.files = (const File *)(payload.bytes + header->files);
    payload.sets = (const Set *)(payload.bytes + header->sets);
    payload.abi = (const uint32_t *)(payload.bytes + header->abi);
    return is_text(header->boot) && is_text(header->library) && header->set_count >= 1 &&
           header->set_count <= SETS_MAX && header->abi_count >= ABI_COUNT && modules_fit() && files_fit();
}

/* Reads the file rather than the mapping: what is only looked at here doesn't stay in this process's memory. */
static int hash_file(uint64_t *hash) {
    uint8_t *buffer = system_pages(CHUNK);
    if (buffer == NULL)
        return failed(EXIT_UNAVAILABLE, "launcher.memory", "there is no memory left.");
    Xxh64 state;
    xxh64_start(&state);
    uint64_t at = offsetof(Header, format), size = payload.header->size;
    int error = 0;
    while (at < size && error == 0) {
        size_t part = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
        error = system_read(payload.place.file, payload.place.offset + at, buffer, part);
        if (error == 0)
            xxh64_add(&state, buffer, part);
        at += part;
    }
    system_pages_free(buffer, CHUNK);
    *hash = xxh64_end(&state);
    return error == 0 ? 0 : failed_by_system(error, "launcher.unreadable", "reading %s", payload.place.path.text);
}

int payload_open(void) {
    int error = system_find_payload(&payload.place);
    if (error != 0)
        return failed_by_system(error, "launcher.unreadable", "reading %s", payload.place.path.text);
    if (payload.place.bytes == NULL)
        return failed(EXIT_DAMAGED, "launcher.no-payload",
                      "there is no program in this file, nor beside it: it was made by `stayon build`, and what was "
                      "changed since (strip, a signature behind its end) took the program away. Build it again.");
    payload.bytes = payload.place.bytes;
    payload.header = (const Header *)payload.bytes;
    if (payload.place.room < sizeof(Header) || memcmp(payload.header->magic, PAYLOAD_MAGIC, 8) != 0)
        return damaged("it does not begin as it should");
    if (payload.header->size < sizeof(Header) || payload.header->size > payload.place.room)
        return damaged("a part of it is missing");
    if (payload.header->format != PAYLOAD_FORMAT)
        return failed(EXIT_DAMAGED, "launcher.format",
                      "%s was built for another launcher: its format is %u, this launcher's is %d. Use those of one "
                      "build together.", payload.place.path.text, payload.header->format, PAYLOAD_FORMAT);
    uint64_t hash = 0;
    int exit = hash_file(&hash);
    if (exit != 0)
        return exit;
    if (hash != payload.header->hash)
        return damaged("its content is not what was built");
    return tables_fit() ? 0 : damaged("its tables point nowhere");
}

const char *payload_text(uint32_t offset) {
    return (const char *)payload.bytes + offset;
}

int payload_find_module(const char *name) {
    uint32_t low = 0, high = payload.header->module_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(name, payload_text(payload.modules[middle].name));
        if (order == 0)
            return (int)middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}
