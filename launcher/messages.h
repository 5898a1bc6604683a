/* What the launcher says when it can't go on: one line with a stable code, as stayon's own errors are. */
#ifndef STAYON_MESSAGES_H
#define STAYON_MESSAGES_H

#include <stdarg.h>
#include <stddef.h>

/* Exit codes of stayon/exits.py. */
enum { EXIT_UNAVAILABLE = 69, EXIT_FAILED = 70, EXIT_NOT_PERMITTED = 77, EXIT_DAMAGED = 78 };

#define MESSAGE_ROOM 8192

#define FORMATTED(text, first) __attribute__((format(printf, text, first)))

/* Writes text as printf does, of which it knows %s, %d, %u, %lu and %%: there is no C library on Windows. What has no
 * room is cut off. Returns the length. */
size_t formatted(char *text, size_t room, const char *format, ...) FORMATTED(3, 4);
size_t formatted_list(char *text, size_t room, const char *format, va_list arguments);

/* Says "PROGRAM: text [code]" by system_say() and returns *exit*, for `return failed(…)`: 0 is never returned. */
int failed(int exit, const char *code, const char *format, ...) FORMATTED(3, 4);

/* The same about an error of the system, with its words; not being permitted ends with its own exit code. */
int failed_by_system(int error, const char *code, const char *format, ...) FORMATTED(3, 4);

#endif
