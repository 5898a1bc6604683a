#include "python.h"

#include "system.h"

Python python;

const char *python_find(void *handle) {
#define FIND_(name) \
    if ((*(void **)&python.name = system_symbol(handle, #name)) == NULL) \
        return #name;
#define FIND(result, name, parameters) FIND_(name)
#define FIND_VARIABLE(type, name) FIND_(name)
    PYTHON_FUNCTIONS(FIND)
    PYTHON_VARIABLES(FIND_VARIABLE)
#undef FIND_VARIABLE
#undef FIND
#undef FIND_
    python.None = system_symbol(handle, "_Py_NoneStruct");
    python.True = system_symbol(handle, "_Py_TrueStruct");
    return python.None != NULL && python.True != NULL ? NULL : "_Py_NoneStruct";
}

PyObject *python_none(void) {
    python.Py_IncRef(python.None);
    return python.None;
}
