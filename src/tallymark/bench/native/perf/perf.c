/* Counts the instructions of one thread, in user space: by the processor's own counter (Linux' perf_event_open), or by
 * callgrind, which runs the process and is told what to count by client requests.
 *
 * A client request is a sequence of instructions that does nothing on a processor; Valgrind recognises it. The sequences are
 * part of its interface to compiled programs and have not changed since they were made: its headers are not needed to build.
 *
 * The module has no state but a number of threads, and a counter is for the thread that made it: a GIL is not needed. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/perf_event.h>
#include <sys/syscall.h>
#endif

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#define CAN_ASK_VALGRIND 1
#else
#define CAN_ASK_VALGRIND 0
#endif

/* What the kernel writes for the read_format that `open_counter` asks for. */
typedef struct {
    uint64_t value;
    uint64_t enabled, running; /* ns; they differ if the counter had to share the processor's with others */
} Reading;

typedef struct {
    PyObject_HEAD
    int fd; /* -1 once it is closed */
    pid_t process;
    unsigned long thread;
} Counter;

/* Return a number of this thread that no other gets, not even once it has ended, as with identifiers of the system's. */
static unsigned long
number_of_thread(void)
{
    static _Atomic unsigned long last;
    static _Thread_local unsigned long number;
    if (number == 0) {
        number = atomic_fetch_add(&last, 1) + 1;
    }
    return number;
}

#ifdef __linux__

static int
open_counter(void)
{
    struct perf_event_attr wanted = {
        .type = PERF_TYPE_HARDWARE,
        .size = sizeof(wanted),
        .config = PERF_COUNT_HW_INSTRUCTIONS,
        .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };
    long fd = syscall(SYS_perf_event_open, &wanted, 0, -1, -1, PERF_FLAG_FD_CLOEXEC); /* this thread, on any processor */
    return (int)fd;
}

#else

static int
open_counter(void)
{
    errno = ENOSYS;
    return -1;
}

#endif

static PyObject *
counter_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"fd", NULL};
    int fd = -1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|i:Counter", names, &fd)) {
        return NULL;
    }
    Counter *made = (Counter *)type->tp_alloc(type, 0);
    if (made == NULL) {
        return NULL;
    }
    made->process = getpid();
    made->thread = number_of_thread();
    made->fd = fd >= 0 ? fd : open_counter();
    if (made->fd < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(made);
        return NULL;
    }
    return (PyObject *)made;
}

/* The descriptor is forgotten first: whatever close() answers, it is not closed a second time, when it may be another's. */
static int
shut(Counter *self)
{
    int fd = self->fd;
    self->fd = -1;
    return fd < 0 ? 0 : close(fd);
}

