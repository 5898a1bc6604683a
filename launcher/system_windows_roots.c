/* The launcher on Windows: where sets of files may be, so that nobody but administrators, or this account for itself
 * alone, can put a library there. */
#include "system.h"

#include <string.h>
#include <windows.h>
#include <sddl.h>

#include "wide.h"

/* The computer's own names for places, from where no account's environment can change them. */
#define PROFILES L"SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList"
#define DRIVE_VARIABLE L"%SystemDrive%"
#define OWN_FOLDER L"\\stayon"
#define SETS_FOLDER L"\\runtime"

/* SYSTEM and Administrators: all; Users: read and run; nothing inherited from above. For the own account alone, that
 * account stands in the place of Users, with all rights. */
#define SHARED_RIGHTS L"D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)"
#define OWN_RIGHTS_BEGIN L"D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;"

#define WRITE_RIGHTS \
    (FILE_WRITE_DATA | FILE_APPEND_DATA | FILE_WRITE_EA | FILE_WRITE_ATTRIBUTES | FILE_DELETE_CHILD | DELETE | \
     WRITE_DAC | WRITE_OWNER | GENERIC_WRITE | GENERIC_ALL)

/* Room for any SID, aligned. */
typedef union {
    SID sid;
    BYTE bytes[SECURITY_MAX_SID_SIZE];
} AnySid;

typedef struct {
    AnySid user, system, administrators;
    bool is_elevated;
    bool is_owner; /* what it makes belongs to it, not to Administrators, as usual: by a policy, or on another system */
} Account;

