/* What the launcher needs of CPython, without its headers: the same launcher starts 3.11, 3.12 and 3.13.
 *
 * The functions are looked up by their names in the library that was loaded, all of them before any is called. Those
 * below are the same in all versions that we serve; what differs (where members of structures are) comes with the
 * payload, see enum Abi. Use: python.PyLong_FromLong(1). To have one more: add its line to PYTHON_FUNCTIONS.
 * PyArg_ParseTuple and Py_BuildValue are used without "#" here: its meaning depends on a macro of Python's headers.
 */
#ifndef STAYON_PYTHON_H
#define STAYON_PYTHON_H

#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

typedef struct PythonObject PyObject;
typedef struct PythonThread PyThreadState;
typedef intptr_t Py_ssize_t;
typedef PyObject *(*PyCFunction)(PyObject *self, PyObject *arguments);

typedef struct {
    const char *ml_name;
    PyCFunction ml_meth;
    int ml_flags;
    const char *ml_doc;
} PyMethodDef;

enum { METH_VARARGS = 1, METH_NOARGS = 4, METH_O = 8, METH_FASTCALL = 128 };

typedef struct {           /* stable since 3.11: https://docs.python.org/3/c-api/stable.html */
    void *buf;
    PyObject *obj;
    Py_ssize_t len, itemsize;
    int readonly, ndim;
    char *format;
    Py_ssize_t *shape, *strides, *suboffsets;
    void *internal;
} Py_buffer;

enum { PyBUF_SIMPLE = 0, PyBUF_WRITABLE = 1 };

typedef struct {
    int type;              /* PYTHON_STATUS_… */
    const char *function, *message;
    int exit;
} PyStatus;

enum { PYTHON_STATUS_OK, PYTHON_STATUS_ERROR, PYTHON_STATUS_EXIT };

typedef struct {
    Py_ssize_t length;
    wchar_t **items;
} PyWideStringList;

/* What a system calls a character of argv. */
#ifdef _WIN32
typedef wchar_t Character;
#define PYTHON_SET_ARGV PyConfig_SetArgv
#else
typedef char Character;
#define PYTHON_SET_ARGV PyConfig_SetBytesArgv
#endif

