/* launcher/ffi.c as a library of its own, which gives a running Python the module `_stayon`: for tests. */
#include "../../launcher/ffi.h"

#ifdef _WIN32
#include <windows.h>
#define EXPORTED __declspec(dllexport)
#else
#include <dlfcn.h>
#define EXPORTED __attribute__((visibility("default")))
#endif

Python python;

static void *found(void *library, const char *name) {
#ifdef _WIN32
    return (void *)(intptr_t)GetProcAddress(library, name);
#else
    return dlsym(library, name);
#endif
}

PyObject *python_none(void) {
    python.Py_IncRef(python.None);
    return python.None;
}

/* *library* is Python's. With the GIL. 0, or -1 where it lacks a function that a launcher needs. */
EXPORTED int start(void *library) {
    int is_whole = 1;
#define LOOK(name) is_whole &= (*(void **)&python.name = found(library, #name)) != NULL;
#define LOOK_FUNCTION_(result, name, parameters) LOOK(name)
#define LOOK_FUNCTION(result, name, parameters) LOOK_FUNCTION_(result, name, parameters)
    PYTHON_FUNCTIONS(LOOK_FUNCTION)
#define LOOK_VARIABLE(type, name) LOOK(name)
    PYTHON_VARIABLES(LOOK_VARIABLE)
    python.None = found(library, "_Py_NoneStruct");
    PyObject *module = is_whole && python.None ? python.PyImport_AddModule("_stayon") : NULL;
    return module && python.PyModule_AddFunctions(module, FFI_METHODS) == 0 ? 0 : -1;
}
