/* Files, directories, locks, and who else could change them. */
#define _GNU_SOURCE
#include "system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static const char SHARED[] = "/var/lib/stayon/runtime";

static bool is_root(void) {
    return geteuid() == 0;
}

/* stat(2) and its kin as system calls: glibc's functions of these names are new in 2.33, the structure is the
 * kernel's. */
static int status_at(const char *path, struct stat *status, int flags) {
    return (int)syscall(SYS_newfstatat, AT_FDCWD, path, status, flags);
}

static int status_of(int descriptor, struct stat *status) {
    return (int)syscall(SYS_fstat, descriptor, status);
}

static int of(int status) {
    return status == -1 ? errno : 0;
}

/* Closes; an error that there is already counts more. */
static int closed(int descriptor, int error) {
    int status = close(descriptor);
    return error != 0 ? error : of(status);
}

static int set_root(Root *root, const char *directory, const char *below, const char **why) {
    if (directory[0] != '/') {
        *why = "its path is not absolute";
        return 0;
    }
    if ((size_t)snprintf(root->path.text, sizeof root->path.text, "%s%s", directory, below) >= sizeof root->path.text) {
        *why = "its path is too long";
        return 0;
    }
    return 1;
}

int system_roots(Root roots[ROOTS_MAX], const char **why) {
    const char *given = secure_getenv("STAYON_RUNTIME");
    if (given != NULL && given[0] != 0) {
        roots[0].is_shared = is_root(), roots[0].may_make = true;
        return set_root(roots, given, "", why);
    }
    roots[0].is_shared = true, roots[0].may_make = is_root();
    int count = set_root(roots, SHARED, "", why);
    if (is_root())
        return count;
    roots[1].may_make = true;
    const char *cache = secure_getenv("XDG_CACHE_HOME"), *home = secure_getenv("HOME");
    if (cache != NULL && cache[0] == '/')
        return count + set_root(roots + 1, cache, "/stayon/runtime", why);
    if (home != NULL && home[0] == '/')
        return count + set_root(roots + 1, home, "/.cache/stayon/runtime", why);
    *why = "neither XDG_CACHE_HOME nor HOME is an absolute path";
    return count;
}

/* Whether others can put something else in this directory's place, or into it. A sticky directory lets nobody touch
 * what is another's. A group that has its user's number is that user's alone. */
static const char *distrust(const struct stat *status, bool is_last) {
    if (!S_ISDIR(status->st_mode))
        return "is no directory";
    if (status->st_uid != 0 && status->st_uid != geteuid())
        return "belongs to another account";
    if (!is_last && (status->st_mode & S_ISVTX) != 0)
        return NULL;
    bool is_own_group = status->st_gid == status->st_uid;
    if ((status->st_mode & S_IWOTH) != 0 || ((status->st_mode & S_IWGRP) != 0 && !is_own_group))
        return "can be written to by others";
    return NULL;
}

int system_root_trusted(Root *root, char *why, size_t why_room) {
    static Path path;
    static char real[PATH_ROOM];
    if (realpath(root->path.text, real) == NULL) {
        int error = errno;
        system_error_text(error, why, why_room);
        return error;
    }
    memcpy(root->path.text, real, sizeof real);
    size_t size = strlen(real);
    for (size_t end = 1; end <= size; end++) {
        if (end > 1 && end < size && real[end] != '/')
            continue;
        memcpy(path.text, real, end);
        path.text[end] = 0;
        struct stat status;
        bool is_seen = status_at(path.text, &status, AT_SYMLINK_NOFOLLOW) == 0;
        const char *reason = is_seen ? distrust(&status, end == size) : strerror(errno);
        if (reason != NULL) {
            (void)snprintf(why, why_room, "%s %s", path.text, reason);
            return EPERM;
        }
    }
    return 0;
}

int system_root_make(const Root *root) {
    static Path path;
    path = root->path;
    int error = 0;
    for (char *at = path.text + 1; error == 0; at++) {
        char character = *at;
        if (character != '/' && character != 0)
            continue;
        *at = 0;
        error = system_directory_make(&path, root->is_shared);
        *at = character;
        if (character == 0)
            break;
    }
    return error;
}

int system_directory_make(const Path *path, bool is_shared) {
    mode_t mode = is_shared ? 0755 : 0700;
    if (mkdir(path->text, mode) == 0)
        return of(chmod(path->text, mode)); /* whatever the umask is */
    int error = errno; /* an automatic or read-only file system may say something else of what is there */
    struct stat status;
    return status_at(path->text, &status, 0) == 0 && S_ISDIR(status.st_mode) ? 0 : error;
}

int system_directory_sync(const Path *path) {
    int descriptor = open(path->text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor == -1)
        return errno;
    int error = of(fsync(descriptor));
    return closed(descriptor, error == EINVAL || error == ENOTSUP ? 0 : error); /* file systems that can't, needn't */
}

