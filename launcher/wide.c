#include "wide.h"

#include <string.h>

#define LONG_UNITS 248
#define LONG_PREFIX L"\\\\?\\"
#define LONG_SHARE_PREFIX L"\\\\?\\UNC\\"

static int begins_with(const wchar_t *text, const wchar_t *with) {
    while (*with != 0 && *text == *with)
        text++, with++;
    return *with == 0;
}

int wide_path(const Path *path, Wide *wide) {
    int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path->text, -1, wide->text, PATH_ROOM);
    if (length == 0)
        return (int)GetLastError();
    for (wchar_t *unit = wide->text; *unit != 0; unit++)
        if (*unit == L'/')
            *unit = L'\\';
    if (length < LONG_UNITS || begins_with(wide->text, LONG_PREFIX))
        return 0;
    if (begins_with(wide->text, L"\\\\")) {
        /* "\\server\share" is "\\?\UNC\server\share" in long. */
        memmove(wide->text + 8, wide->text + 2, ((size_t)length - 2) * sizeof(wchar_t));
        memcpy(wide->text, LONG_SHARE_PREFIX, 8 * sizeof(wchar_t));
    } else {
        memmove(wide->text + 4, wide->text, (size_t)length * sizeof(wchar_t));
        memcpy(wide->text, LONG_PREFIX, 4 * sizeof(wchar_t));
    }
    return 0;
}

int narrow_path(const wchar_t *wide, Path *path) {
    char *to = path->text;
    int room = PATH_ROOM;
    if (lstrlenW(wide) < LONG_UNITS) {
        if (begins_with(wide, LONG_SHARE_PREFIX)) {
            *to++ = '\\';
            room--;
            wide += 7; /* the second "\" stays */
        } else if (begins_with(wide, LONG_PREFIX)) {
            wide += 4;
        }
    }
    return WideCharToMultiByte(CP_UTF8, 0, wide, -1, to, room, NULL, NULL) > 0 ? 0 : (int)GetLastError();
}

void narrow_text(const wchar_t *wide, char *text, size_t room) {
    int length = lstrlenW(wide);
    /* A unit takes three bytes at most, and a pair four. */
    int most = (int)(room - 1) / 3;
    int size = WideCharToMultiByte(CP_UTF8, 0, wide, length < most ? length : most, text, (int)room - 1, NULL, NULL);
    text[size] = 0;
}

static int is_blank(wchar_t unit) {
    return unit == L' ' || unit == L'\t';
}

/* The program's name: quotes only quote, backslashes are backslashes. */
static const wchar_t *first_word(const wchar_t *line, wchar_t **to) {
    int is_quoted = 0;
    for (; *line != 0 && (is_quoted || !is_blank(*line)); line++) {
        if (*line == L'"')
            is_quoted = !is_quoted;
        else
            *(*to)++ = *line;
    }
    *(*to)++ = 0;
    return line;
}

/* 2n backslashes and a quote are n and a quote that quotes; one more, and the quote is itself; two quotes within quotes
 * are one. */
static const wchar_t *next_word(const wchar_t *line, wchar_t **to) {
    int is_quoted = 0;
    for (;;) {
        int backslashes = 0;
        for (; *line == L'\\'; line++)
            backslashes++;
        int is_itself = 0;
        if (*line == L'"') {
            is_itself = backslashes % 2;
            backslashes /= 2;
        }
        for (; backslashes > 0; backslashes--)
            *(*to)++ = L'\\';
        if (*line == 0 || (!is_quoted && is_blank(*line)))
            break;
        if (*line == L'"' && !is_itself) {
            if (is_quoted && line[1] == L'"')
                *(*to)++ = *line++;
            else
                is_quoted = !is_quoted;
        } else {
            *(*to)++ = *line;
        }
        line++;
    }
    *(*to)++ = 0;
    return line;
}

wchar_t **wide_words(const wchar_t *line, int *count) {
    /* No more words than every second unit, and no more units than there are. */
    size_t units = (size_t)lstrlenW(line) + 2, most = units / 2 + 2;
    wchar_t **words = HeapAlloc(GetProcessHeap(), 0, most * sizeof *words + 2 * units * sizeof **words);
    if (words == NULL)
        return NULL;
    wchar_t *to = (wchar_t *)(words + most);
    *count = 0;
    words[(*count)++] = to;
    line = first_word(line, &to);
    for (;;) {
        while (is_blank(*line))
            line++;
        if (*line == 0)
            break;
        words[(*count)++] = to;
        line = next_word(line, &to);
    }
    words[*count] = NULL;
    return words;
}
