#include "service.h"

#include <string.h>

#include "event_log.h"
#include "messages.h"
#include "system_windows.h"

/* The numbers of stayon/core/pulse.py: for the SCM, 30 s without a new checkpoint or 60 s without a larger hint is a
 * hang. */
#define PERIOD_MS 5000
#define FIRST_HINT_MS 15000
#define GROWTH_MS 1000
/* From the connection to the call; and the longest load that is waited for. */
#define CALL_TIMEOUT_MS 30000
#define LOAD_PERIODS 36

/* Its thread runs Python's handler, which is shallow; the default would be that of the main thread. */
#define THREAD_STACK_SIZE (256 * 1024)
#define QUEUE_LIMIT 32
#define ARGUMENTS_LIMIT 64

/* One service in a process. */
static struct {
    const wchar_t *name;
    SERVICE_STATUS_HANDLE handle;
    HANDLE called; /* the SCM has called, and the handler is registered; or it never will */
    HANDLE heard;  /* Python listens */
    DWORD error;   /* of the connection; told by called */
    const wchar_t *texts[ARGUMENTS_LIMIT];
    DWORD count;
    /* Guards what is below, and the order of what the SCM is told; nobody waits for anything while holding it. */
    SRWLOCK lock;
    SERVICE_STATUS told;
    DWORD periods; /* how often the SCM has been told that it starts, or stops, before Python said so */
    bool is_stopping, is_stopped;
    ServiceListener listener;
    struct {
        DWORD control, event_type;
    } queue[QUEUE_LIMIT];
    DWORD queued;
} service;

static DWORD tell(const SERVICE_STATUS *status) {
    service.told = *status;
    return SetServiceStatus(service.handle, &service.told) ? NO_ERROR : GetLastError();
}

/* With the lock: the next sign of life, in *state*. */
static void tell_pending(DWORD state) {
    if (service.told.dwCurrentState != state)
        service.periods = 0;
    SERVICE_STATUS status = {
        .dwServiceType = SERVICE_WIN32_OWN_PROCESS,
        .dwCurrentState = state,
        .dwControlsAccepted = state == SERVICE_START_PENDING ? SERVICE_ACCEPT_STOP : 0,
        .dwCheckPoint = service.periods + 1,
        .dwWaitHint = FIRST_HINT_MS + service.periods * GROWTH_MS,
    };
    service.periods++;
    (void)tell(&status);
}

/* Without a listener: a STOP is told at once, as whoever asked looks at the state next, and kept for Python. */
static DWORD keep(DWORD control, DWORD event_type, const void *data) {
    if (data != NULL || service.queued == QUEUE_LIMIT)
        return ERROR_CALL_NOT_IMPLEMENTED;
    service.queue[service.queued].control = control;
    service.queue[service.queued].event_type = event_type;
    service.queued++;
    bool ends = control == SERVICE_CONTROL_STOP || control == SERVICE_CONTROL_SHUTDOWN;
    if (ends && !service.is_stopped && !service.is_stopping) {
        service.is_stopping = true;
        tell_pending(SERVICE_STOP_PENDING);
    }
    return NO_ERROR;
}

/* How much data comes with an event
 * (https://learn.microsoft.com/windows/win32/api/winsvc/nc-winsvc-lphandler_function_ex). */
static DWORD size_of_data(DWORD control, DWORD event_type, const void *data) {
    if (data == NULL)
        return 0;
    switch (control) {
    case SERVICE_CONTROL_SESSIONCHANGE:
        return sizeof(WTSSESSION_NOTIFICATION);
    case SERVICE_CONTROL_TIMECHANGE:
        return 2 * sizeof(FILETIME) /* SERVICE_TIMECHANGE_INFO */;
    case SERVICE_CONTROL_DEVICEEVENT: { /* DEV_BROADCAST_HDR, which has its whole size first */
        DWORD size = *(const DWORD *)data;
        return size < 12 ? 12 : size;
    }
    case SERVICE_CONTROL_POWEREVENT: /* POWERBROADCAST_SETTING: GUID, size of what follows, that */
        return event_type == PBT_POWERSETTINGCHANGE ? 20 + ((const DWORD *)data)[4] : 0;
    default:
        return 0;
    }
}

