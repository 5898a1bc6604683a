#include "event_log.h"

#include <windows.h>

/* That of "the start failed" in docs/reference/log-format.md. The sources of services have EventCreate.exe as message
 * file, whose text for it is "%1". */
#define START_FAILED 12
#define TEXT_LIMIT 2048

/* https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-reporteventw */
void event_log_error(const wchar_t *source, const char *text) {
    static wchar_t wide[TEXT_LIMIT];
    size_t size = 0;
    while (size < TEXT_LIMIT - 1 && text[size] != 0)
        size++;
    /* Bytes that end within a character become a mark of it: this can't fail for want of room. */
    int length = MultiByteToWideChar(CP_UTF8, 0, text, (int)size, wide, TEXT_LIMIT - 1);
    wide[length] = 0;
    /* A percent sign begins a code, and there is no way to escape it. */
    for (int at = 0; at < length; at++)
        if (wide[at] == L'%')
            wide[at] = 0xff05;
    HANDLE log = RegisterEventSourceW(NULL, source);
    if (log == NULL)
        return;
    const wchar_t *strings[] = {wide};
    (void)ReportEventW(log, EVENTLOG_ERROR_TYPE, 0, START_FAILED, NULL, 1, 0, strings, NULL);
    (void)DeregisterEventSource(log);
}
