/* See ffi.h. */
#include "ffi.h"

#include <string.h>

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#include <errno.h>
#endif

enum { ARGUMENTS_MAX = 14, CALLBACK_ARGUMENTS = 5, SLOTS = 32, PROTOTYPE_ROOM = CALLBACK_ARGUMENTS + 3 };

/* ---- the system */

#ifdef _WIN32

/* "A full path is searched with its own directory, a name in System32": LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | _USER_DIRS |
 * _SYSTEM32 (https://learn.microsoft.com/windows/win32/api/libloaderapi/nf-libloaderapi-loadlibraryexw). */
enum { SEARCH_OF_PATH = 0x100 | 0x400 | 0x800, SEARCH_OF_NAME = 0x800 };

static uint32_t thread_error(void) { return GetLastError(); }

/* mingw's thread-local variables would need its run-time library. */
static DWORD error_place = TLS_OUT_OF_INDEXES;

static void keep_error(uint32_t error) {
    if (error_place == TLS_OUT_OF_INDEXES)
        error_place = TlsAlloc(); /* with the GIL: nobody else is here */
    if (error_place != TLS_OUT_OF_INDEXES)
        TlsSetValue(error_place, (void *)(uintptr_t)error);
}

static uint32_t kept_error(void) {
    return error_place == TLS_OUT_OF_INDEXES ? 0 : (uint32_t)(uintptr_t)TlsGetValue(error_place);
}

static void *load_library(PyObject *name) {
    wchar_t *text = python.PyUnicode_AsWideCharString(name, NULL);
    if (!text)
        return NULL;
    int has_path = 0;
    for (const wchar_t *at = text; *at; at++)
        has_path |= *at == L'\\' || *at == L'/';
    PyThreadState *thread = python.PyEval_SaveThread();
    void *handle = LoadLibraryExW(text, NULL, has_path ? SEARCH_OF_PATH : SEARCH_OF_NAME);
    uint32_t error = thread_error();
    python.PyEval_RestoreThread(thread);
    keep_error(handle ? 0 : error);
    python.PyMem_Free(text);
    return handle;
}

static intptr_t find_symbol(void *handle, const char *name) { return (intptr_t)GetProcAddress(handle, name); }

#else

static uint32_t thread_error(void) { return (uint32_t)errno; }

static _Thread_local uint32_t error_of_call;

static void keep_error(uint32_t error) { error_of_call = error; }

static uint32_t kept_error(void) { return error_of_call; }

static void *load_library(PyObject *name) {
    const char *text = NULL;
    if (name != python.None && !(text = python.PyUnicode_AsUTF8AndSize(name, NULL)))
        return NULL;
    void *handle = dlopen(text, RTLD_NOW);
    keep_error(handle ? 0 : ENOENT);
    return handle;
}

static intptr_t find_symbol(void *handle, const char *name) { return (intptr_t)dlsym(handle, name); }

#endif

/* ---- numbers */

/* As many bits of *value* as *letter* has. */
static intptr_t narrowed(char letter, uint64_t value) {
    switch (letter) {
    case 'B': return (uint8_t)value;
    case 'H': return (uint16_t)value;
    case 'I': return (uint32_t)value;
    case 'i': return (int32_t)(uint32_t)value;
    default: return (intptr_t)value;
    }
}

static int is_number(char letter) {
    return letter == 'B' || letter == 'H' || letter == 'I' || letter == 'i' || letter == 'P' || letter == 'Q';
}

/* Where *prototype* has its ">"; its end if it has none. */
static const char *results(const char *prototype) {
    while (*prototype && *prototype != '>')
        prototype++;
    return prototype;
}

/* A new reference, or NULL with an exception set. */
static PyObject *object_of(char letter, intptr_t value) {
    if (!letter || (letter == 'P' && !value))
        return python_none();
    value = narrowed(letter, (uint64_t)value);
    if (letter == 'i')
        return python.PyLong_FromLongLong(value);
    return python.PyLong_FromUnsignedLongLong((uint64_t)value);
}

