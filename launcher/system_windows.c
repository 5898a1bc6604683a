/* The launcher on Windows: where the payload is, libraries, errors. (Files: system_windows_files.c; the places of sets:
 * system_windows_roots.c.) Nothing of a C runtime is there, only the system's own functions. */
#include "system.h"

#include <string.h>
#include <windows.h>
#include <psapi.h>

#include "event_log.h"
#include "payload.h"
#include "service.h"
#include "system_windows.h"
#include "wide.h"

#define SECTION ".stayon"
#define PAIR_EXTENSION L".pkg"

bool windows_is_mute;

/* This program's file, open; whoever updates it may rename it meanwhile. */
static int open_file(const wchar_t *name, Handle *file) {
    HANDLE opened = CreateFileW(name, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL, OPEN_EXISTING, 0, NULL);
    *file = (Handle)opened;
    return opened == INVALID_HANDLE_VALUE ? (int)GetLastError() : 0;
}

/* Our own section, as the system's loader has mapped it: from the file, page by page as it is read.
 * https://learn.microsoft.com/windows/win32/debug/pe-format */
static void find_section(Place *place) {
    const uint8_t *base = (const uint8_t *)GetModuleHandleW(NULL);
    const IMAGE_NT_HEADERS *headers = (const IMAGE_NT_HEADERS *)(base + ((const IMAGE_DOS_HEADER *)base)->e_lfanew);
    const IMAGE_SECTION_HEADER *section = IMAGE_FIRST_SECTION(headers);
    for (unsigned count = headers->FileHeader.NumberOfSections; count > 0; count--, section++) {
        if (memcmp(section->Name, SECTION, IMAGE_SIZEOF_SHORT_NAME) != 0)
            continue;
        DWORD size = section->Misc.VirtualSize;
        place->bytes = base + section->VirtualAddress;
        place->offset = section->PointerToRawData;
        place->room = size < section->SizeOfRawData ? size : section->SizeOfRawData;
        return;
    }
}

/* NAME.pkg for NAME.exe. Not there: fine. */
static int find_pair(Wide *name, Place *place) {
    wchar_t *end = name->text + lstrlenW(name->text), *dot = end;
    while (dot > name->text && dot[-1] != L'\\' && *dot != L'.')
        dot--;
    if (*dot != L'.')
        dot = end;
    if (dot - name->text + 5 > WIDE_ROOM)
        return ERROR_FILENAME_EXCED_RANGE;
    memcpy(dot, PAIR_EXTENSION, sizeof PAIR_EXTENSION);
    int error = open_file(name->text, &place->file);
    if (error == ERROR_FILE_NOT_FOUND)
        return 0;
    if (error != 0)
        return error;
    error = narrow_path(name->text, &place->path);
    if (error != 0)
        return error;
    LARGE_INTEGER size;
    if (!GetFileSizeEx((HANDLE)place->file, &size))
        return (int)GetLastError();
    HANDLE mapping = CreateFileMappingW((HANDLE)place->file, NULL, PAGE_READONLY, 0, 0, NULL);
    if (mapping == NULL)
        return (int)GetLastError();
    place->bytes = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
    error = place->bytes == NULL ? (int)GetLastError() : 0;
    (void)CloseHandle(mapping); /* the view keeps it */
    place->offset = 0;
    place->room = (uint64_t)size.QuadPart;
    return error;
}

int system_find_payload(Place *place) {
    static Wide name;
    memset(place, 0, sizeof *place);
    DWORD length = GetModuleFileNameW(NULL, name.text, PATH_ROOM);
    if (length == 0 || length == PATH_ROOM)
        return length == 0 ? (int)GetLastError() : ERROR_FILENAME_EXCED_RANGE;
    int error = open_file(name.text, &place->file);
    if (error != 0)
        return error;
    /* Links followed, where the system can tell; else as it was started. */
    static Wide followed;
    DWORD size = GetFinalPathNameByHandleW((HANDLE)place->file, followed.text, PATH_ROOM, VOLUME_NAME_DOS);
    if (size > 0 && size < PATH_ROOM)
        name = followed;
    error = narrow_path(name.text, &place->executable);
    if (error != 0)
        return error;
    place->path = place->executable;
    find_section(place);
    if (place->bytes != NULL)
        return 0;
    (void)CloseHandle((HANDLE)place->file);
    place->file = NO_HANDLE;
    return find_pair(&name, place);
}

int system_read(Handle file, uint64_t offset, void *buffer, size_t size) {
    for (uint8_t *to = buffer; size > 0;) {
        OVERLAPPED where = {.Offset = (DWORD)offset, .OffsetHigh = (DWORD)(offset >> 32)};
        DWORD part = size < 1 << 20 ? (DWORD)size : 1 << 20, count = 0;
        if (!ReadFile((HANDLE)file, to, part, &count, &where))
            return (int)GetLastError();
        if (count == 0)
            return ERROR_HANDLE_EOF;
        to += count;
        offset += count;
        size -= count;
    }
    return 0;
}

/* Unlocking pages that aren't locked takes them out of the working set
 * (https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-virtualunlock). */
void system_forget(const void *bytes, size_t size) {
    (void)VirtualUnlock((void *)bytes, size);
}

#define PAGES_AT_A_TIME 64

/* The pages from *begin* on that are in memory, and there as they are in their file: other processes have the same. Page
 * by page, since what the loader has written to, or a system has read instead of mapping it, is nowhere else. */
