/* `_stayon`'s part for services: service.h, for Python. stayon/platforms/windows/launcher_process.py uses it. */
#include "service.h"
#include "service_module.h"

static PyObject *python_listener; /* for good */

static DWORD failed_call(void) {
    python.PyErr_WriteUnraisable(python_listener);
    return ERROR_CALL_NOT_IMPLEMENTED;
}

/* The data isn't there any more when the handler returns: Python has a copy. */
static DWORD call_python(DWORD control, DWORD event_type, const void *data, DWORD size) {
    PyObject *copy = python.PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
    if (copy == NULL)
        return failed_call();
    PyObject *answer = python.PyObject_CallFunction(python_listener, "kkO", control, event_type, copy);
    python.Py_DecRef(copy);
    if (answer == NULL)
        return failed_call();
    long number = python.PyLong_AsLong(answer);
    python.Py_DecRef(answer);
    return number == -1 && python.PyErr_Occurred() != NULL ? failed_call() : (DWORD)number;
}

/* On the SCM's thread, or on that of service_handler. */
static DWORD hear(DWORD control, DWORD event_type, const void *data, DWORD size) {
    int state = python.PyGILState_Ensure();
    DWORD answer = call_python(control, event_type, data, size);
    python.PyGILState_Release(state);
    return answer;
}

/* service_handler(function): *function(control, event_type, data)* gives 0 or 120. */
static PyObject *set_handler(PyObject *module, PyObject *function) {
    (void)module;
    if (python_listener != NULL || !python.PyCallable_Check(function)) {
        python.PyErr_SetString(*python.PyExc_ValueError, "one function, once");
        return NULL;
    }
    python.Py_IncRef(function);
    python_listener = function;
    service_listen(hear);
    return python_none();
}

static PyObject *texts_of(const ServiceArguments *arguments) {
    PyObject *tuple = python.PyTuple_New((Py_ssize_t)arguments->count);
    for (DWORD index = 0; tuple != NULL && index < arguments->count; index++) {
        PyObject *text = python.PyUnicode_FromWideChar(arguments->texts[index], -1);
        if (text == NULL || python.PyTuple_SetItem(tuple, (Py_ssize_t)index, text) != 0) {
            python.Py_DecRef(tuple);
            return NULL;
        }
    }
    return tuple;
}

/* service_wait(timeout_s): what StartService was given, the service's name first; or the number of an error. */
static PyObject *wait_for_call(PyObject *module, PyObject *parameters) {
    (void)module;
    double timeout_s;
    if (!python.PyArg_ParseTuple(parameters, "d", &timeout_s))
        return NULL;
    if (!(timeout_s >= 0 && timeout_s <= 3600)) {
        python.PyErr_SetString(*python.PyExc_ValueError, "0 to 3600 s");
        return NULL;
    }
    ServiceArguments arguments;
    PyThreadState *thread = python.PyEval_SaveThread();
    DWORD error = service_wait((DWORD)(timeout_s * 1000), &arguments);
    python.PyEval_RestoreThread(thread);
    return error == NO_ERROR ? texts_of(&arguments) : python.PyLong_FromUnsignedLongLong(error);
}

/* service_status(state, accepted, exit_code, specific, checkpoint, hint_ms): 0 or the number of an error. Of STOPPED,
 * it returns when no handler is at work any more. */
static PyObject *tell_status(PyObject *module, PyObject *parameters) {
    (void)module;
    SERVICE_STATUS status = {.dwServiceType = SERVICE_WIN32_OWN_PROCESS};
    if (!python.PyArg_ParseTuple(parameters, "kkkkkk", &status.dwCurrentState, &status.dwControlsAccepted,
                                 &status.dwWin32ExitCode, &status.dwServiceSpecificExitCode, &status.dwCheckPoint,
                                 &status.dwWaitHint))
        return NULL;
    PyThreadState *thread = python.PyEval_SaveThread();
    DWORD error = service_tell(status);
    python.PyEval_RestoreThread(thread);
    return python.PyLong_FromUnsignedLongLong(error);
}

/* service_handle(): SERVICE_STATUS_HANDLE as a number, 0 before the SCM has called. */
static PyObject *give_handle(PyObject *module, PyObject *nothing) {
    (void)module;
    (void)nothing;
    return python.PyLong_FromVoidPtr((void *)service_handle());
}

const PyMethodDef SERVICE_METHODS[] = {
    {"service_wait", wait_for_call, METH_VARARGS, NULL},
    {"service_handler", set_handler, METH_O, NULL},
    {"service_status", tell_status, METH_VARARGS, NULL},
    {"service_handle", give_handle, METH_NOARGS, NULL},
    {0},
};
