/* The process, its payload, libraries, memory. Files are in files_linux.c. */
#define _GNU_SOURCE
#include "system.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "payload.h"

static const char DELETED[] = " (deleted)";

/* The link that the kernel keeps, or, where there is no /proc, the name that execve(2) was given. */
static int find_executable(Path *path) {
    static char link[PATH_ROOM];
    ssize_t size = readlink("/proc/self/exe", link, sizeof link - 1);
    if (size > 0) {
        link[size] = 0;
        size_t end = (size_t)size - (sizeof DELETED - 1);
        if ((size_t)size > sizeof DELETED && strcmp(link + end, DELETED) == 0 && access(link, F_OK) != 0)
            link[end] = 0;
        memcpy(path->text, link, sizeof path->text);
        return 0;
    }
    const char *name = (const char *)getauxval(AT_EXECFN);
    if (name == NULL)
        return ENOENT;
    return realpath(name, path->text) != NULL ? 0 : errno;
}

/* Opens for reading, above the three standard streams, which may be closed. */
static int open_above(const char *path, Handle *file) {
    int low = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (low == -1)
        return errno;
    if (low > 2) {
        *file = low;
        return 0;
    }
    int high = fcntl(low, F_DUPFD_CLOEXEC, 3), error = errno;
    (void)close(low);
    *file = high;
    return high == -1 ? error : 0;
}

/* Where the ELF file ends, which is behind its section headers, rounded up to a page. 0: it has none. */
static uint64_t end_of_elf(Handle file) {
    Elf64_Ehdr header;
    if (system_read(file, 0, &header, sizeof header) != 0 || header.e_shoff == 0)
        return 0;
    uint64_t end = header.e_shoff + (uint64_t)header.e_shentsize * header.e_shnum;
    return (end + PAYLOAD_PAGE - 1) / PAYLOAD_PAGE * PAYLOAD_PAGE;
}

static int map(Place *place, uint64_t offset) {
    char magic[sizeof PAYLOAD_MAGIC - 1];
    off_t size = lseek((int)place->file, 0, SEEK_END);
    if (size == -1)
        return errno;
    if ((uint64_t)size < offset + sizeof(Header) || system_read(place->file, offset, magic, sizeof magic) != 0 ||
        memcmp(magic, PAYLOAD_MAGIC, sizeof magic) != 0)
        return 0;
    uint64_t skipped = offset % (uint64_t)sysconf(_SC_PAGESIZE); /* pages of 64 KB: on arm64 */
    place->offset = offset;
    place->room = (uint64_t)size - offset;
    off_t start = (off_t)(offset - skipped);
    uint8_t *bytes = mmap(NULL, place->room + skipped, PROT_READ, MAP_PRIVATE, (int)place->file, start);
    if (bytes == MAP_FAILED)
        return errno;
    place->bytes = bytes + skipped;
    return 0;
}

int system_find_payload(Place *place) {
    int error = find_executable(&place->executable);
    place->path = place->executable;
    if (error != 0)
        return error;
    error = open_above("/proc/self/exe", &place->file);
    if (error != 0)
        error = open_above(place->path.text, &place->file);
    if (error != 0)
        return error;
    uint64_t end = end_of_elf(place->file);
    if (end != 0)
        error = map(place, end);
    if (error != 0 || place->bytes != NULL)
        return error;
    (void)close((int)place->file);
    size_t size = strlen(place->path.text);
    if (size + sizeof ".pkg" > sizeof place->path.text)
        return ENAMETOOLONG;
    memcpy(place->path.text + size, ".pkg", sizeof ".pkg");
    error = open_above(place->path.text, &place->file);
    return error == ENOENT ? 0 : error != 0 ? error : map(place, 0);
}

int system_read(Handle file, uint64_t offset, void *buffer, size_t size) {
    uint8_t *to = buffer;
    while (size > 0) {
        ssize_t count = pread((int)file, to, size, (off_t)offset);
        if (count == -1 && errno == EINTR)
            continue;
        if (count <= 0)
            return count == 0 ? EIO : errno;
        to += count, offset += (uint64_t)count, size -= (size_t)count;
    }
    return 0;
}

void system_forget(const void *bytes, size_t size) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = ((uintptr_t)bytes + page - 1) / page * page, end = ((uintptr_t)bytes + size) / page * page;
    if (end > start)
        (void)madvise((void *)start, end - start, MADV_DONTNEED);
}

/* Whether relocation, or somebody, may have written to pages that are no longer writable: their content is not the
 * file's. */
static bool has_text_relocations(const struct dl_phdr_info *object) {
    for (int i = 0; i < object->dlpi_phnum; i++) {
        if (object->dlpi_phdr[i].p_type != PT_DYNAMIC)
            continue;
        const ElfW(Dyn) *entry = (const ElfW(Dyn) *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
        for (; entry->d_tag != DT_NULL; entry++)
            if (entry->d_tag == DT_TEXTREL || (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0))
                return true;
    }
    return false;
}

/* Only the interpreter's own files: who knows what others have done to theirs. */
static int settle_library(struct dl_phdr_info *object, size_t size, void *context) {
    (void)size;
    const Path *directory = context;
    if (strncmp(object->dlpi_name, directory->text, strlen(directory->text)) != 0 || has_text_relocations(object))
        return 0;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = object->dlpi_phdr + i;
        if (part->p_type == PT_LOAD && (part->p_flags & PF_W) == 0)
            system_forget((const void *)(object->dlpi_addr + part->p_vaddr), part->p_memsz);
    }
    return 0;
}

void system_settle(const void *payload, size_t size, const Path *directory) {
    system_forget(payload, size);
    (void)dl_iterate_phdr(settle_library, (void *)directory);
    (void)malloc_trim(0);
}

void *system_pages(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void system_pages_free(void *memory, size_t size) {
    (void)munmap(memory, size);
}

/* Extension modules find the interpreter's functions among those of the whole process, as they do in python itself. */
void *system_load(const Path *path, char *why, size_t why_room) {
    void *library = dlopen(path->text, RTLD_LAZY | RTLD_GLOBAL);
    if (library == NULL) {
        const char *reason = dlerror();
        (void)snprintf(why, why_room, "%s", reason != NULL ? reason : "no reason is given");
    }
    return library;
}

void *system_symbol(void *library, const char *name) {
    return dlsym(library, name);
}

unsigned long system_process_id(void) {
    return (unsigned long)getpid();
}

void system_error_text(int error, char *text, size_t room) {
    (void)snprintf(text, room, "%s", strerror(error));
}

bool system_error_is_refusal(int error) {
    return error == EACCES || error == EPERM || error == EROFS;
}

void system_say(const char *line, int exit) {
    (void)exit; /* is the process's; nobody else asks for it here */
    struct iovec parts[2] = {{(void *)line, strlen(line)}, {"\n", 1}};
    if (writev(STDERR_FILENO, parts, 2) == -1)
        return; /* there is nobody to tell */
}

_Noreturn void system_exit(int code) {
    (void)fflush(NULL);
    _exit(code);
}