/* 0, or -1 with an exception set. */
static int number_of(PyObject *object, char letter, intptr_t *value) {
    uint64_t found = python.PyLong_AsUnsignedLongLongMask(object);
    if (found == (uint64_t)-1 && python.PyErr_Occurred())
        return -1;
    *value = narrowed(letter, found);
    return 0;
}

/* ---- calls */

enum Kept { KEPT_NOTHING, KEPT_TEXT, KEPT_VIEW };

typedef struct {
    intptr_t values[ARGUMENTS_MAX];
    int count;
    enum Kept kinds[ARGUMENTS_MAX];
    wchar_t *texts[ARGUMENTS_MAX];
    Py_buffer views[ARGUMENTS_MAX];
} Arguments;

static void give_back(Arguments *arguments) {
    for (int at = 0; at < arguments->count; at++) {
        if (arguments->kinds[at] == KEPT_TEXT)
            python.PyMem_Free(arguments->texts[at]);
        else if (arguments->kinds[at] == KEPT_VIEW)
            python.PyBuffer_Release(&arguments->views[at]);
    }
}

/* The next one. 0, or -1 with an exception set. */
static int take(Arguments *to, char letter, PyObject *object) {
    int at = to->count;
    to->kinds[at] = KEPT_NOTHING;
    to->values[at] = 0;
    if (object == python.None && (letter == 'P' || letter == 'Z')) {
        /* a null pointer */
    } else if (letter == 'Z') {
        to->texts[at] = python.PyUnicode_AsWideCharString(object, NULL);
        if (!to->texts[at])
            return -1;
        to->kinds[at] = KEPT_TEXT;
        to->values[at] = (intptr_t)to->texts[at];
    } else if (letter == 'P' && python.PyObject_CheckBuffer(object)) {
        if (python.PyObject_GetBuffer(object, &to->views[at], PyBUF_SIMPLE) < 0)
            return -1;
        to->kinds[at] = KEPT_VIEW;
        to->values[at] = (intptr_t)to->views[at].buf;
    } else if (number_of(object, letter, &to->values[at]) < 0) {
        return -1;
    }
    to->count++;
    return 0;
}

/* In all calling conventions that we serve (x64: Microsoft's, System V's; arm64) the caller takes back what it has
 * passed: a function may be given more than it takes. */
typedef intptr_t (*Function)(intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t,
                             intptr_t, intptr_t, intptr_t, intptr_t, intptr_t);

static intptr_t invoke(intptr_t address, const intptr_t *v) {
    return ((Function)address)(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12], v[13]);
}

static intptr_t invoke_alone(intptr_t address, const intptr_t *values) {
    PyThreadState *thread = python.PyEval_SaveThread();
    intptr_t result = invoke(address, values);
    uint32_t error = thread_error();
    python.PyEval_RestoreThread(thread);
    keep_error(error);
    return result;
}

/* Takes *arguments* by the letters of *prototype*; gives where ">" is, or NULL with an exception set. */
static const char *take_all(Arguments *to, const char *prototype, PyObject *const *arguments, Py_ssize_t count) {
    Py_ssize_t at = 0;
    for (; *prototype && *prototype != '>'; prototype++, at++) {
        if (at >= count || at >= ARGUMENTS_MAX || (*prototype != 'Z' && !is_number(*prototype)))
            break;
        if (take(to, *prototype, arguments[at]) < 0)
            return NULL;
    }
    if (*prototype == '>' && at == count && (!prototype[1] || is_number(prototype[1])))
        return prototype;
    python.PyErr_Format(*python.PyExc_TypeError, "%zd arguments don't fit, from %s on", count, prototype);
    return NULL;
}

