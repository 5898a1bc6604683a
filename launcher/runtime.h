/* One start: payload, sets, interpreter, boot module. main_linux.c and main_windows.c call it. */
#ifndef STAYON_RUNTIME_H
#define STAYON_RUNTIME_H

#include "payload.h"
#include "python.h"
#include "system.h"

#define SETS_MAX 2

/* A payload that is whole: every offset in its tables has been looked at, so that no reader needs to. */
typedef struct {
    Place place;
    const uint8_t *bytes;  /* place.bytes */
    const Header *header;
    const Module *modules;
    const File *files;
    const Set *sets;
    const uint32_t *abi;
    Path directories[SETS_MAX]; /* of the sets, once they are registered */
    Handle locks[SETS_MAX]; /* that keep them from being collected */
    bool was_registered;   /* by this start: some set was not there yet */
} Payload;

extern Payload payload;

/* payload.c: finds it, looks whether it is whole. 0, or what failed() returned. */
int payload_open(void);
const char *payload_text(uint32_t offset);
/* The module's place in payload.modules, or -1. */
int payload_find_module(const char *name);

/* register.c: puts every set on disk that isn't there, and holds it. 0, or what failed() returned. */
int register_sets(void);

/* start.c: loads the interpreter, starts it, and runs the boot module's main(). Returns the process's exit code. */
int start_python(int argc, Character *const *argv);

/* All of the above: `return runtime_run(argc, argv);` hands over; the caller ends by system_exit(). */
int runtime_run(int argc, Character *const *argv);

#endif