#define PYTHON_FUNCTIONS(F) \
    F(void, PyPreConfig_InitIsolatedConfig, (void *preconfig)) \
    F(PyStatus, Py_PreInitialize, (const void *preconfig)) \
    F(void, PyConfig_InitIsolatedConfig, (void *config)) \
    F(PyStatus, PyConfig_SetBytesString, (void *config, wchar_t **member, const char *text)) \
    F(PyStatus, PYTHON_SET_ARGV, (void *config, Py_ssize_t count, Character *const *argv)) \
    F(void, PyConfig_Clear, (void *config)) \
    F(PyStatus, Py_InitializeFromConfig, (const void *config)) \
    F(PyThreadState *, PyEval_SaveThread, (void)) \
    F(void, PyEval_RestoreThread, (PyThreadState *state)) \
    F(int, PyGILState_Ensure, (void)) \
    F(void, PyGILState_Release, (int state)) \
    F(void, Py_IncRef, (PyObject *object)) \
    F(void, Py_DecRef, (PyObject *object)) \
    F(void, PyErr_SetString, (PyObject *type, const char *text)) \
    F(PyObject *, PyErr_Format, (PyObject *type, const char *format, ...)) \
    F(PyObject *, PyErr_NoMemory, (void)) \
    F(PyObject *, PyErr_Occurred, (void)) \
    F(void, PyErr_Clear, (void)) \
    F(void, PyErr_Print, (void)) \
    F(void, PyErr_WriteUnraisable, (PyObject *where)) \
    F(int, PyErr_ExceptionMatches, (PyObject *type)) \
    F(void, PyErr_Fetch, (PyObject **type, PyObject **value, PyObject **traceback)) \
    F(void, PyErr_NormalizeException, (PyObject **type, PyObject **value, PyObject **traceback)) \
    F(PyObject *, PyImport_AddModule, (const char *name)) \
    F(PyObject *, PyImport_ImportModule, (const char *name)) \
    F(PyObject *, PyImport_GetModuleDict, (void)) \
    F(int, PyModule_AddFunctions, (PyObject *module, const PyMethodDef *methods)) \
    F(int, PyModule_AddObjectRef, (PyObject *module, const char *name, PyObject *value)) \
    F(PyObject *, PyMarshal_ReadObjectFromString, (const char *data, Py_ssize_t size)) \
    F(PyObject *, PySys_GetObject, (const char *name)) \
    F(void, PySys_FormatStderr, (const char *format, ...)) \
    F(PyObject *, PyObject_GetAttrString, (PyObject *object, const char *name)) \
    F(PyObject *, PyObject_CallObject, (PyObject *callable, PyObject *arguments)) \
    F(PyObject *, PyObject_CallFunction, (PyObject *callable, const char *format, ...)) \
    F(PyObject *, PyObject_CallMethod, (PyObject *object, const char *name, const char *format, ...)) \
    F(PyObject *, PyObject_Str, (PyObject *object)) \
    F(int, PyObject_IsTrue, (PyObject *object)) \
    F(int, PyObject_CheckBuffer, (PyObject *object)) \
    F(int, PyObject_GetBuffer, (PyObject *object, Py_buffer *view, int flags)) \
    F(void, PyBuffer_Release, (Py_buffer *view)) \
    F(int, PyArg_ParseTuple, (PyObject *arguments, const char *format, ...)) \
    F(PyObject *, Py_BuildValue, (const char *format, ...)) \
    F(PyObject *, PyBool_FromLong, (long value)) \
    F(PyObject *, PyLong_FromLong, (long value)) \
    F(PyObject *, PyLong_FromLongLong, (long long value)) \
    F(PyObject *, PyLong_FromUnsignedLongLong, (unsigned long long value)) \
    F(PyObject *, PyLong_FromVoidPtr, (void *value)) \
    F(long, PyLong_AsLong, (PyObject *number)) \
    F(long long, PyLong_AsLongLong, (PyObject *number)) \
    F(unsigned long long, PyLong_AsUnsignedLongLong, (PyObject *number)) \
    F(unsigned long long, PyLong_AsUnsignedLongLongMask, (PyObject *number)) \
    F(void *, PyLong_AsVoidPtr, (PyObject *number)) \
    F(double, PyFloat_AsDouble, (PyObject *number)) \
    F(PyObject *, PyBytes_FromStringAndSize, (const char *data, Py_ssize_t size)) \
    F(char *, PyBytes_AsString, (PyObject *bytes)) \
    F(Py_ssize_t, PyBytes_Size, (PyObject *bytes)) \
    F(PyObject *, PyUnicode_FromString, (const char *text)) \
    F(PyObject *, PyUnicode_FromStringAndSize, (const char *text, Py_ssize_t size)) \
    F(PyObject *, PyUnicode_DecodeFSDefault, (const char *text)) \
    F(PyObject *, PyUnicode_DecodeUTF16, (const char *text, Py_ssize_t size, const char *errors, int *order)) \
    F(PyObject *, PyUnicode_FromWideChar, (const wchar_t *text, Py_ssize_t size)) \
    F(wchar_t *, PyUnicode_AsWideCharString, (PyObject *text, Py_ssize_t *size)) \
    F(const char *, PyUnicode_AsUTF8AndSize, (PyObject *text, Py_ssize_t *size)) \
    F(void, PyMem_Free, (void *memory)) \
    F(PyObject *, PyTuple_New, (Py_ssize_t size)) \
    F(Py_ssize_t, PyTuple_Size, (PyObject *tuple)) \
    F(PyObject *, PyTuple_GetItem, (PyObject *tuple, Py_ssize_t index)) \
    F(int, PyTuple_SetItem, (PyObject *tuple, Py_ssize_t index, PyObject *item)) \
    F(PyObject *, PyDict_GetItemString, (PyObject *dictionary, const char *key)) \
    F(int, PyCallable_Check, (PyObject *object)) \
    F(int, PyGC_Disable, (void)) \
    F(int, PyGC_Enable, (void))

/* Variables of the library: these are their addresses. python.PyExc_OSError is a PyObject **. */
#define PYTHON_VARIABLES(V) \
    V(PyObject *, PyExc_SystemExit) \
    V(PyObject *, PyExc_KeyboardInterrupt) \
    V(PyObject *, PyExc_OSError) \
    V(PyObject *, PyExc_AttributeError) \
    V(PyObject *, PyExc_TypeError) \
    V(PyObject *, PyExc_ValueError) \
    V(PyObject *, PyExc_IndexError) \
    V(PyObject *, PyExc_OverflowError) \
    V(PyObject *, PyExc_RuntimeError) \
    V(const void *, PyImport_FrozenModules)

typedef struct {
#define PYTHON_MEMBER_(result, name, parameters) result (*name) parameters;
#define PYTHON_MEMBER(result, name, parameters) PYTHON_MEMBER_(result, name, parameters)
    PYTHON_FUNCTIONS(PYTHON_MEMBER)
#undef PYTHON_MEMBER
#undef PYTHON_MEMBER_
#define PYTHON_VARIABLE(type, name) type *name;
    PYTHON_VARIABLES(PYTHON_VARIABLE)
#undef PYTHON_VARIABLE
    PyObject *None;        /* use python_none() for a new reference */
    PyObject *True;
} Python;

extern Python python;

/* Fills python from the library *handle*. NULL, or the name of what it lacks. */
const char *python_find(void *handle);

/* A new reference to None. */
PyObject *python_none(void);

#endif
