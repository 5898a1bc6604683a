#include "module.h"

#include <string.h>

#include "lzma.h"
#include "runtime.h"

static PyObject *path_object(const Path *path) {
    return python.PyUnicode_DecodeFSDefault(path->text);
}

static PyObject *find(PyObject *module, PyObject *name) {
    (void)module;
    const char *text = python.PyUnicode_AsUTF8AndSize(name, NULL);
    if (text == NULL)
        return NULL;
    int index = payload_find_module(text);
    if (index < 0)
        return python_none();
    const Module *found = payload.modules + index;
    return python.Py_BuildValue("Isi", found->flags, payload_text(found->origin), index);
}

/* The module with that number; NULL: there is none, and a Python exception is set. */
static const Module *numbered(PyObject *number) {
    long index = python.PyLong_AsLong(number);
    if (index == -1 && python.PyErr_Occurred() != NULL)
        return NULL;
    if (index >= 0 && (unsigned long)index < payload.header->module_count)
        return payload.modules + index;
    python.PyErr_SetString(*python.PyExc_IndexError, "no such module");
    return NULL;
}

/* With the GIL held all the time: the decoder has room for one. */
static PyObject *unpacked_code(const Module *found) {
    size_t room = found->unpacked > 0 ? found->unpacked : 1;
    uint8_t *bytes = system_pages(room);
    if (bytes == NULL)
        return python.PyErr_NoMemory();
    PyObject *object = NULL;
    if (lzma_decode(payload.bytes + found->code, found->code_size, bytes, found->unpacked))
        object = python.PyMarshal_ReadObjectFromString((const char *)bytes, (Py_ssize_t)found->unpacked);
    else
        python.PyErr_SetString(*python.PyExc_ValueError, "the code of this module is damaged");
    system_pages_free(bytes, room);
    return object;
}

static PyObject *code(PyObject *module, PyObject *number) {
    (void)module;
    const Module *found = numbered(number);
    if (found == NULL)
        return NULL;
    if (found->code_size == 0)
        return python_none();
    if ((found->flags & MODULE_PACKED) != 0)
        return unpacked_code(found);
    return python.PyMarshal_ReadObjectFromString((const char *)payload.bytes + found->code, found->code_size);
}

static PyObject *source(PyObject *module, PyObject *number) {
    (void)module;
    const Module *found = numbered(number);
    if (found == NULL)
        return NULL;
    return python.PyBytes_FromStringAndSize((const char *)payload.bytes + found->source, found->source_size);
}

static PyObject *names(PyObject *module, PyObject *nothing) {
    (void)module, (void)nothing;
    PyObject *tuple = python.PyTuple_New(payload.header->module_count);
    for (uint32_t i = 0; tuple != NULL && i < payload.header->module_count; i++) {
        PyObject *name = python.PyUnicode_FromString(payload_text(payload.modules[i].name));
        if (name == NULL || python.PyTuple_SetItem(tuple, i, name) != 0) {
            python.Py_DecRef(tuple);
            return NULL;
        }
    }
    return tuple;
}

static PyObject *settle(PyObject *module, PyObject *nothing) {
    (void)module, (void)nothing;
    system_settle(payload.bytes, payload.header->size, payload.directories);
    return python_none();
}

static const PyMethodDef METHODS[] = {
    {"find", find, METH_O, "find(name) -> None | (flags, origin, index)"},
    {"code", code, METH_O, "code(index) -> the module's code object, or None if it has none"},
    {"source", source, METH_O, "source(index) -> bytes, compressed by zlib; empty: not kept"},
    {"names", names, METH_NOARGS, "names() -> of all modules"},
    {"settle", settle, METH_NOARGS, "settle(): gives back the memory that only the start needed; once, when idle"},
    {NULL, NULL, 0, NULL},
};

/* Takes the reference to *value*. */
static int add(PyObject *module, const char *name, PyObject *value) {
    if (value == NULL)
        return -1;
    int status = python.PyModule_AddObjectRef(module, name, value);
    python.Py_DecRef(value);
    return status;
}

/* A tuple with an item for each set. */
static PyObject *of_sets(PyObject *(*item)(uint32_t index)) {
    PyObject *tuple = python.PyTuple_New(payload.header->set_count);
    for (uint32_t i = 0; tuple != NULL && i < payload.header->set_count; i++) {
        PyObject *value = item(i);
        if (value == NULL || python.PyTuple_SetItem(tuple, i, value) != 0) {
            python.Py_DecRef(tuple);
            return NULL;
        }
    }
    return tuple;
}

static PyObject *set_directory(uint32_t index) {
    return path_object(payload.directories + index);
}

static PyObject *set_lock(uint32_t index) {
    return python.PyLong_FromLongLong(payload.locks[index]);
}

int module_make(void) {
    PyObject *module = python.PyImport_AddModule("_stayon"); /* borrowed: sys.modules has it */
    if (module == NULL || python.PyModule_AddFunctions(module, METHODS) != 0)
        return -1;
    for (const PyMethodDef *const *part = MODULE_PARTS; *part != NULL; part++)
        if (python.PyModule_AddFunctions(module, *part) != 0)
            return -1;
    const char *about = (const char *)payload.bytes + payload.header->about;
    if (add(module, "executable", path_object(&payload.place.executable)) != 0 ||
        add(module, "payload", path_object(&payload.place.path)) != 0 ||
        add(module, "about", python.PyBytes_FromStringAndSize(about, payload.header->about_size)) != 0 ||
        add(module, "sets", of_sets(set_directory)) != 0 || add(module, "locks", of_sets(set_lock)) != 0)
        return -1;
    return add(module, "was_registered", python.PyBool_FromLong(payload.was_registered));
}