static PyObject *call(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    intptr_t address = 0;
    if (count < 2) {
        python.PyErr_SetString(*python.PyExc_TypeError, "call(address, prototype, *arguments)");
        return NULL;
    }
    const char *prototype = python.PyUnicode_AsUTF8AndSize(arguments[1], NULL);
    if (!prototype || number_of(arguments[0], 'P', &address) < 0)
        return NULL;
    if (!address) {
        python.PyErr_SetString(*python.PyExc_ValueError, "there is no function at 0");
        return NULL;
    }
    int keeps_gil = *prototype == '!';
    Arguments taken;
    taken.count = 0;
    memset(taken.values, 0, sizeof taken.values);
    const char *result = take_all(&taken, prototype + keeps_gil, arguments + 2, count - 2);
    PyObject *answer = NULL;
    if (result) {
        intptr_t value = keeps_gil ? invoke(address, taken.values) : invoke_alone(address, taken.values);
        answer = object_of(result[1], value);
    }
    give_back(&taken);
    return answer;
}

static PyObject *load(PyObject *module, PyObject *name) {
    (void)module;
    void *handle = load_library(name);
    if (!handle && python.PyErr_Occurred())
        return NULL;
    return python.PyLong_FromVoidPtr(handle);
}

static PyObject *symbol(PyObject *module, PyObject *arguments) {
    (void)module;
    unsigned long long handle;
    const char *name;
    if (!python.PyArg_ParseTuple(arguments, "Ks", &handle, &name))
        return NULL;
    intptr_t address = find_symbol((void *)(uintptr_t)handle, name);
    if (!address)
        return python.PyErr_Format(*python.PyExc_AttributeError, "there is no function %s", name);
    return python.PyLong_FromVoidPtr((void *)address);
}

static PyObject *last_error(PyObject *module, PyObject *nothing) {
    (void)module, (void)nothing;
    return python.PyLong_FromUnsignedLongLong(kept_error());
}

/* ---- callbacks */

typedef struct {
    PyObject *function;        /* NULL: it is free */
    char prototype[PROTOTYPE_ROOM];
} Slot;

static Slot slots[SLOTS]; /* touched with the GIL only */

static PyObject *values_for(const char *prototype, const intptr_t *given) {
    Py_ssize_t count = results(prototype) - prototype;
    PyObject *values = python.PyTuple_New(count);
    for (Py_ssize_t at = 0; values && at < count; at++) {
        PyObject *value = object_of(prototype[at], given[at]);
        if (!value || python.PyTuple_SetItem(values, at, value) < 0) { /* it takes the reference in any case */
            python.Py_DecRef(values);
            return NULL;
        }
    }
    return values;
}

/* What the Python function of *slot* gives; 0 if it raises, and that is printed. */
static intptr_t answer_of(const Slot *slot, const intptr_t *given) {
    PyObject *values = values_for(slot->prototype, given);
    PyObject *answer = values ? python.PyObject_CallObject(slot->function, values) : NULL;
    char letter = results(slot->prototype)[1];
    intptr_t result = 0;
    int is_told = answer && (!letter || answer == python.None || number_of(answer, letter, &result) == 0);
    if (!is_told)
        python.PyErr_WriteUnraisable(slot->function);
    if (answer)
        python.Py_DecRef(answer);
    if (values)
        python.Py_DecRef(values);
    return result;
}

static intptr_t called(int number, const intptr_t *given) {
    int state = python.PyGILState_Ensure();
    Slot slot = slots[number]; /* it may be released meanwhile */
    intptr_t result = 0;
    if (slot.function) {
        python.Py_IncRef(slot.function);
        result = answer_of(&slot, given);
        python.Py_DecRef(slot.function);
    }
    python.PyGILState_Release(state);
    return result;
}

/* Their numbers are octal. */
#define EACH_8(F, n) F(n##0) F(n##1) F(n##2) F(n##3) F(n##4) F(n##5) F(n##6) F(n##7)
#define EACH_SLOT(F) EACH_8(F, 0) EACH_8(F, 01) EACH_8(F, 02) EACH_8(F, 03)

#define THUNK(n) \
    static intptr_t thunk_##n(intptr_t a, intptr_t b, intptr_t c, intptr_t d, intptr_t e) \
    { \
        intptr_t given[CALLBACK_ARGUMENTS] = {a, b, c, d, e}; \
        return called(n, given); \
    }