static int ask_token(Account *account) {
    union {
        TOKEN_USER user;
        TOKEN_OWNER owner;
        BYTE bytes[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
    } answer;
    HANDLE token;
    DWORD size;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
        return (int)GetLastError();
    int error = 0;
    if (!GetTokenInformation(token, TokenUser, &answer, sizeof answer, &size) ||
        !CopySid(sizeof account->user, &account->user, answer.user.User.Sid))
        error = (int)GetLastError();
    else if (!GetTokenInformation(token, TokenOwner, &answer, sizeof answer, &size))
        error = (int)GetLastError();
    else
        account->is_owner = !EqualSid(answer.owner.Owner, (PSID)&account->administrators);
    (void)CloseHandle(token);
    return error;
}

static int ask_account(Account *account) {
    DWORD size = sizeof account->system;
    if (!CreateWellKnownSid(WinLocalSystemSid, NULL, &account->system, &size))
        return (int)GetLastError();
    size = sizeof account->administrators;
    if (!CreateWellKnownSid(WinBuiltinAdministratorsSid, NULL, &account->administrators, &size))
        return (int)GetLastError();
    BOOL is_member = FALSE;
    if (!CheckTokenMembership(NULL, &account->administrators, &is_member))
        return (int)GetLastError();
    account->is_elevated = is_member;
    return ask_token(account);
}

/* One root out of a folder's name. 0: it has no name that we can use. */
static int put_root(Root *root, wchar_t *folder, bool is_shared, bool may_make) {
    if (lstrlenW(folder) + 16 > PATH_ROOM)
        return 0;
    (void)lstrcatW(folder, OWN_FOLDER SETS_FOLDER);
    root->is_shared = is_shared;
    root->may_make = may_make;
    return narrow_path(folder, &root->path) == 0;
}

/* %ProgramData%, from the registry, where it may begin with the system's drive. */
static bool find_program_data(wchar_t *folder) {
    DWORD size = (PATH_ROOM - 32) * sizeof(wchar_t);
    LSTATUS status = RegGetValueW(HKEY_LOCAL_MACHINE, PROFILES, L"ProgramData",
                                  RRF_RT_REG_SZ | RRF_RT_REG_EXPAND_SZ | RRF_NOEXPAND, NULL, folder, &size);
    if (status != ERROR_SUCCESS)
        return false;
    const size_t length = sizeof DRIVE_VARIABLE / sizeof(wchar_t) - 1;
    bool has_drive = true;
    for (size_t at = 0; at < length && has_drive; at++)
        has_drive = (folder[at] | 0x20) == (DRIVE_VARIABLE[at] | 0x20);
    wchar_t windows[MAX_PATH];
    if (has_drive && GetSystemWindowsDirectoryW(windows, MAX_PATH) > 2) {
        memcpy(folder, windows, 2 * sizeof(wchar_t));
        memmove(folder + 2, folder + length, ((size_t)lstrlenW(folder + length) + 1) * sizeof(wchar_t));
    }
    return folder[0] != 0 && folder[1] == L':';
}

int system_roots(Root roots[ROOTS_MAX], const char **why) {
    static wchar_t folder[PATH_ROOM], given[PATH_ROOM];
    Account account;
    int count = 0;
    *why = "neither ProgramData nor LOCALAPPDATA is there";
    if (ask_account(&account) != 0) {
        *why = "the system does not tell which account this is";
        return 0;
    }
    DWORD length = GetEnvironmentVariableW(L"STAYON_RUNTIME", given, PATH_ROOM);
    if (length > 0) {
        *why = "STAYON_RUNTIME is not a path";
        DWORD size = length < PATH_ROOM ? GetFullPathNameW(given, PATH_ROOM, folder, NULL) : 0;
        roots[0].is_shared = account.is_elevated;
        roots[0].may_make = true;
        return size > 0 && size < PATH_ROOM && narrow_path(folder, &roots[0].path) == 0;
    }
    if (find_program_data(folder))
        count += put_root(&roots[count], folder, true, account.is_elevated);
    /* What is the own account's alone can be changed by what runs with fewer rights in its name. */
    length = account.is_elevated && count > 0 ? 0 : GetEnvironmentVariableW(L"LOCALAPPDATA", folder, PATH_ROOM);
    if (length > 2 && length < PATH_ROOM && folder[1] == L':')
        count += put_root(&roots[count], folder, false, true);
    return count;
}

static bool is_trusted(const Account *account, const Root *root, PSID sid) {
    /* The account of an administrator also runs with fewer rights: what it owns may come from there, so it counts only
     * where nothing else can be. */
    bool is_own = !root->is_shared || (account->is_elevated && account->is_owner);
    return EqualSid(sid, (PSID)&account->system) || EqualSid(sid, (PSID)&account->administrators) ||
           IsWellKnownSid(sid, WinCreatorOwnerRightsSid) || (is_own && EqualSid(sid, (PSID)&account->user));
}

/* Whether the list lets nobody write who isn't trusted. What is only for what comes below is looked at there. */
static bool is_closed(const Account *account, const Root *root, PACL list) {
    for (DWORD index = 0; list != NULL && index < list->AceCount; index++) {
        ACCESS_ALLOWED_ACE *entry;
        if (!GetAce(list, index, (void **)&entry))
            return false;
        if ((entry->Header.AceFlags & INHERIT_ONLY_ACE) || entry->Header.AceType == ACCESS_DENIED_ACE_TYPE)
            continue;
        if (entry->Header.AceType != ACCESS_ALLOWED_ACE_TYPE)
            return false;
        if ((entry->Mask & WRITE_RIGHTS) && !is_trusted(account, root, (PSID)&entry->SidStart))
            return false;
    }
    return list != NULL; /* none at all lets everybody do everything */
}

static int look_at(const Account *account, const Root *root, const wchar_t *folder, const char **why) {
    DWORD attributes = GetFileAttributesW(folder);
    if (attributes == INVALID_FILE_ATTRIBUTES)
        return (int)GetLastError();
    *why = attributes & FILE_ATTRIBUTE_REPARSE_POINT ? "it is a link" : "it is not a directory";
    if ((attributes & (FILE_ATTRIBUTE_REPARSE_POINT | FILE_ATTRIBUTE_DIRECTORY)) != FILE_ATTRIBUTE_DIRECTORY)
        return ERROR_DIRECTORY;
    union {
        SECURITY_DESCRIPTOR descriptor;
        BYTE bytes[4096];
    } security;
    DWORD size;
    *why = "its rights can't be read";
    if (!GetFileSecurityW(folder, OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION, &security, sizeof security,
                          &size))
        return (int)GetLastError();
    PSID owner = NULL;
    PACL list = NULL;
    BOOL is_there, is_default;
    if (!GetSecurityDescriptorOwner(&security, &owner, &is_default) || owner == NULL ||
        !GetSecurityDescriptorDacl(&security, &is_there, &list, &is_default))
        return ERROR_INVALID_SECURITY_DESCR;
    *why = "it belongs to another account";
    if (!is_trusted(account, root, owner))
        return ERROR_INVALID_OWNER;
    *why = "others may write to it";
    return is_closed(account, root, is_there ? list : NULL) ? 0 : ERROR_INVALID_OWNER;
}

/* Cuts the last name off. Whether there was one. */
static bool cut_name(wchar_t *folder) {
    int length = lstrlenW(folder);
    while (length > 0 && folder[length] != L'\\')
        length--;
    folder[length] = 0;
    return length > 2;
}

/* Whether the place is one of ours, NAME\stayon\runtime, not one that was given: then both folders count. */
static bool has_own_folder(const wchar_t *folder) {
    const wchar_t *end = folder + lstrlenW(folder), *ours = OWN_FOLDER SETS_FOLDER;
    return end - folder > lstrlenW(ours) &&
           CompareStringOrdinal(end - lstrlenW(ours), -1, ours, -1, TRUE) == CSTR_EQUAL;
}

int system_root_trusted(Root *root, char *why, size_t why_room) {
    Wide folder;
    Account account;
    const char *clause = "its rights can't be read";
    int error = wide_path(&root->path, &folder);
    if (error == 0)
        error = ask_account(&account);
    bool has_two = error == 0 && has_own_folder(folder.text);
    if (error == 0)
        error = look_at(&account, root, folder.text, &clause);
    if (error == 0 && has_two && cut_name(folder.text))
        error = look_at(&account, root, folder.text, &clause);
    size_t size = strlen(clause) < why_room - 1 ? strlen(clause) : why_room - 1;
    memcpy(why, clause, size);
    why[size] = 0;
    return error;
}

/* One folder with its rights from the beginning; those above it, which are not there, too. Is there already: fine. */
static int make(wchar_t *folder, SECURITY_ATTRIBUTES *rights) {
    if (CreateDirectoryW(folder, rights))
        return 0;
    int error = (int)GetLastError();
    if (error == ERROR_ALREADY_EXISTS)
        return 0;
    int length = lstrlenW(folder);
    if (error != ERROR_PATH_NOT_FOUND || !cut_name(folder))
        return error;
    int end = lstrlenW(folder);
    error = make(folder, rights);
    if (end < length)
        folder[end] = L'\\';
    if (error != 0)
        return error;
    return CreateDirectoryW(folder, rights) || GetLastError() == ERROR_ALREADY_EXISTS ? 0 : (int)GetLastError();
}

int system_root_make(const Root *root) {
    wchar_t text[sizeof OWN_RIGHTS_BEGIN / sizeof(wchar_t) + 192] = SHARED_RIGHTS;
    Wide folder;
    Account account;
    int error = wide_path(&root->path, &folder);
    if (error == 0)
        error = ask_account(&account);
    if (error != 0)
        return error;
    if (!root->is_shared) {
        wchar_t *user;
        if (!ConvertSidToStringSidW(&account.user, &user)) /* 184 units at most */
            return (int)GetLastError();
        (void)lstrcpyW(text, OWN_RIGHTS_BEGIN);
        (void)lstrcatW(text, user);
        (void)lstrcatW(text, L")");
        (void)LocalFree(user);
    }
    SECURITY_ATTRIBUTES rights = {.nLength = sizeof rights};
    void **descriptor = &rights.lpSecurityDescriptor;
    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(text, SDDL_REVISION_1, descriptor, NULL))
        return (int)GetLastError();
    error = make(folder.text, &rights);
    (void)LocalFree(rights.lpSecurityDescriptor);
    return error;
}
