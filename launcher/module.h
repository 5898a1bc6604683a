/* The module `_stayon`, by which the program inside reaches its launcher.
 *
 * It is put into sys.modules before the boot module is imported. Its base (module.c) has executable, about, sets,
 * locks, was_registered, payload, find, code, source, names, settle. A further part (ffi.c, service_module.c) is an
 * array of PyMethodDef that ends with {0}; main_linux.c and main_windows.c name theirs in MODULE_PARTS, which ends with
 * NULL.
 *
 *     static PyObject *last_error(PyObject *module, PyObject *nothing) { … return python.PyLong_FromLong(1); }
 *     const PyMethodDef FFI_METHODS[] = {{"last_error", last_error, METH_NOARGS, NULL}, {0}};
 *
 * The arrays must live for ever and may be constant. Methods are called with the GIL held.
 */
#ifndef STAYON_MODULE_H
#define STAYON_MODULE_H

#include "python.h"

extern const PyMethodDef *const MODULE_PARTS[];

/* Makes it. 0, or -1 with a Python exception set. */
int module_make(void);

#endif
