/* Sets: directories of files that the system must load from a disk, each put there once and shared by all programs that
 * have the same. What is there under a set's name is whole: it was made beside it and renamed. */
#include <string.h>

#include "hash.h"
#include "lzma.h"
#include "messages.h"
#include "runtime.h"

enum { LOCK_WAIT_S = 60 };

/* "ROOT/name"; the payload's names have "/". false: too long. */
static bool joined(Path *path, const char *directory, const char *name) {
    size_t directory_size = strlen(directory), size = strlen(name);
    if (directory_size + 1 + size >= sizeof path->text)
        return false;
    memmove(path->text, directory, directory_size);
    path->text[directory_size] = SEPARATOR;
    for (size_t i = 0; i <= size; i++)
        path->text[directory_size + 1 + i] = name[i] == '/' ? SEPARATOR : name[i];
    return true;
}

static int too_long(const char *directory) {
    return failed(EXIT_UNAVAILABLE, "launcher.path",
                  "the path of a file in %s would be too long. Set STAYON_RUNTIME to a directory with a short path.",
                  directory);
}

static bool is_complete(const Set *set, const char *directory) {
    static Path path;
    for (uint32_t i = set->first; i < set->first + set->count; i++) {
        uint64_t size;
        if (!joined(&path, directory, payload_text(payload.files[i].name)) || system_file_size(&path, &size) != 0 ||
            size != payload.files[i].size)
            return false;
    }
    return true;
}

/* Holds first, looks then: what is whole while we hold it stays. */
static bool is_here(uint32_t index, const Root *root) {
    static Path directory, witness;
    const Set *set = payload.sets + index;
    Handle held;
    if (!joined(&directory, root->path.text, payload_text(set->name)) ||
        !joined(&witness, directory.text, payload_text(payload.files[set->first].name)) ||
        system_hold(&directory, &witness, &held) != 0)
        return false;
    if (!is_complete(set, directory.text)) {
        system_release(held);
        return false;
    }
    payload.directories[index] = directory;
    payload.locks[index] = held;
    return true;
}

static bool unpack(const File *file, uint8_t *bytes) {
    const uint8_t *packed = payload.bytes + file->offset;
    if (file->filter == FILE_STORED)
        memcpy(bytes, packed, file->size);
    else if (!lzma_decode(packed, file->packed_size, bytes, file->size))
        return false;
    if (file->filter == FILE_LZMA_BCJ)
        bcj_x86_decode(bytes, file->size);
    system_forget(packed, file->packed_size);
    uint8_t digest[32];
    sha256(bytes, file->size, digest);
    return memcmp(digest, file->sha256, sizeof digest) == 0;
}

static int write_file(const File *file, const Path *path, bool is_shared) {
    size_t room = file->size > 0 ? file->size : 1;
    uint8_t *bytes = system_pages(room);
    if (bytes == NULL)
        return failed(EXIT_UNAVAILABLE, "launcher.memory", "there is no memory left for %s.", path->text);
    int exit = 0;
    if (!unpack(file, bytes))
        exit = failed(EXIT_DAMAGED, "launcher.damaged",
                      "%s is damaged: its file %s is not what was built. Copy it here again, or build it again.",
                      payload.place.path.text, payload_text(file->name));
    else {
        int error = system_file_write(path, bytes, file->size, (file->flags & FILE_EXECUTABLE) != 0, is_shared);
        if (error != 0)
            exit = failed_by_system(error, "launcher.disk", "writing %s", path->text);
    }
    system_pages_free(bytes, room);
    return exit;
}

/* Makes the directories that are above the file, below *root_size* characters of its path. */
static int make_parents(Path *path, size_t root_size, bool is_shared) {
    for (char *at = path->text + root_size + 1; *at != 0; at++) {
        if (*at != SEPARATOR)
            continue;
        *at = 0;
        int error = system_directory_make(path, is_shared);
        *at = SEPARATOR;
        if (error != 0)
            return failed_by_system(error, "launcher.disk", "making the directories of %s", path->text);
    }
    return 0;
}

static int fill(const Set *set, const Path *directory, bool is_shared) {
    static Path path;
    int exit = 0, error = system_directory_make(directory, is_shared);
    if (error != 0)
        return failed_by_system(error, "launcher.disk", "making %s", directory->text);
    for (uint32_t i = set->first; i < set->first + set->count && exit == 0; i++) {
        if (!joined(&path, directory->text, payload_text(payload.files[i].name)))
            return too_long(directory->text);
        exit = make_parents(&path, strlen(directory->text), is_shared);
        if (exit == 0)
            exit = write_file(payload.files + i, &path, is_shared);
    }
    if (exit == 0 && (error = system_directory_sync(directory)) != 0)
        return failed_by_system(error, "launcher.disk", "writing %s", directory->text);
    return exit;
}

