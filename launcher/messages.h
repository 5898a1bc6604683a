/* What the launcher says when it can't go on: one line with a stable code, as stayon's own errors are. */
#ifndef STAYON_MESSAGES_H
#define STAYON_MESSAGES_H

/* Exit codes of stayon/exits.py. */
enum { EXIT_UNAVAILABLE = 69, EXIT_FAILED = 70, EXIT_NOT_PERMITTED = 77, EXIT_DAMAGED = 78 };

#define MESSAGE_ROOM 8192

#if defined(__MINGW32__)
#define MESSAGE_FORMAT __attribute__((format(gnu_printf, 3, 4)))
#else
#define MESSAGE_FORMAT __attribute__((format(printf, 3, 4)))
#endif

/* Says "PROGRAM: text [code]" by system_say() and returns *exit*, for `return failed(…)`: 0 is never returned. */
int failed(int exit, const char *code, const char *format, ...) MESSAGE_FORMAT;

#endif
