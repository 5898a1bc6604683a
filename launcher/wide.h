/* Windows' texts: UTF-16, where the rest of the launcher has UTF-8. */
#ifndef STAYON_WIDE_H
#define STAYON_WIDE_H

#include <windows.h>

#include "system.h"

#define WIDE_ROOM (PATH_ROOM + 8)

typedef struct {
    wchar_t text[WIDE_ROOM];
} Wide;

/* *path* as Windows' functions take it: absolute ones of 248 units or more begin with "\\?\", so that there is no limit
 * (a directory's name may have no more, https://learn.microsoft.com/windows/win32/fileio/maximum-file-path-limitation).
 * 0 or the error. */
int wide_path(const Path *path, Wide *wide);

/* As UTF-8, without "\\?\" if it is short enough to be understood without. 0 or the error. */
int narrow_path(const wchar_t *wide, Path *path);

/* Any text as UTF-8; what doesn't fit is cut. */
void narrow_text(const wchar_t *wide, char *text, size_t room);

/* The command line's words, as Microsoft's C runtime would take it apart
 * (https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments); NULL behind the last. NULL: no
 * memory. */
wchar_t **wide_words(const wchar_t *line, int *count);

#endif
