/* A start on Windows: of a program, or of a service by the SCM, which is answered before anything else is done. */
#include <windows.h>

#include "ffi.h"
#include "messages.h"
#include "module.h"
#include "runtime.h"
#include "service.h"
#include "service_module.h"
#include "system_windows.h"
#include "wide.h"

const PyMethodDef *const MODULE_PARTS[] = {FFI_METHODS, SERVICE_METHODS, NULL};

/* Services and windowed programs have no standard handles, or ones that lead nowhere: Python wants three. Whether one
 * was missing. (Where a library of the system's has loaded Python's C runtime already, as on Wine, that doesn't see it
 * any more; standard_handles.py does the rest then.) */
static bool open_missing(DWORD which) {
    HANDLE handle = GetStdHandle(which);
    SetLastError(NO_ERROR);
    if (handle != NULL && handle != INVALID_HANDLE_VALUE &&
        (GetFileType(handle) != FILE_TYPE_UNKNOWN || GetLastError() == NO_ERROR))
        return false;
    SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
    HANDLE null = CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited,
                              OPEN_EXISTING, 0, NULL);
    (void)SetStdHandle(which, null == INVALID_HANDLE_VALUE ? NULL : null);
    return true;
}

/* The executable's own folder, which may be where downloads are, is no place for libraries. (This program itself needs
 * none but those that the system has open in every process.) */
static void close_search_path(void) {
    (void)SetDefaultDllDirectories(LOAD_LIBRARY_SEARCH_SYSTEM32 | LOAD_LIBRARY_SEARCH_USER_DIRS);
}

/* What the system's loader calls. */
_Noreturn void launcher_start(void) {
    close_search_path();
    (void)open_missing(STD_INPUT_HANDLE);
    (void)open_missing(STD_OUTPUT_HANDLE);
    windows_is_mute = open_missing(STD_ERROR_HANDLE);
    int count = 0;
    wchar_t **words = wide_words(GetCommandLineW(), &count);
    if (words == NULL)
        system_exit(failed(EXIT_UNAVAILABLE, "launcher.memory", "there is no memory left."));
    if (count > 2 && CompareStringOrdinal(words[1], -1, L"--service", -1, FALSE) == CSTR_EQUAL)
        service_begin(words[2]);
    int code = runtime_run(count, words);
    service_ended(code);
    system_exit(code);
}
