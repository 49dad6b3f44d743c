/* A libFuzzer harness for the file that processes share. Its owner is hostile, and changes it while others read it.
 *
 * An input names a real file, what is done with it, and changes. A change is of one field, before the file is opened or
 * when a field is read for the n-th time: the compiler has each read of the C code call us. So a field may differ between two
 * reads of it, or change just after it was checked. The Python function `run` of the module `target` does the rest. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

Original originals[MOST_FILES], *original;
size_t n_originals;
static PyObject *run;
static int fd;
static char *file;               /* as its owner has it mapped */
static char *view, *read_only;   /* as the code under test has it */
static size_t view_size;
static int running;
static Change changes[MOST_CHANGES];
static size_t n_changes;
uint16_t read_fields[UINT16_MAX], n_reads[UINT16_MAX];
size_t n_read_fields;

/* Changes */

static void
note_read(uint64_t offset)
{
    uint64_t used = READ(original, 0, Header, used);
    if (offset >= MOST_SIZE || (offset < used && original->numbers[offset / 4] == 0)) {
        return;
    }
    uint64_t number = offset < used ? original->numbers[offset / 4] - 1u : original->n_fields + (offset - used) / 8;
    if (number < UINT16_MAX && n_reads[number] < UINT16_MAX && n_reads[number]++ == 0) {
        read_fields[n_read_fields++] = (uint16_t)number;
    }
}

/* Who shares a file that is cut off gets SIGBUS, which nothing can prevent: so it is cut off only for those that read it. */
static void
change(const Change *one)
{
    apply(one, file, fd, read_only != NULL || view == NULL);
}

/* Called before a part of the file is read: change what is due. */
static void
before_read(uint64_t from, uint64_t size)
{
    for (size_t i = 0; i < n_changes; i++) {
        uint64_t trigger = changes[i].reads == 0 ? 0 : field_of(changes[i].trigger).offset;
        if (changes[i].reads > 0 && trigger >= from && trigger - from < size && --changes[i].reads == 0) {
            change(&changes[i]);
        }
    }
}

/* What the code under test calls instead of the system, or where it reads memory */

static void
loads(const void *at, uint64_t size)
{
    uint64_t offset = (uint64_t)((const char *)at - view);
    if (view != NULL && offset < view_size) {
        note_read(offset);
        before_read(offset, size);
    }
}

void __sanitizer_cov_load1(const void *at) { loads(at, 1); }
void __sanitizer_cov_load2(const void *at) { loads(at, 2); }
void __sanitizer_cov_load4(const void *at) { loads(at, 4); }
void __sanitizer_cov_load8(const void *at) { loads(at, 8); }
void __sanitizer_cov_load16(const void *at) { loads(at, 16); }

ssize_t __real_pread(int from, void *to, size_t n, off_t at);
void *__real_mmap(void *at, size_t size, int protection, int flags, int from, off_t offset);
int __real_munmap(void *at, size_t size);

ssize_t
__wrap_pread(int from, void *to, size_t n, off_t at)
{
    if (running) {
        before_read((uint64_t)at, n);
    }
    return __real_pread(from, to, n, at);
}

void *
__wrap_mmap(void *at, size_t size, int protection, int flags, int from, off_t offset)
{
    if (!running || (flags & MAP_NORESERVE) == 0) { /* not of the code under test */
        return __real_mmap(at, size, protection, flags, from, offset);
    }
    int none = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char *space = __real_mmap(NULL, size + 2 * GUARD, PROT_NONE, none, -1, 0);
    void *base = space == MAP_FAILED ? space : __real_mmap(space + GUARD, size, protection, flags | MAP_FIXED, from, offset);
    if (base != MAP_FAILED && from >= 0) {
        view = base;
        view_size = size;
    }
    else if (base != MAP_FAILED) {
        read_only = base;
    }
    return base;
}

int
__wrap_munmap(void *at, size_t size)
{
    if (at == NULL || (at != view && at != read_only)) {
        return __real_munmap(at, size);
    }
    view = at == view ? NULL : view;
    read_only = at == read_only ? NULL : read_only;
    return __real_munmap((char *)at - GUARD, size + 2 * GUARD);
}

/* Runs */

void
stop_if(int wrong, const char *what)
{
    if (wrong) {
        fprintf(stderr, "%s\n", what);
        if (PyErr_Occurred()) {
            PyErr_Print();
        }
        abort();
    }
}

static void
restore(void)
{
    stop_if(ftruncate(fd, (off_t)original->size) != 0, "cannot restore the file");
    memcpy(file, original->bytes, original->size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Scenario plan = {0, 0, {0}};
    memcpy(&plan, data, size < sizeof plan ? size : sizeof plan);
    original = &originals[plan.file % n_originals];
    restore();
    memset(n_reads, 0, sizeof n_reads);
    n_read_fields = 0;
    n_changes = size < sizeof plan ? 0 : (size - sizeof plan) / sizeof *changes;
    n_changes = n_changes < MOST_CHANGES ? n_changes : MOST_CHANGES;
    memcpy(changes, data + (n_changes > 0 ? sizeof plan : 0), n_changes * sizeof *changes);
    for (size_t i = 0; i < n_changes; i++) {
        if (changes[i].reads == 0) {
            change(&changes[i]);
        }
    }
    running = 1;
    PyObject *done = PyObject_CallFunction(run, "iiy#", fd, plan.way, (char *)plan.steps, (Py_ssize_t)sizeof plan.steps);
    running = 0;
    stop_if(done == NULL, "an exception that nobody expects");
    stop_if(view != NULL || read_only != NULL, "a mapping is left");
    Py_XDECREF(done);
    return 0;
}

PyObject *PyInit__engine(void);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    char *paths = strdup(getenv("FUZZ_FILES"));
    for (char *path = strtok(paths, ":"); path != NULL && n_originals < MOST_FILES; path = strtok(NULL, ":")) {
        original_read(&originals[n_originals++], path);
    }
    free(paths);
    fd = memfd_create("fuzz", MFD_CLOEXEC);
    file = fd < 0 ? MAP_FAILED : __real_mmap(NULL, MOST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    stop_if(file == MAP_FAILED || n_originals == 0, "cannot make the file");
    PyImport_AppendInittab("_engine", PyInit__engine);
    Py_InitializeEx(0);
    PyObject *target = PyImport_ImportModule("target");
    run = target == NULL ? NULL : PyObject_GetAttrString(target, "run");
    stop_if(run == NULL, "cannot import the target");
    return 0;
}
