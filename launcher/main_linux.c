#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include "ffi.h"
#include "module.h"
#include "runtime.h"

const PyMethodDef *const MODULE_PARTS[] = {FFI_METHODS, NULL};

/* Started with a standard stream closed, the next file that is opened would become it. */
static void open_missing_streams(void) {
    for (int descriptor = 0; descriptor <= 2; descriptor++)
        if (fcntl(descriptor, F_GETFD) == -1 && errno == EBADF && open("/dev/null", O_RDWR) == -1)
            return; /* Python takes a closed stream for None; system_linux.c keeps its own files above these */
}

/* Many threads need no arena of their own where the interpreter's lock lets one of them run, and what is freed goes
 * back. (mallopt(3)) */
static void keep_memory_small(void) {
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 64 * 1024);
}

int main(int argc, char *argv[]) {
    open_missing_streams();
    keep_memory_small();
    system_exit(runtime_run(argc, argv));
}
