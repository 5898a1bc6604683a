/* The launcher on Windows: directories, files and locks. */
#include "system.h"

#include <string.h>
#include <windows.h>

#include "wide.h"

#define LOOK_MS 10
/* Whoever looks at new files (an antivirus, an index) keeps them open for a moment. */
#define RENAME_PATIENCE_MS 5000
#define DEPTH_MAX 32

int system_directory_make(const Path *path, bool is_shared) {
    (void)is_shared; /* its rights are those of the root, inherited */
    Wide wide;
    int error = wide_path(path, &wide);
    if (error != 0)
        return error;
    error = CreateDirectoryW(wide.text, NULL) ? 0 : (int)GetLastError();
    return error == ERROR_ALREADY_EXISTS ? 0 : error;
}

int system_directory_sync(const Path *path) {
    (void)path;
    return 0; /* the file system keeps a journal of names */
}

int system_rename(const Path *from, const Path *to) {
    Wide wide_from, wide_to;
    int error = wide_path(from, &wide_from);
    if (error == 0)
        error = wide_path(to, &wide_to);
    if (error != 0)
        return error;
    for (int waited_ms = 0;; waited_ms += LOOK_MS) {
        if (MoveFileExW(wide_from.text, wide_to.text, MOVEFILE_WRITE_THROUGH))
            return 0;
        error = (int)GetLastError();
        bool may_pass = error == ERROR_ACCESS_DENIED || error == ERROR_SHARING_VIOLATION;
        bool is_there = GetFileAttributesW(wide_to.text) != INVALID_FILE_ATTRIBUTES;
        if (!may_pass || is_there || waited_ms >= RENAME_PATIENCE_MS)
            return is_there ? ERROR_ALREADY_EXISTS : error;
        Sleep(LOOK_MS);
    }
}

/* Puts "\name" behind *path*'s *length* units. The new length; 0: there is no room. */
static int put_name(wchar_t *path, int length, const wchar_t *name) {
    int added = lstrlenW(name);
    if (length + added + 2 > WIDE_ROOM)
        return 0;
    path[length] = L'\\';
    memcpy(path + length + 1, name, ((size_t)added + 1) * sizeof(wchar_t));
    return length + 1 + added;
}

static bool is_dots(const wchar_t *name) {
    return name[0] == L'.' && (name[1] == 0 || (name[1] == L'.' && name[2] == 0));
}

static int remove_one(const wchar_t *path, DWORD attributes) {
    if (attributes & FILE_ATTRIBUTE_READONLY)
        (void)SetFileAttributesW(path, attributes & ~(DWORD)FILE_ATTRIBUTE_READONLY);
    /* A link is removed as what it looks like; what it leads to stays. */
    BOOL is_done = attributes & FILE_ATTRIBUTE_DIRECTORY ? RemoveDirectoryW(path) : DeleteFileW(path);
    return is_done ? 0 : (int)GetLastError();
}