static void
counter_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    shut((Counter *)self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
counter_read(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Counter *self = (Counter *)object;
    Reading reading;
    if (self->process != getpid() || self->thread != number_of_thread()) {
        PyErr_SetString(PyExc_RuntimeError, "a counter counts the thread that made it: make one in this thread");
        return NULL;
    }
    if (self->fd < 0) {
        PyErr_SetString(PyExc_ValueError, "the counter is closed");
        return NULL;
    }
    ssize_t got = read(self->fd, &reading, sizeof(reading));
    if (got < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    if (got != (ssize_t)sizeof(reading)) { /* 0: the counter is in an error state, as it could not be scheduled */
        PyErr_Format(PyExc_OSError, "the kernel answered %zd bytes, not a reading of %zu", got, sizeof(reading));
        return NULL;
    }
    return Py_BuildValue("KKK", (unsigned long long)reading.value, (unsigned long long)reading.enabled,
                         (unsigned long long)reading.running);
}

static PyObject *
counter_close(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    if (shut((Counter *)self) < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

static PyMethodDef counter_methods[] = {
    {"read", counter_read, METH_NOARGS,
     "Return (instructions, ns for which counting was on, ns for which it went on) so far, of the thread that made this."},
    {"close", counter_close, METH_NOARGS, "Stop counting. May be called again."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot counter_slots[] = {
    {Py_tp_doc, "The instructions of this thread in user space. Raises OSError where they cannot be counted.\n\n"
                "`fd` is a descriptor to read from instead, which this then owns."},
    {Py_tp_new, counter_new},
    {Py_tp_dealloc, counter_dealloc},
    {Py_tp_methods, counter_methods},
    {0, NULL},
};

static PyType_Spec counter_spec = {
    .name = "tallymark.bench._perf.Counter",
    .basicsize = sizeof(Counter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = counter_slots,
};

/* Requests of valgrind.h and callgrind.h. A tool's own begin with its two letters. */
enum {
    RUNNING_ON_VALGRIND = 0x1001,
    CALLGRIND = 'C' << 24 | 'T' << 16,
    DUMP_STATS = CALLGRIND,
    ZERO_STATS,
    START_INSTRUMENTATION = CALLGRIND + 4,
    STOP_INSTRUMENTATION,
};

/* Without Valgrind the answer is 0. */
static uint64_t
ask_valgrind(uint64_t request)
{
    volatile uint64_t asked[6] = {request};
    uint64_t answer = 0;
#if CAN_ASK_VALGRIND && defined(__x86_64__)
    __asm__ volatile("rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi\n\t"
                     "xchgq %%rbx, %%rbx"
                     : "+d"(answer)
                     : "a"(&asked[0])
                     : "cc", "memory");
#elif CAN_ASK_VALGRIND
    register uint64_t result __asm__("x3") = 0;
    register volatile uint64_t *arguments __asm__("x4") = asked;
    __asm__ volatile("ror x12, x12, #3; ror x12, x12, #13; ror x12, x12, #51; ror x12, x12, #61\n\t"
                     "orr x10, x10, x10"
                     : "+r"(result)
                     : "r"(arguments)
                     : "cc", "memory");
    answer = result;
#else
    (void)asked;
#endif
    return answer;
}

#define REQUEST(name, request)                                                                                              \
    static PyObject *name(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))                                        \
    {                                                                                                                       \
        ask_valgrind(request);                                                                                              \
        Py_RETURN_NONE;                                                                                                     \
    }

REQUEST(start_instrumentation, START_INSTRUMENTATION)
REQUEST(stop_instrumentation, STOP_INSTRUMENTATION)
REQUEST(zero_stats, ZERO_STATS)
REQUEST(dump_stats, DUMP_STATS)

static PyObject *
on_valgrind(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(ask_valgrind(RUNNING_ON_VALGRIND) != 0);
}

static PyMethodDef methods[] = {
    {"on_valgrind", on_valgrind, METH_NOARGS, "Return True if Valgrind runs this process."},
    {"start_instrumentation", start_instrumentation, METH_NOARGS, "Callgrind counts from now on, and is slow."},
    {"stop_instrumentation", stop_instrumentation, METH_NOARGS, "Callgrind counts no more."},
    {"zero_stats", zero_stats, METH_NOARGS, "Set callgrind's counts to 0."},
    {"dump_stats", dump_stats, METH_NOARGS, "Write callgrind's counts to the next of its files, and set them to 0."},
    {NULL, NULL, 0, NULL},
};

static int
fill(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &counter_spec, NULL);
    if (type == NULL) {
        return -1;
    }
    int status = PyModule_AddObjectRef(module, "Counter", type);
    Py_DECREF(type);
    if (status < 0) {
        return -1;
    }
    return PyModule_AddObjectRef(module, "CAN_ASK_VALGRIND", CAN_ASK_VALGRIND ? Py_True : Py_False);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, fill},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tallymark.bench._perf",
    .m_doc = "Counts the instructions of one thread: by the processor's counter, or by callgrind.",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__perf(void)
{
    return PyModuleDef_Init(&definition);
}
