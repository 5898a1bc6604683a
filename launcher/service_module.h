#ifndef STAYON_SERVICE_MODULE_H
#define STAYON_SERVICE_MODULE_H

#include "python.h"

/* service_wait, service_handler, service_status, service_handle: see service_module.c. */
extern const PyMethodDef SERVICE_METHODS[];

#endif