static DWORD WINAPI handle_control(DWORD control, DWORD event_type, void *data, void *context) {
    (void)context;
    if (control == SERVICE_CONTROL_INTERROGATE)
        return NO_ERROR; /* it is told every state as it comes */
    AcquireSRWLockExclusive(&service.lock);
    ServiceListener listener = service.listener;
    DWORD answer = listener == NULL ? keep(control, event_type, data) : NO_ERROR;
    ReleaseSRWLockExclusive(&service.lock);
    if (listener == NULL)
        return answer;
    DWORD size = size_of_data(control, event_type, data);
    return listener(control, event_type, size > 0 ? data : NULL, size);
}

/* The system's array isn't there any more when ServiceMain returns, which it does as soon as Python listens. */
static void keep_arguments(DWORD count, wchar_t **arguments) {
    for (DWORD index = 0; index < count && index < ARGUMENTS_LIMIT; index++) {
        size_t size = ((size_t)lstrlenW(arguments[index]) + 1) * sizeof(wchar_t);
        wchar_t *copy = HeapAlloc(GetProcessHeap(), 0, size);
        if (copy == NULL)
            return;
        memcpy(copy, arguments[index], size);
        service.texts[index] = copy;
        service.count = index + 1;
    }
}

/* ServiceMain: a thread of the system's. It says that we are starting for as long as Python isn't there to say it. */
static void WINAPI be_called(DWORD count, wchar_t **arguments) {
    keep_arguments(count, arguments);
    AcquireSRWLockExclusive(&service.lock);
    service.handle = RegisterServiceCtrlHandlerExW(service.name, handle_control, NULL);
    if (service.handle == 0)
        service.error = GetLastError();
    else if (!service.is_stopped)
        tell_pending(SERVICE_START_PENDING);
    ReleaseSRWLockExclusive(&service.lock);
    (void)SetEvent(service.called);
    for (int period = 1; service.handle != 0; period++) {
        if (WaitForSingleObject(service.heard, PERIOD_MS) != WAIT_TIMEOUT)
            break;
        if (period == LOAD_PERIODS) {
            service_failed(EXIT_FAILED, "the program did not load within 3 minutes [launcher.late]");
            ExitProcess(EXIT_FAILED);
        }
        AcquireSRWLockExclusive(&service.lock);
        if (service.listener == NULL && !service.is_stopped)
            tell_pending(service.is_stopping ? SERVICE_STOP_PENDING : SERVICE_START_PENDING);
        ReleaseSRWLockExclusive(&service.lock);
    }
}

static DWORD WINAPI be_connected(void *unused) {
    (void)unused;
    /* The table's name may be written to, says its type; nobody does. */
    SERVICE_TABLE_ENTRYW table[] = {{(wchar_t *)service.name, be_called}, {NULL, NULL}};
    if (StartServiceCtrlDispatcherW(table))
        return 0; /* it is STOPPED; the process ends by whoever said so */
    DWORD error = GetLastError();
    if (error == ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
        windows_print("this is what the service manager runs; a person says: PROGRAM start: the SCM has not started "
                      "this process. Use the verb start, or run the program itself. [scm.not-started-by-it]");
        ExitProcess(EXIT_UNAVAILABLE);
    }
    service.error = error;
    (void)SetEvent(service.called);
    return 0;
}