EACH_SLOT(THUNK)

#define NAME(n) thunk_##n,
static intptr_t (*const thunks[SLOTS])(intptr_t, intptr_t, intptr_t, intptr_t, intptr_t) = {EACH_SLOT(NAME)};

static int is_prototype_of_callback(const char *prototype) {
    const char *end = results(prototype);
    if (!*end || end - prototype > CALLBACK_ARGUMENTS || (end[1] && (!is_number(end[1]) || end[2])))
        return 0;
    for (const char *at = prototype; at < end; at++)
        if (!is_number(*at))
            return 0;
    return 1;
}

static PyObject *callback(PyObject *module, PyObject *arguments) {
    (void)module;
    const char *prototype;
    PyObject *function;
    if (!python.PyArg_ParseTuple(arguments, "sO", &prototype, &function))
        return NULL;
    if (!is_prototype_of_callback(prototype) || !python.PyCallable_Check(function))
        return python.PyErr_Format(*python.PyExc_TypeError, "no callback is like that: %s", prototype);
    for (int at = 0; at < SLOTS; at++) {
        if (slots[at].function)
            continue;
        python.Py_IncRef(function);
        slots[at].function = function;
        memcpy(slots[at].prototype, prototype, strlen(prototype) + 1);
        return python.PyLong_FromVoidPtr((void *)(intptr_t)thunks[at]);
    }
    python.PyErr_SetString(*python.PyExc_RuntimeError, "too many callbacks");
    return NULL;
}

static PyObject *release(PyObject *module, PyObject *number) {
    (void)module;
    intptr_t address = 0;
    if (number_of(number, 'P', &address) < 0)
        return NULL;
    for (int at = 0; at < SLOTS; at++) {
        PyObject *function = slots[at].function;
        if ((intptr_t)thunks[at] == address && function) {
            slots[at].function = NULL;
            python.Py_DecRef(function);
        }
    }
    return python_none();
}

/* ---- memory */

static PyObject *peek(PyObject *module, PyObject *arguments) {
    (void)module;
    unsigned long long address;
    long long size;
    if (!python.PyArg_ParseTuple(arguments, "KL", &address, &size))
        return NULL;
    if (!address || size < 0) {
        python.PyErr_SetString(*python.PyExc_ValueError, "there is nothing");
        return NULL;
    }
    return python.PyBytes_FromStringAndSize((const char *)(uintptr_t)address, (Py_ssize_t)size);
}

static PyObject *address_of(PyObject *module, PyObject *buffer) {
    (void)module;
    Py_buffer view;
    if (python.PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *address = python.PyLong_FromVoidPtr(view.buf);
    python.PyBuffer_Release(&view);
    return address;
}

static PyObject *text(PyObject *module, PyObject *number) {
    (void)module;
    intptr_t address = 0;
    if (number_of(number, 'P', &address) < 0)
        return NULL;
    if (!address) {
        python.PyErr_SetString(*python.PyExc_ValueError, "there is nothing");
        return NULL;
    }
    const uint16_t *units = (const uint16_t *)address;
    Py_ssize_t length = 0;
    while (units[length])
        length++;
    int order = -1; /* little-endian, whatever it begins with */
    return python.PyUnicode_DecodeUTF16((const char *)units, 2 * length, "surrogatepass", &order);
}

#define FAST(function) (PyCFunction)(void (*)(void))function

const PyMethodDef FFI_METHODS[] = {
    {"load", load, METH_O, NULL},
    {"symbol", symbol, METH_VARARGS, NULL},
    {"call", FAST(call), METH_FASTCALL, NULL},
    {"last_error", last_error, METH_NOARGS, NULL},
    {"callback", callback, METH_VARARGS, NULL},
    {"release", release, METH_O, NULL},
    {"peek", peek, METH_VARARGS, NULL},
    {"address", address_of, METH_O, NULL},
    {"text", text, METH_O, NULL},
    {0},
};