/* What begins with "." was left by a start that died, since we have the lock. Its failing is no reason to give up. */
static int remove_stale(const char *name, void *context) {
    static Path path;
    const Root *root = context;
    if (name[0] == '.' && joined(&path, root->path.text, name))
        (void)system_remove_tree(&path);
    return 0;
}

static void work_name(char *text, size_t room, const char *set_name, const char *suffix) {
    formatted(text, room, ".%s.%lu%s", set_name, system_process_id(), suffix);
}

/* With the lock: what has the set's name, but isn't whole, makes room. */
static int put_in_place(const Path *made, const Path *place, const Root *root, const char *set_name) {
    static Path broken;
    char name[128];
    work_name(name, sizeof name, set_name, ".old");
    if (!joined(&broken, root->path.text, name))
        return too_long(root->path.text);
    int error = system_rename(made, place);
    if (error != 0 && system_rename(place, &broken) == 0) {
        error = system_rename(made, place);
        (void)system_remove_tree(&broken);
    }
    if (error != 0)
        return failed_by_system(error, "launcher.disk", "putting %s in its place", place->text);
    error = system_directory_sync(&root->path);
    return error == 0 ? 0 : failed_by_system(error, "launcher.disk", "writing %s", root->path.text);
}

static int make_set(uint32_t index, Root *root) {
    static Path made, place;
    const Set *set = payload.sets + index;
    const char *set_name = payload_text(set->name);
    char name[128];
    work_name(name, sizeof name, set_name, "");
    if (!joined(&made, root->path.text, name) || !joined(&place, root->path.text, set_name))
        return too_long(root->path.text);
    (void)system_list(&root->path, remove_stale, root);
    int exit = fill(set, &made, root->is_shared);
    if (exit == 0)
        exit = put_in_place(&made, &place, root, set_name);
    if (exit != 0)
        (void)system_remove_tree(&made);
    else
        payload.was_registered = true;
    return exit;
}

static int make_locked(uint32_t index, Root *root) {
    static Path path;
    Handle lock;
    if (!joined(&path, root->path.text, "lock"))
        return too_long(root->path.text);
    int error = system_lock(&path, LOCK_WAIT_S, &lock);
    if (error == LOCK_TIMED_OUT)
        return failed(EXIT_UNAVAILABLE, "launcher.locked",
                      "another start has held %s for %d s. See which process that is and end it, then start again.",
                      path.text, LOCK_WAIT_S);
    if (error != 0)
        return failed_by_system(error, "launcher.locked", "locking %s", path.text);
    int exit = is_here(index, root) ? 0 : make_set(index, root);
    if (exit == 0 && payload.directories[index].text[0] == 0 && !is_here(index, root))
        exit = failed(EXIT_UNAVAILABLE, "launcher.disk", "what was written to %s is not there.", root->path.text);
    system_unlock(lock);
    return exit;
}

static int no_place(const char *where, const char *why) {
    return failed(EXIT_NOT_PERMITTED, "launcher.no-place",
                  "the runtime cannot be put into %s: %s. Correct that, or set STAYON_RUNTIME to a directory that only "
                  "this account can write to.", where, why);
}

static int no_root(const char *why) {
    return failed(EXIT_NOT_PERMITTED, "launcher.no-place",
                  "there is no place for the runtime: %s. Set STAYON_RUNTIME to a directory that only this account can "
                  "write to.", why);
}

/* *none*: why there is no root where this account may make sets, if there is none. */
static int register_set(uint32_t index, Root *roots, int count, const char *none) {
    static char why[512];
    for (int i = 0; i < count; i++)
        if (system_root_trusted(roots + i, why, sizeof why) == 0 && is_here(index, roots + i))
            return 0;
    const char *where = NULL;
    for (int i = 0; i < count; i++) {
        if (!roots[i].may_make)
            continue;
        where = roots[i].path.text;
        int error = system_root_make(roots + i);
        if (error != 0)
            system_error_text(error, why, sizeof why);
        else if (system_root_trusted(roots + i, why, sizeof why) == 0)
            return make_locked(index, roots + i);
    }
    return where == NULL ? no_root(none) : no_place(where, why);
}

int register_sets(void) {
    static Root roots[ROOTS_MAX];
    const char *why = "";
    int count = system_roots(roots, &why);
    int exit = count == 0 ? no_root(why) : 0;
    for (uint32_t i = 0; i < payload.header->set_count && exit == 0; i++)
        exit = register_set(i, roots, count, why);
    return exit;
}