/* rename(2) would replace an empty directory only, which no set is. */
int system_rename(const Path *from, const Path *to) {
    return of(rename(from->text, to->text));
}

static int remove_at(int parent, const char *name);

static int remove_entries(int descriptor) {
    DIR *directory = fdopendir(descriptor);
    if (directory == NULL)
        return closed(descriptor, errno);
    int error = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            int failure = remove_at(dirfd(directory), entry->d_name);
            error = error != 0 ? error : failure;
        }
    (void)closedir(directory);
    return error;
}

/* No deeper than the sets' own directories are: what is removed is ours. */
static int remove_at(int parent, const char *name) {
    int descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor == -1)
        return errno == ENOTDIR || errno == ELOOP ? of(unlinkat(parent, name, 0)) : errno == ENOENT ? 0 : errno;
    int error = remove_entries(descriptor);
    return error != 0 ? error : of(unlinkat(parent, name, AT_REMOVEDIR));
}

int system_remove_tree(const Path *path) {
    return remove_at(AT_FDCWD, path->text);
}

int system_list(const Path *path, int (*each)(const char *name, void *context), void *context) {
    DIR *directory = opendir(path->text);
    if (directory == NULL)
        return errno;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && each(entry->d_name, context) != 0)
            break;
    return of(closedir(directory));
}

int system_file_size(const Path *path, uint64_t *size) {
    struct stat status;
    if (status_at(path->text, &status, AT_SYMLINK_NOFOLLOW) == -1)
        return errno;
    *size = (uint64_t)status.st_size;
    return S_ISREG(status.st_mode) ? 0 : EINVAL;
}

int system_file_write(const Path *path, const void *bytes, size_t size, bool is_executable, bool is_shared) {
    mode_t mode = (mode_t)(is_executable ? 0700 : 0600) | (mode_t)(!is_shared ? 0 : is_executable ? 0055 : 0044);
    int descriptor = open(path->text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (descriptor == -1)
        return errno;
    int error = of(fchmod(descriptor, mode));
    const uint8_t *from = bytes;
    while (size > 0 && error == 0) {
        ssize_t count = write(descriptor, from, size);
        if (count == -1 && errno != EINTR)
            error = errno;
        if (count > 0)
            from += count, size -= (size_t)count;
    }
    if (error == 0)
        error = of(fsync(descriptor));
    return closed(descriptor, error);
}

static void nothing(int number) {
    (void)number; /* flock(2) returns EINTR: that is all */
}

/* Whether the path still leads to what was opened: it may have been removed, and made anew, meanwhile. */
static bool is_still(const Path *path, int descriptor) {
    struct stat now, opened;
    return status_at(path->text, &now, AT_SYMLINK_NOFOLLOW) == 0 && status_of(descriptor, &opened) == 0 &&
           now.st_dev == opened.st_dev && now.st_ino == opened.st_ino;
}

/* flock(2) waits for ever; a timer that keeps ticking gets it out. */
static int lock_opened(int descriptor, int wait_s) {
    struct sigaction interrupt = {.sa_handler = nothing}, before;
    struct itimerval timer = {{1, 0}, {1, 0}}, none = {{0, 0}, {0, 0}};
    (void)sigaction(SIGALRM, &interrupt, &before);
    (void)setitimer(ITIMER_REAL, &timer, NULL);
    int error = EINTR;
    for (int second = 0; error == EINTR && second <= wait_s; second++)
        error = of(flock(descriptor, LOCK_EX));
    (void)setitimer(ITIMER_REAL, &none, NULL);
    (void)sigaction(SIGALRM, &before, NULL);
    return error == EINTR ? LOCK_TIMED_OUT : error;
}

int system_lock(const Path *path, int wait_s, Handle *lock) {
    for (;;) {
        int descriptor = open(path->text, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (descriptor == -1)
            return errno;
        int error = lock_opened(descriptor, wait_s);
        if (error != 0)
            return closed(descriptor, error);
        *lock = descriptor;
        if (is_still(path, descriptor))
            return 0;
        (void)close(descriptor); /* a collector has removed it: the next is another file */
    }
}

void system_unlock(Handle lock) {
    (void)close((int)lock);
}

int system_hold(const Path *directory, const Path *witness, Handle *held) {
    (void)witness; /* the directory itself can be locked */
    int descriptor = open(directory->text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor == -1)
        return errno;
    struct stat status;
    int error = of(status_of(descriptor, &status));
    if (error == 0 && distrust(&status, true) != NULL)
        error = EPERM;
    if (error == 0)
        error = of(flock(descriptor, LOCK_SH | LOCK_NB)); /* a collector has it: it is as good as gone */
    if (error == 0 && !is_still(directory, descriptor))
        error = ENOENT;
    if (error != 0)
        return closed(descriptor, error);
    *held = descriptor;
    return 0;
}

void system_release(Handle held) {
    (void)close((int)held);
}
