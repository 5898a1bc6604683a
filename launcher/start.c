/* Python: loaded, configured, started, left. https://docs.python.org/3/c-api/init_config.html */
#include <string.h>

#include "messages.h"
#include "module.h"
#include "runtime.h"

/* Python's own codes: what had to be flushed at the end could not be; Ctrl-C. */
enum { EXIT_UNFLUSHED = 120, EXIT_INTERRUPTED = 130 };

/* Larger than any version's; the payload says how large it is. */
static union {
    uint64_t alignment;
    uint8_t bytes[2048];
} config, preconfig;

static int *config_number(enum Abi member) {
    return (int *)(config.bytes + payload.abi[member]);
}

static bool is_usable_abi(void) {
    uint32_t size = payload.abi[ABI_CONFIG_SIZE], stride = payload.abi[ABI_FROZEN_STRIDE];
    if (size > sizeof config || stride < 24 || stride > 64 || payload.abi[ABI_PRECONFIG_UTF8_MODE] > 256)
        return false;
    for (int i = ABI_CONFIG_SIZE + 1; i < ABI_COUNT; i++)
        if (payload.abi[i] % 4 != 0 || payload.abi[i] + sizeof(PyWideStringList) > size)
            return false;
    return true;
}

static bool library_path(Path *path, const char *name) {
    const char *directory = payload.directories[0].text;
    char separator[2] = {SEPARATOR, 0};
    return formatted(path->text, sizeof path->text, "%s%s%s", directory, separator, name) < sizeof path->text - 1;
}

static int load(const char *name, void **library) {
    static Path path;
    static char why[1024];
    if (!library_path(&path, name))
        return failed(EXIT_UNAVAILABLE, "launcher.path", "the path of %s is too long.", name);
    *library = system_load(&path, why, sizeof why);
    if (*library != NULL)
        return 0;
    return failed(EXIT_UNAVAILABLE, "launcher.load",
                  "%s cannot be loaded: %s. Is this system older than what it was built for? Else remove "
                  "its directory, to have it made anew, or set STAYON_RUNTIME to a directory from which programs may be run.",
                  path.text, why);
}

static int load_interpreter(void) {
    void *library = NULL;
    for (uint32_t i = 0; i < payload.sets[0].count; i++) {
        if ((payload.files[i].flags & FILE_PRELOAD) == 0)
            continue;
        int exit = load(payload_text(payload.files[i].name), &library);
        if (exit != 0)
            return exit;
    }
    int exit = load(payload_text(payload.header->library), &library);
    if (exit != 0)
        return exit;
    const char *missing = python_find(library);
    if (missing == NULL)
        return 0;
    return failed(EXIT_DAMAGED, "launcher.python", "%s lacks %s: it is no Python that this launcher can start.",
                  payload_text(payload.header->library), missing);
}

/* The standard library: an array of struct _frozen, whose code Python reads where it is mapped. */
static bool give_frozen_modules(void) {
    size_t stride = payload.abi[ABI_FROZEN_STRIDE], count = payload.header->module_count;
    uint8_t *table = system_pages((count + 1) * stride), *next = table; /* for ever; it ends with zeros */
    if (table == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const Module *module = payload.modules + i;
        unsigned kind = module->flags & (MODULE_FROZEN | MODULE_NATIVE | MODULE_PACKED);
        if (kind != MODULE_FROZEN || module->code_size == 0)
            continue;
        const void *pointers[2] = {payload_text(module->name), payload.bytes + module->code};
        int numbers[2] = {(int)module->code_size, (module->flags & MODULE_PACKAGE) != 0};
        memcpy(next, pointers, sizeof pointers);
        memcpy(next + sizeof pointers, numbers, sizeof numbers);
        next += stride;
    }
    *python.PyImport_FrozenModules = table;
    return true;
}

/* What Python says about a start of its own that failed. */
static int refused(PyStatus status) {
    if (status.type == PYTHON_STATUS_EXIT)
        return status.exit;
    return failed(EXIT_FAILED, "launcher.python", "Python does not start: %s%s%s.",
                  status.function != NULL ? status.function : "", status.function != NULL ? ": " : "",
                  status.message != NULL ? status.message : "it gives no reason");
}

static PyStatus set_texts(void) {
    static const enum Abi of_executable[] = {ABI_CONFIG_PROGRAM_NAME, ABI_CONFIG_EXECUTABLE,
                                             ABI_CONFIG_BASE_EXECUTABLE};
    /* "home" keeps Python from looking about the executable for pyvenv.cfg, ._pth files and a build directory. */
    static const enum Abi of_runtime[] = {ABI_CONFIG_HOME, ABI_CONFIG_PREFIX, ABI_CONFIG_EXEC_PREFIX,
                                          ABI_CONFIG_BASE_PREFIX, ABI_CONFIG_BASE_EXEC_PREFIX};
    PyStatus status = {PYTHON_STATUS_OK, NULL, NULL, 0};
    for (size_t i = 0; i < sizeof of_executable / sizeof *of_executable && status.type == PYTHON_STATUS_OK; i++)
        status = python.PyConfig_SetBytesString(&config, (wchar_t **)(config.bytes + payload.abi[of_executable[i]]),
                                                payload.place.executable.text);
    for (size_t i = 0; i < sizeof of_runtime / sizeof *of_runtime && status.type == PYTHON_STATUS_OK; i++)
        status = python.PyConfig_SetBytesString(&config, (wchar_t **)(config.bytes + payload.abi[of_runtime[i]]),
                                                payload.directories[0].text);
    return status;
}

