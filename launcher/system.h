/* What the launcher needs of an operating system: system_linux.c and system_windows.c have the same functions.
 *
 * Paths are UTF-8 (on Linux: the system's bytes), absolute, with the system's separator, of at most PATH_ROOM bytes
 * with the zero. Functions that can fail return 0 for success, else the system's error (errno, GetLastError), which
 * system_error_text() words. Nothing here says anything: the callers do, by failed() of messages.h. All of it is called
 * by the main thread alone, before Python starts, but for system_settle().
 *
 * The shared C files use of the C library only memcpy memmove memset memcmp strlen strcmp: on Windows there is none.
 */
#ifndef STAYON_SYSTEM_H
#define STAYON_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATH_ROOM 4096

#ifdef _WIN32
#define SEPARATOR '\\'
#else
#define SEPARATOR '/'
#endif

typedef struct {
    char text[PATH_ROOM];
} Path;

typedef intptr_t Handle;   /* a file, a lock; NO_HANDLE: none */
#define NO_HANDLE ((Handle)-1)

/* Where the payload is. */
typedef struct {
    Path executable;       /* this program's file, links followed */
    Path path;             /* the file that has the payload: the same, or NAME.pkg beside it */
    Handle file;           /* that file, open for reading; stays open until the end */
    uint64_t offset;       /* of the payload in the file */
    uint64_t room;         /* bytes of the file (on Windows: of its section) from there; the payload has no more */
    const uint8_t *bytes;  /* the same, mapped, read-only; NULL: there is no payload */
} Place;

typedef struct {
    Path path;             /* may not be there yet; after system_root_make() links are followed */
    bool is_shared;        /* for all accounts of this computer: 0755, else 0700 */
    bool may_make;         /* this account may put sets there */
} Root;

#define ROOTS_MAX 2

/* Finds and maps the payload; after an error *path* is what the error is about. 0 with bytes == NULL: neither this file
 * nor a .pkg beside it has one. */
int system_find_payload(Place *place);

/* Reads *size* bytes at *offset*: fewer are an error, too. */
int system_read(Handle file, uint64_t offset, void *buffer, size_t size);

/* Lets go of what was read through the mapping, as far as the system can: those pages are not needed again. */
void system_forget(const void *bytes, size_t size);

/* Where sets may be, best first: $STAYON_RUNTIME alone if it is set. Returns how many; if this account may make none of
 * them, *why* says why. */
int system_roots(Root roots[ROOTS_MAX], const char **why);

/* Whether nobody but this account and administrators can change what is there: 0, or an error and *why*, a clause
 * about root->path, such as "others may write to it"; also if it isn't there. Follows links in root->path. */
int system_root_trusted(Root *root, char *why, size_t why_room);

/* Makes it, and the directories above it, with the rights it must have. Is there already: fine. */
int system_root_make(const Root *root);

int system_directory_make(const Path *path, bool is_shared);
int system_directory_sync(const Path *path);

/* Moves a directory to a name in the same directory, at once. An error if that name is there. */
int system_rename(const Path *from, const Path *to);

/* Removes a directory and all in it; follows no links. Not there: fine. */
int system_remove_tree(const Path *path);

/* Calls *each* with the name of every entry of the directory but "." and ".."; stops where it returns non-zero. */
int system_list(const Path *path, int (*each)(const char *name, void *context), void *context);

/* An ordinary file's size; an error if it isn't there, isn't ordinary, or is a link. */
int system_file_size(const Path *path, uint64_t *size);

/* Writes a new file and sees it onto the disk. */
int system_file_write(const Path *path, const void *bytes, size_t size, bool is_executable, bool is_shared);

/* The file's lock for this process alone, waiting at most *wait_s*: LOCK_TIMED_OUT if another has it still. The file is
 * made if it isn't there. */
int system_lock(const Path *path, int wait_s, Handle *lock);
void system_unlock(Handle lock);
#define LOCK_TIMED_OUT (-1)

/* Keeps the directory of a set from being collected until system_release(), or for as long as this process lives.
 * *witness* is one file of it. Refuses a directory that is not this account's or an administrator's. */
int system_hold(const Path *directory, const Path *witness, Handle *held);
void system_release(Handle held);

/* Memory of its own pages, zero; NULL: there is none. */
void *system_pages(size_t size);
void system_pages_free(void *memory, size_t size);

/* Loads a library by its full path; NULL: *why* says why not. */
void *system_load(const Path *path, char *why, size_t why_room);
void *system_symbol(void *library, const char *name);

unsigned long system_process_id(void);

/* Gives memory back that only the start needed: what was read of the payload and of the libraries of *directory* and is
 * on disk, what malloc keeps. It comes back where it is used again. Any thread may call it. */
void system_settle(const void *payload, size_t size, const Path *directory);

/* What the system says about an error: no line break, no full stop at its end. */
void system_error_text(int error, char *text, size_t room);

/* Whether the system's error means that this account may not: exit code 77 rather than 69. */
bool system_error_is_refusal(int error);

/* Tells a person or the system's log that this start failed: *line* (UTF-8, no line break). *exit*: the process's code;
 * started by the SCM, it is what STOPPED is reported with. */
void system_say(const char *line, int exit);

/* Ends the process at once: C's buffers are flushed, no destructor runs. */
_Noreturn void system_exit(int code);

#endif