void service_begin(const wchar_t *name) {
    service.name = name;
    service.called = CreateEventW(NULL, TRUE, FALSE, NULL);
    service.heard = CreateEventW(NULL, TRUE, FALSE, NULL);
    HANDLE thread = NULL;
    if (service.called != NULL && service.heard != NULL)
        thread = CreateThread(NULL, THREAD_STACK_SIZE, be_connected, NULL, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (thread == NULL) {
        event_log_error(name, "a thread can't be had [launcher.load]");
        ExitProcess(EXIT_FAILED);
    }
    (void)CloseHandle(thread);
}

bool service_is_one(void) {
    return service.name != NULL;
}

/* STOPPED, in a process that was no success. Whether Python has not said so already. */
static bool tell_stopped(int exit_code) {
    bool is_connected = WaitForSingleObject(service.called, CALL_TIMEOUT_MS) == WAIT_OBJECT_0 && service.handle != 0;
    AcquireSRWLockExclusive(&service.lock);
    bool is_first = !service.is_stopped;
    service.is_stopped = true;
    /* Recovery acts on any error, so who was asked to stop has none. */
    DWORD code = service.is_stopping ? 0 : (DWORD)exit_code;
    ReleaseSRWLockExclusive(&service.lock);
    SERVICE_STATUS status = {
        .dwServiceType = SERVICE_WIN32_OWN_PROCESS,
        .dwCurrentState = SERVICE_STOPPED,
        .dwWin32ExitCode = code != 0 ? ERROR_SERVICE_SPECIFIC_ERROR : NO_ERROR,
        .dwServiceSpecificExitCode = code,
    };
    /* Not under the lock: this may take until a handler, which may wait for the lock, has returned. */
    if (is_first && is_connected)
        (void)SetServiceStatus(service.handle, &status);
    return is_first;
}

void service_failed(int exit_code, const char *text) {
    if (service.name != NULL && tell_stopped(exit_code))
        event_log_error(service.name, text);
}

void service_ended(int exit_code) {
    service_failed(exit_code, "the program has ended before it was a service [launcher.ended]");
}

DWORD service_wait(DWORD timeout_ms, ServiceArguments *arguments) {
    if (service.name == NULL)
        return ERROR_FAILED_SERVICE_CONTROLLER_CONNECT;
    DWORD found = WaitForSingleObject(service.called, timeout_ms);
    if (found != WAIT_OBJECT_0)
        return found == WAIT_TIMEOUT ? WAIT_TIMEOUT : GetLastError();
    arguments->count = service.count;
    arguments->texts = service.texts;
    return service.error;
}

void service_listen(ServiceListener listener) {
    if (service.name == NULL)
        return;
    for (DWORD next = 0;; next++) {
        AcquireSRWLockExclusive(&service.lock);
        bool is_last = next == service.queued;
        DWORD control = is_last ? 0 : service.queue[next].control;
        DWORD event_type = is_last ? 0 : service.queue[next].event_type;
        if (is_last)
            service.listener = listener;
        ReleaseSRWLockExclusive(&service.lock);
        if (is_last)
            break;
        (void)listener(control, event_type, NULL, 0);
    }
    (void)SetEvent(service.heard);
}

DWORD service_tell(SERVICE_STATUS status) {
    if (service.handle == 0)
        return ERROR_INVALID_HANDLE;
    if (status.dwCurrentState == SERVICE_STOPPED) {
        AcquireSRWLockExclusive(&service.lock);
        service.is_stopped = true;
        ReleaseSRWLockExclusive(&service.lock);
        /* Not under the lock: this may take until a handler has returned. */
        return SetServiceStatus(service.handle, &status) ? NO_ERROR : GetLastError();
    }
    DWORD error = NO_ERROR;
    AcquireSRWLockExclusive(&service.lock);
    bool is_behind = service.is_stopping && status.dwCurrentState != SERVICE_STOP_PENDING;
    if (!service.is_stopped && !is_behind) {
        if (status.dwCurrentState != service.told.dwCurrentState)
            service.periods = 0;
        if (status.dwCheckPoint != 0) {
            status.dwCheckPoint += service.periods;
            status.dwWaitHint += service.periods * GROWTH_MS;
        }
        error = tell(&status);
    }
    ReleaseSRWLockExclusive(&service.lock);
    return error;
}

SERVICE_STATUS_HANDLE service_handle(void) {
    return service.handle;
}