static PyStatus initialize(int argc, Character *const *argv) {
    python.PyPreConfig_InitIsolatedConfig(&preconfig);
    *(int *)(preconfig.bytes + payload.abi[ABI_PRECONFIG_UTF8_MODE]) = 1;
    PyStatus status = python.Py_PreInitialize(&preconfig);
    if (status.type != PYTHON_STATUS_OK)
        return status;
    python.PyConfig_InitIsolatedConfig(&config);
    *config_number(ABI_CONFIG_INSTALL_SIGNAL_HANDLERS) = 1;
    *config_number(ABI_CONFIG_SITE_IMPORT) = 0;
    *config_number(ABI_CONFIG_WRITE_BYTECODE) = 0;
    *config_number(ABI_CONFIG_PATHCONFIG_WARNINGS) = 0;
    *config_number(ABI_CONFIG_PARSE_ARGV) = 0;
    *config_number(ABI_CONFIG_USE_FROZEN_MODULES) = 1;
    *config_number(ABI_CONFIG_MODULE_SEARCH_PATHS_SET) = 1; /* to nothing: no directory is searched */
    status = set_texts();
    if (status.type == PYTHON_STATUS_OK)
        status = python.PYTHON_SET_ARGV(&config, argc, argv);
    if (status.type == PYTHON_STATUS_OK)
        status = python.Py_InitializeFromConfig(&config);
    python.PyConfig_Clear(&config);
    return status;
}

/* SystemExit's code, as Python's own main takes it. */
static int exit_code(PyObject *value) {
    if (value == NULL || value == python.None)
        return 0;
    long number = python.PyLong_AsLong(value);
    if (number != -1 || python.PyErr_Occurred() == NULL)
        return (int)number;
    python.PyErr_Clear();
    python.PySys_FormatStderr("%S\n", value);
    return 1;
}

/* What the exception that is set makes of the process. */
static int raised(void) {
    if (!python.PyErr_ExceptionMatches(*python.PyExc_SystemExit)) {
        bool is_interrupt = python.PyErr_ExceptionMatches(*python.PyExc_KeyboardInterrupt) != 0;
        python.PyErr_Print();
        return is_interrupt ? EXIT_INTERRUPTED : EXIT_FAILED;
    }
    PyObject *type, *value, *traceback;
    python.PyErr_Fetch(&type, &value, &traceback);
    python.PyErr_NormalizeException(&type, &value, &traceback);
    return exit_code(value != NULL ? python.PyObject_GetAttrString(value, "code") : NULL);
}

/* Calls a function of a module that is there. What it raises is shown. */
static void call_if_imported(const char *module_name, const char *function) {
    PyObject *module = python.PyDict_GetItemString(python.PyImport_GetModuleDict(), module_name);
    if (module != NULL && python.PyObject_CallMethod(module, function, NULL) == NULL)
        python.PyErr_Print();
}

static bool is_flushed(const char *name) {
    PyObject *stream = python.PySys_GetObject(name);
    if (stream == NULL || stream == python.None)
        return true;
    PyObject *closed = python.PyObject_GetAttrString(stream, "closed");
    if (closed == python.True || (closed != NULL && python.PyObject_CallMethod(stream, "flush", NULL) != NULL))
        return true;
    python.PyErr_WriteUnraisable(stream);
    return false;
}

/* The parts of Py_FinalizeEx that others see: threads are waited for, atexit's functions run, streams are flushed.
 * Taking all objects apart, too, would cost more than the whole start. */
static int leave(int code) {
    call_if_imported("threading", "_shutdown");
    call_if_imported("atexit", "_run_exitfuncs");
    bool is_out = is_flushed("stdout"), is_error = is_flushed("stderr");
    return is_out && is_error ? code : code != 0 ? code : EXIT_UNFLUSHED;
}

static int run_boot(void) {
    if (module_make() != 0)
        return raised();
    /* Nothing that an import makes is garbage: looking for it costs milliseconds. */
    (void)python.PyGC_Disable();
    PyObject *boot = python.PyImport_ImportModule(payload_text(payload.header->boot));
    (void)python.PyGC_Enable();
    PyObject *result = boot != NULL ? python.PyObject_CallMethod(boot, "main", NULL) : NULL;
    return result == NULL ? raised() : exit_code(result);
}

int start_python(int argc, Character *const *argv) {
    if (!is_usable_abi())
        return failed(EXIT_DAMAGED, "launcher.damaged", "%s has impossible numbers for its Python. Build it again.",
                      payload.place.path.text);
    int exit = load_interpreter();
    if (exit != 0)
        return exit;
    if (!give_frozen_modules())
        return failed(EXIT_UNAVAILABLE, "launcher.memory", "there is no memory left.");
    PyStatus status = initialize(argc, argv);
    return status.type != PYTHON_STATUS_OK ? refused(status) : leave(run_boot());
}

int runtime_run(int argc, Character *const *argv) {
    int exit = payload_open();
    if (exit == 0)
        exit = register_sets();
    return exit == 0 ? start_python(argc, argv) : exit;
}
