/* What the launcher's parts for Windows have of system_windows.c besides system.h. */
#ifndef STAYON_SYSTEM_WINDOWS_H
#define STAYON_SYSTEM_WINDOWS_H

#include <stdbool.h>

extern bool windows_is_mute; /* there is no standard error: main_windows.c has looked */

/* A line (UTF-8) onto standard error; into the Event Log, as one of the source "stayon", if there is none. */
void windows_print(const char *line);

#endif