static void give_back_some(const uint8_t *begin, size_t count) {
    PSAPI_WORKING_SET_EX_INFORMATION pages[PAGES_AT_A_TIME];
    for (size_t i = 0; i < count; i++)
        pages[i].VirtualAddress = (void *)(begin + i * PAYLOAD_PAGE);
    if (!K32QueryWorkingSetEx(GetCurrentProcess(), pages, (DWORD)(count * sizeof *pages)))
        return;
    for (size_t i = 0; i < count; i++)
        if (pages[i].VirtualAttributes.Valid && pages[i].VirtualAttributes.Shared)
            (void)VirtualAlloc(pages[i].VirtualAddress, PAYLOAD_PAGE, MEM_RESET, PAGE_READONLY);
}

/* All that is mapped and constant: the payload, and what libraries have. */
static void give_back_files(void) {
    MEMORY_BASIC_INFORMATION part;
    for (const uint8_t *at = NULL; VirtualQuery(at, &part, sizeof part) != 0; at += part.RegionSize) {
        at = part.BaseAddress;
        if (part.State != MEM_COMMIT || (part.Type != MEM_IMAGE && part.Type != MEM_MAPPED) ||
            (part.Protect != PAGE_READONLY && part.Protect != PAGE_EXECUTE_READ))
            continue;
        size_t count = part.RegionSize / PAYLOAD_PAGE;
        for (size_t done = 0; done < count; done += PAGES_AT_A_TIME)
            give_back_some(at + done * PAYLOAD_PAGE, count - done < PAGES_AT_A_TIME ? count - done : PAGES_AT_A_TIME);
    }
}

/* Whether a page is in memory. */
static bool is_there(const void *page) {
    PSAPI_WORKING_SET_EX_INFORMATION asked = {.VirtualAddress = (void *)page};
    return K32QueryWorkingSetEx(GetCurrentProcess(), &asked, sizeof asked) && asked.VirtualAttributes.Valid;
}

/* Takes all pages out of the working set: those that are used come back
 * (https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-setprocessworkingsetsize). Where a page that
 * nobody uses is still there afterwards, the system has no working sets (Wine): those of files are given back then. */
void system_settle(const void *payload_bytes, size_t size, const Path *directory) {
    (void)size, (void)directory;
    (void)SetProcessWorkingSetSize(GetCurrentProcess(), (SIZE_T)-1, (SIZE_T)-1);
    if (is_there(payload_bytes))
        give_back_files();
}

void *system_pages(size_t size) {
    return VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

void system_pages_free(void *memory, size_t size) {
    (void)size;
    (void)VirtualFree(memory, 0, MEM_RELEASE);
}

/* What it needs is looked for beside it and in the system's directory, and nowhere else. */
void *system_load(const Path *path, char *why, size_t why_room) {
    Wide wide;
    int error = wide_path(path, &wide);
    HMODULE library = NULL;
    if (error == 0) {
        /* No window that waits for a click where a library lacks something. */
        DWORD mode = 0;
        (void)SetThreadErrorMode(SEM_FAILCRITICALERRORS, &mode);
        library = LoadLibraryExW(wide.text, NULL, LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_SYSTEM32);
        error = (int)GetLastError();
        (void)SetThreadErrorMode(mode, NULL);
    }
    if (library == NULL)
        system_error_text(error, why, why_room);
    return library;
}

void *system_symbol(void *library, const char *name) {
    return (void *)GetProcAddress(library, name);
}

unsigned long system_process_id(void) {
    return GetCurrentProcessId();
}

void system_error_text(int error, char *text, size_t room) {
    wchar_t wide[512];
    DWORD size = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, (DWORD)error, 0, wide,
                                512, NULL);
    while (size > 0 && (wide[size - 1] <= L' ' || wide[size - 1] == L'.'))
        size--;
    if (size == 0) {
        wchar_t *to = wide + 16;
        *to = 0;
        unsigned rest = (unsigned)error;
        do
            *--to = (wchar_t)(L'0' + rest % 10);
        while ((rest /= 10) != 0);
        memcpy(to - 6, L"error ", 6 * sizeof(wchar_t));
        narrow_text(to - 6, text, room);
        return;
    }
    wide[size] = 0;
    for (DWORD at = 0; at < size; at++)
        if (wide[at] < L' ')
            wide[at] = L' ';
    narrow_text(wide, text, room);
}

bool system_error_is_refusal(int error) {
    return error == ERROR_ACCESS_DENIED || error == ERROR_PRIVILEGE_NOT_HELD || error == ERROR_WRITE_PROTECT ||
           error == ERROR_INVALID_OWNER;
}

/* Onto standard error: in UTF-16 if it is a console, whose code page may be any. */
static void print(const char *line) {
    HANDLE to = GetStdHandle(STD_ERROR_HANDLE);
    DWORD mode, count;
    size_t size = strlen(line);
    if (GetConsoleMode(to, &mode)) {
        for (size_t begin = 0, part; begin < size; begin += part) {
            wchar_t wide[512];
            part = size - begin < 512 ? size - begin : 512;
            while (part > 1 && begin + part < size && ((uint8_t)line[begin + part] & 0xc0) == 0x80)
                part--; /* not within a character */
            int length = MultiByteToWideChar(CP_UTF8, 0, line + begin, (int)part, wide, 512);
            (void)WriteConsoleW(to, wide, (DWORD)length, &count, NULL);
        }
        (void)WriteConsoleW(to, L"\r\n", 2, &count, NULL);
    } else {
        (void)WriteFile(to, line, (DWORD)size, &count, NULL);
        (void)WriteFile(to, "\r\n", 2, &count, NULL);
    }
}

void windows_print(const char *line) {
    if (windows_is_mute)
        event_log_error(L"stayon", line);
    else
        print(line);
}

void system_say(const char *line, int exit) {
    if (service_is_one())
        service_failed(exit, line);
    else
        windows_print(line);
}

void system_exit(int code) {
    ExitProcess((UINT)code);
}
