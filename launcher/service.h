/* The Service Control Manager's end of a process that it has started: answered from the first moment on, before there
 * is a Python; then Python hears it, and speaks for itself. (service.c; Python's half of it is service_module.c.)
 *
 * https://learn.microsoft.com/windows/win32/services/service-program-tasks
 */
#ifndef STAYON_SERVICE_H
#define STAYON_SERVICE_H

#include <stdbool.h>
#include <windows.h>

/* What Python may be told of: a control, its event's type, and the event's data as it is in the system's memory, which
 * is not there any more when this returns. Gives NO_ERROR or ERROR_CALL_NOT_IMPLEMENTED. Called on the SCM's thread. */
typedef DWORD (*ServiceListener)(DWORD control, DWORD event_type, const void *data, DWORD data_size);

typedef struct {
    DWORD count;
    const wchar_t *const *texts; /* kept for good; the first is the service's name */
} ServiceArguments;

/* Connect to the SCM, on a thread of its own; at once. *name* is kept, not copied. If the SCM has not started this
 * process, it soon ends, with a line that says so. */
void service_begin(const wchar_t *name);

/* Whether service_begin has been called. */
bool service_is_one(void);

/* The process ends before Python is there, with *exit_code* and for the reason *text* (UTF-8): the SCM and the Event
 * Log are told. Blocks until the SCM has called, at most CALL_TIMEOUT_MS. Does nothing if this is no service. */
void service_failed(int exit_code, const char *text);

/* The process ends with *exit_code*: the SCM is told, and the Event Log too, unless Python has told the SCM already. */
void service_ended(int exit_code);

/* What StartService was given. Blocks until the SCM has called; gives 0, or why it has not: WAIT_TIMEOUT, or the error
 * of the connection. */
DWORD service_wait(DWORD timeout_ms, ServiceArguments *arguments);

/* From now on *listener* hears the controls; those that came before this returns, in order. And nobody but it says any
 * more that the service is starting. Once. */
void service_listen(ServiceListener listener);

/* SetServiceStatus; gives 0 or the error. While it is starting, both numbers count from what the SCM has been told
 * already; and what has been told to be stopping doesn't start any more. */
DWORD service_tell(SERVICE_STATUS status);

/* The status handle; 0 until the SCM has called. */
SERVICE_STATUS_HANDLE service_handle(void);

#endif