/* What is in the directory *path*, of *length* units; the buffer is as it was afterwards. The first error, if any. */
static int empty(wchar_t *path, int length, int depth) {
    WIN32_FIND_DATAW found;
    if (depth == 0 || put_name(path, length, L"*") == 0)
        return ERROR_FILENAME_EXCED_RANGE;
    HANDLE search = FindFirstFileW(path, &found);
    path[length] = 0;
    if (search == INVALID_HANDLE_VALUE)
        return (int)GetLastError();
    int first = 0;
    do {
        if (is_dots(found.cFileName))
            continue;
        int error = 0, end = put_name(path, length, found.cFileName);
        bool is_link = (found.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0;
        if (end == 0)
            error = ERROR_FILENAME_EXCED_RANGE;
        else if ((found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) && !is_link)
            error = empty(path, end, depth - 1);
        if (error == 0)
            error = remove_one(path, found.dwFileAttributes);
        path[length] = 0;
        first = first != 0 ? first : error;
    } while (FindNextFileW(search, &found));
    (void)FindClose(search);
    return first;
}

int system_remove_tree(const Path *path) {
    Wide wide;
    int error = wide_path(path, &wide);
    if (error != 0)
        return error;
    DWORD attributes = GetFileAttributesW(wide.text);
    if (attributes == INVALID_FILE_ATTRIBUTES) {
        error = (int)GetLastError();
        return error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND ? 0 : error;
    }
    if ((attributes & FILE_ATTRIBUTE_DIRECTORY) && !(attributes & FILE_ATTRIBUTE_REPARSE_POINT))
        error = empty(wide.text, lstrlenW(wide.text), DEPTH_MAX);
    return error != 0 ? error : remove_one(wide.text, attributes);
}

int system_list(const Path *path, int (*each)(const char *name, void *context), void *context) {
    Wide wide;
    int error = wide_path(path, &wide);
    if (error != 0)
        return error;
    WIN32_FIND_DATAW found;
    if (put_name(wide.text, lstrlenW(wide.text), L"*") == 0)
        return ERROR_FILENAME_EXCED_RANGE;
    HANDLE search = FindFirstFileW(wide.text, &found);
    if (search == INVALID_HANDLE_VALUE)
        return (int)GetLastError();
    int is_over = 0;
    do {
        char name[3 * MAX_PATH + 1];
        narrow_text(found.cFileName, name, sizeof name);
        if (!is_dots(found.cFileName))
            is_over = each(name, context);
    } while (is_over == 0 && FindNextFileW(search, &found));
    (void)FindClose(search);
    return 0;
}

int system_file_size(const Path *path, uint64_t *size) {
    Wide wide;
    int error = wide_path(path, &wide);
    if (error != 0)
        return error;
    WIN32_FILE_ATTRIBUTE_DATA about;
    if (!GetFileAttributesExW(wide.text, GetFileExInfoStandard, &about))
        return (int)GetLastError();
    if (about.dwFileAttributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT))
        return ERROR_BAD_FILE_TYPE;
    *size = (uint64_t)about.nFileSizeHigh << 32 | about.nFileSizeLow;
    return 0;
}

static int write_all(HANDLE file, const uint8_t *bytes, size_t size) {
    while (size > 0) {
        DWORD part = size < 1 << 20 ? (DWORD)size : 1 << 20, count = 0;
        if (!WriteFile(file, bytes, part, &count, NULL))
            return (int)GetLastError();
        bytes += count;
        size -= count;
    }
    return FlushFileBuffers(file) ? 0 : (int)GetLastError();
}

int system_file_write(const Path *path, const void *bytes, size_t size, bool is_executable, bool is_shared) {
    (void)is_executable; /* that isn't asked here */
    (void)is_shared;     /* its rights are those of the root, inherited */
    Wide wide;
    int error = wide_path(path, &wide);
    if (error != 0)
        return error;
    HANDLE file = CreateFileW(wide.text, GENERIC_WRITE, 0, NULL, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return (int)GetLastError();
    error = write_all(file, bytes, size);
    if (!CloseHandle(file) && error == 0)
        error = (int)GetLastError();
    return error;
}

int system_lock(const Path *path, int wait_s, Handle *lock) {
    Wide wide;
    int error = wide_path(path, &wide);
    if (error != 0)
        return error;
    HANDLE file = CreateFileW(wide.text, GENERIC_READ | GENERIC_WRITE,
                              FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_ALWAYS,
                              FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return (int)GetLastError();
    for (int waited_ms = 0;; waited_ms += LOOK_MS) {
        OVERLAPPED all = {0};
        if (LockFileEx(file, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &all)) {
            *lock = (Handle)file;
            return 0;
        }
        error = (int)GetLastError();
        if (error != ERROR_LOCK_VIOLATION && error != ERROR_IO_PENDING)
            break;
        error = LOCK_TIMED_OUT;
        if (waited_ms / 1000 >= wait_s)
            break;
        Sleep(LOOK_MS);
    }
    (void)CloseHandle(file);
    return error;
}

void system_unlock(Handle lock) {
    (void)CloseHandle((HANDLE)lock); /* and with it the lock */
}

/* Open without FILE_SHARE_DELETE, neither it nor the directory can be renamed or removed. */
int system_hold(const Path *directory, const Path *witness, Handle *held) {
    (void)directory; /* nobody but who may write to the root can have made it */
    Wide wide;
    int error = wide_path(witness, &wide);
    if (error != 0)
        return error;
    HANDLE file = CreateFileW(wide.text, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
    *held = (Handle)file;
    return file == INVALID_HANDLE_VALUE ? (int)GetLastError() : 0;
}

void system_release(Handle held) {
    (void)CloseHandle((HANDLE)held);
}
