/* Counts what CPython's allocators are asked for, exactly and by thread, and on 3.13 and later what types objects are made of.
 *
 * Hooks are set on all three domains. pymalloc passes large requests on to the raw domain, so a request counts only where it
 * entered: a thread-local depth tells. Callers of the raw domain run without the GIL and may see an allocator half replaced, or
 * still be inside a hook long after it was removed. So a hook keeps the original's ctx and ignores the one it is given, and
 * reads the original through one pointer, to what is never changed and never freed: whatever is seen, it works.
 *
 * Allocators belong to the process, and so does all state here that is not a thread's. The GIL guards it, and no interpreter
 * with a GIL of its own can import this module. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#define CAN_TRACE_OBJECTS (PY_VERSION_HEX >= 0x030D0000)

enum { N_DOMAINS = 3, N_SLOTS = 64, ALL_DOMAINS = (1 << N_DOMAINS) - 1 };

/* A depth that no chain of allocators reaches: a request made there shows which hooks it passes, and is not counted. */
enum { PROBE = 1 << 20 };

static const PyMemAllocatorDomain domains[N_DOMAINS] = {PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};

typedef struct {
    uint64_t requests[N_DOMAINS];
    uint64_t bytes, reallocs, frees, arenas;
} Counts;

typedef struct {
    int made;
    uint64_t total;
    Counts counts;
} Mark;

/* One struct, as each thread-local variable of a shared library costs a call to find. */
typedef struct {
    int depth;
    unsigned reached; /* the domains whose hook a probe came through, as bits */
    uint64_t traced;  /* the number of the tracing of objects that this thread started last */
    Counts counts;
    Mark marks[N_SLOTS];
} Thread;

typedef struct Original {
    PyMemAllocatorEx allocator;
    struct Original *next;
} Original;

static _Thread_local Thread thread;
static _Atomic uint64_t total;
static _Atomic(const Original *) originals[N_DOMAINS];
static Original *known;
static PyObjectArenaAllocator original_arenas;
static int arenas_are_hooked;
static int installed;

static inline const PyMemAllocatorEx *
original(int domain)
{
    return &atomic_load_explicit(&originals[domain], memory_order_acquire)->allocator;
}

/* A request that fails does not count: nothing will be freed for it. */
static inline void
leave(Thread *t, int domain, const void *block, size_t size)
{
    t->depth--;
    if (t->depth == 0 && block != NULL) {
        t->counts.requests[domain]++;
        t->counts.bytes += size;
        atomic_fetch_add_explicit(&total, 1, memory_order_relaxed);
    }
    else if (t->depth == PROBE) {
        t->reached |= 1u << domain;
    }
}

#define HOOKS(i)                                                                                                            \
    static void *malloc_##i(void *Py_UNUSED(ctx), size_t size)                                                              \
    {                                                                                                                       \
        Thread *t = &thread;                                                                                                \
        const PyMemAllocatorEx *o = original(i);                                                                            \
        t->depth++;                                                                                                         \
        void *block = o->malloc(o->ctx, size);                                                                              \
        leave(t, i, block, size);                                                                                           \
        return block;                                                                                                       \
    }                                                                                                                       \
    static void *calloc_##i(void *Py_UNUSED(ctx), size_t n, size_t size)                                                    \
    {                                                                                                                       \
        Thread *t = &thread;                                                                                                \
        const PyMemAllocatorEx *o = original(i);                                                                            \
        t->depth++;                                                                                                         \
        void *block = o->calloc(o->ctx, n, size);                                                                           \
        leave(t, i, block, n *size);                                                                                        \
        return block;                                                                                                       \
    }                                                                                                                       \
    static void *realloc_##i(void *Py_UNUSED(ctx), void *old, size_t size)                                                  \
    {                                                                                                                       \
        Thread *t = &thread;                                                                                                \
        const PyMemAllocatorEx *o = original(i);                                                                            \
        t->depth++;                                                                                                         \
        void *block = o->realloc(o->ctx, old, size);                                                                        \
        if (old == NULL) {                                                                                                  \
            leave(t, i, block, size);                                                                                       \
        }                                                                                                                   \
        else if (--t->depth == 0 && block != NULL) {                                                                        \
            t->counts.reallocs++;                                                                                           \
            t->counts.bytes += size;                                                                                        \
        }                                                                                                                   \
        return block;                                                                                                       \
    }                                                                                                                       \
    static void free_##i(void *Py_UNUSED(ctx), void *block)                                                                 \
    {                                                                                                                       \
        Thread *t = &thread;                                                                                                \
        const PyMemAllocatorEx *o = original(i);                                                                            \
        t->depth++;                                                                                                         \
        o->free(o->ctx, block);                                                                                             \
        if (--t->depth == 0 && block != NULL) {                                                                             \
            t->counts.frees++;                                                                                              \
        }                                                                                                                   \
    }

HOOKS(0)
HOOKS(1)
HOOKS(2)

static const PyMemAllocatorEx hooks[N_DOMAINS] = {
    {NULL, malloc_0, calloc_0, realloc_0, free_0},
    {NULL, malloc_1, calloc_1, realloc_1, free_1},
    {NULL, malloc_2, calloc_2, realloc_2, free_2},
};

/* pymalloc asks for arenas, and so do the stacks of Python frames. */
static void *
alloc_arena(void *Py_UNUSED(ctx), size_t size)
{
    thread.counts.arenas++;
    return original_arenas.alloc(original_arenas.ctx, size);
}

static int
same(const PyMemAllocatorEx *one, const PyMemAllocatorEx *other)
{
    return one->ctx == other->ctx && one->malloc == other->malloc && one->calloc == other->calloc
        && one->realloc == other->realloc && one->free == other->free;
}

/* Make a domain's present allocator the original that its hook calls. An original lives as long as the process; there is
 * one for each kind of allocator, a handful. */
static int
remember_original(int domain)
{
    PyMemAllocatorEx present;
    PyMem_GetAllocator(domains[domain], &present);
    Original *found = known;
    while (found != NULL && !same(&found->allocator, &present)) {
        found = found->next;
    }
    if (found == NULL) {
        found = malloc(sizeof(Original));
        if (found == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        found->allocator = present;
        found->next = known;
        known = found;
    }
    atomic_store_explicit(&originals[domain], found, memory_order_release);
    return 0;
}

/* The domains of which a request comes to our hook, as bits: directly, or through hooks that were set on top. */
static unsigned
reached(void)
{
    thread.reached = 0;
    thread.depth += PROBE;
    PyMem_RawFree(PyMem_RawMalloc(1));
    PyMem_Free(PyMem_Malloc(1));
    PyObject_Free(PyObject_Malloc(1));
    thread.depth -= PROBE;
    return thread.reached;
}

/* Remove the hooks, but for those that others were set on top of. */
static void
unhook(void)
{
    for (int i = 0; i < N_DOMAINS; i++) {
        PyMemAllocatorEx present;
        PyMem_GetAllocator(domains[i], &present);
        if (present.malloc == hooks[i].malloc) {
            PyMemAllocatorEx restored = *original(i);
            PyMem_SetAllocator(domains[i], &restored);
        }
    }
    PyObjectArenaAllocator arenas;
    PyObject_GetArenaAllocator(&arenas);
    if (arenas.alloc == alloc_arena) {
        PyObject_SetArenaAllocator(&original_arenas);
        arenas_are_hooked = 0;
    }
}

/* Set the hooks where there are none: they may have had to stay beneath others, and one that called itself would not return. */
static int
hook(void)
{
    unsigned hooked = reached();
    for (int i = 0; i < N_DOMAINS; i++) {
        if (hooked & (1u << i)) {
            continue;
        }
        if (remember_original(i) < 0) {
            unhook();
            return -1;
        }
        PyMemAllocatorEx ours = hooks[i];
        ours.ctx = original(i)->ctx;
        PyMem_SetAllocator(domains[i], &ours);
    }
    if (!arenas_are_hooked) {
        PyObject_GetArenaAllocator(&original_arenas);
        PyObjectArenaAllocator arenas = original_arenas;
        arenas.alloc = alloc_arena;
        PyObject_SetArenaAllocator(&arenas);
        arenas_are_hooked = 1;
    }
    return 0;
}

#define ABSENT "allocations are not being counted"
#define LOST                                                                                                                \
    "the hooks that count allocations were removed (was tracemalloc started before the counting, and stopped since?), so "  \
    "the counts are too low: stop it after the counting ends"
#define COVERED                                                                                                             \
    "another hook lies on top of those that count allocations, so that they cannot be removed (was tracemalloc started "    \
    "since?): stop it before the counting ends"

static PyObject *
install(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (installed && reached() != ALL_DOMAINS) {
        PyErr_SetString(PyExc_RuntimeError, LOST);
        return NULL;
    }
    if (!installed && hook() < 0) {
        return NULL;
    }
    installed++;
    Py_RETURN_NONE;
}

static PyObject *
uninstall(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (!installed) {
        PyErr_SetString(PyExc_RuntimeError, ABSENT);
        return NULL;
    }
    int lost = reached() != ALL_DOMAINS;
    installed--;
    if (!installed) {
        unhook();
    }
    if (lost || (!installed && reached() != 0)) {
        PyErr_SetString(PyExc_RuntimeError, lost ? LOST : COVERED);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
is_installed(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(reached() != 0);
}

static Mark *
slot_of(PyObject *number)
{
    long slot = PyLong_AsLong(number);
    if (slot == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (slot < 0 || slot >= N_SLOTS) {
        PyErr_Format(PyExc_ValueError, "slot must be from 0 to %d, not %ld", N_SLOTS - 1, slot);
        return NULL;
    }
    return &thread.marks[slot];
}

static PyObject *
mark(PyObject *Py_UNUSED(module), PyObject *slot)
{
    Mark *made = slot_of(slot);
    if (made == NULL) {
        return NULL;
    }
    if (!installed) {
        PyErr_SetString(PyExc_RuntimeError, ABSENT);
        return NULL;
    }
    made->made = 1;
    made->counts = thread.counts;
    made->total = atomic_load_explicit(&total, memory_order_relaxed);
    Py_RETURN_NONE;
}

static PyObject *
between(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t n_args)
{
    if (n_args != 2) {
        PyErr_Format(PyExc_TypeError, "between() takes 2 slots (%zd given)", n_args);
        return NULL;
    }
    const Mark *first = slot_of(args[0]);
    const Mark *second = first == NULL ? NULL : slot_of(args[1]);
    if (second == NULL) {
        return NULL;
    }
    if (!first->made || !second->made) {
        PyErr_Format(PyExc_ValueError, "this thread made no mark in slot %S", first->made ? args[1] : args[0]);
        return NULL;
    }
    const Counts *from = &first->counts, *to = &second->counts;
    long long raw = (long long)(to->requests[0] - from->requests[0]);
    long long mem = (long long)(to->requests[1] - from->requests[1]);
    long long obj = (long long)(to->requests[2] - from->requests[2]);
    long long allocs = raw + mem + obj;
    return Py_BuildValue("LLLLLLLLL", allocs, (long long)(to->bytes - from->bytes), (long long)(to->reallocs - from->reallocs),
                         (long long)(to->frees - from->frees), raw, mem, obj, (long long)(to->arenas - from->arenas),
                         (long long)(second->total - first->total) - allocs);
}

#if CAN_TRACE_OBJECTS

enum { TYPE_BITS = 10, N_TYPES = 1 << TYPE_BITS, MOST_TYPES = N_TYPES / 8 * 7 };

/* Written by one thread, with the GIL held. Open addressing: `count_object` runs where an object is made, and must make none. */
static struct {
    PyTypeObject *owned_type;
    unsigned long long objects;
} types[N_TYPES];
static int n_types;
static unsigned long long of_other_types;
static uint64_t tracing, last_tracing; /* the number of the tracing that goes on, or 0 */

/* There is one slot for a tracer. The previous one is still called (tracemalloc, which on 3.13 stays even when stopped). */
static PyRefTracer previous;
static void *previous_data;

static void
count_object(PyTypeObject *type)
{
    uint32_t at = (uint32_t)((uintptr_t)type >> 4) * 0x9E3779B1u >> (32 - TYPE_BITS);
    while (types[at].owned_type != NULL && types[at].owned_type != type) {
        at = (at + 1) % N_TYPES;
    }
    if (types[at].owned_type == NULL) {
        if (n_types == MOST_TYPES) {
            of_other_types++;
            return;
        }
        types[at].owned_type = (PyTypeObject *)Py_NewRef(type);
        n_types++;
    }
    types[at].objects++;
}

static int
on_object(PyObject *object, PyRefTracerEvent event, void *Py_UNUSED(data))
{
    if (event == PyRefTracer_CREATE && tracing != 0 && thread.traced == tracing) {
        count_object(Py_TYPE(object));
    }
    return previous == NULL ? 0 : previous(object, event, previous_data);
}

static void
forget_objects(void)
{
    n_types = 0;
    of_other_types = 0;
    for (int i = 0; i < N_TYPES; i++) {
        types[i].objects = 0;
        Py_CLEAR(types[i].owned_type);
    }
}

/* Types of one name are added up. */
static int
add_objects(PyObject *counts, PyObject *name, unsigned long long objects)
{
    int status = -1;
    PyObject *sum = NULL;
    PyObject *before = PyDict_GetItemWithError(counts, name);
    if (before == NULL && PyErr_Occurred()) {
        goto error;
    }
    if (before != NULL) {
        objects += PyLong_AsUnsignedLongLong(before);
    }
    sum = PyLong_FromUnsignedLongLong(objects);
    if (sum == NULL) {
        goto error;
    }
    status = PyDict_SetItem(counts, name, sum);

error:
    Py_XDECREF(sum);
    return status;
}

static PyObject *
objects_by_name(void)
{
    PyObject *name = NULL;
    PyObject *counts = PyDict_New();
    if (counts == NULL) {
        goto error;
    }
    for (int i = 0; i < N_TYPES; i++) {
        if (types[i].owned_type == NULL) {
            continue;
        }
        name = PyType_GetFullyQualifiedName(types[i].owned_type);
        if (name == NULL || add_objects(counts, name, types[i].objects) < 0) {
            goto error;
        }
        Py_CLEAR(name);
    }
    if (of_other_types) {
        name = PyUnicode_FromString("other");
        if (name == NULL || add_objects(counts, name, of_other_types) < 0) {
            goto error;
        }
        Py_CLEAR(name);
    }
    return counts;

error:
    Py_XDECREF(name);
    Py_XDECREF(counts);
    return NULL;
}

static PyObject *
start_objects(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    void *data;
    if (tracing != 0) {
        PyErr_SetString(PyExc_RuntimeError, "objects are being traced already");
        return NULL;
    }
    PyRefTracer present = PyRefTracer_GetTracer(&data);
    if (present != on_object) { /* it is ours if another that took over has put ours back */
        previous = present;
        previous_data = data;
        if (PyRefTracer_SetTracer(on_object, NULL) < 0) {
            return NULL;
        }
    }
    tracing = thread.traced = ++last_tracing;
    Py_RETURN_NONE;
}

static PyObject *
stop_objects(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    void *data;
    PyObject *counts = NULL;
    if (tracing == 0) {
        PyErr_SetString(PyExc_RuntimeError, "objects are not being traced");
        return NULL;
    }
    tracing = 0;
    if (PyRefTracer_GetTracer(&data) != on_object) {
        PyErr_SetString(PyExc_RuntimeError, "something else (was tracemalloc started or stopped?) took over the tracing of "
                                            "objects, so the counts are too low");
    }
    else if (PyRefTracer_SetTracer(previous, previous_data) == 0) {
        counts = objects_by_name();
    }
    forget_objects();
    return counts;
}

#endif

static PyMethodDef methods[] = {
    {"install", install, METH_NOARGS, "Count allocations from now on, those of each thread apart. May be nested."},
    {"uninstall", uninstall, METH_NOARGS, "Undo one install; the last removes every hook."},
    {"is_installed", is_installed, METH_NOARGS, "Return True if any hook is set."},
    {"mark", mark, METH_O, "Keep, in a slot of this thread from 0 to 63, what was requested so far. Allocates nothing."},
    {"between", (PyCFunction)(void (*)(void))between, METH_FASTCALL,
     "Return this thread's (allocs, bytes, reallocs, frees, raw, mem, obj, arenas, allocs of others) between two marks."},
#if CAN_TRACE_OBJECTS
    {"start_objects", start_objects, METH_NOARGS, "Count the objects that this thread creates from now on."},
    {"stop_objects", stop_objects, METH_NOARGS, "Stop; return the number of objects created, by the name of their type."},
#endif
    {NULL, NULL, 0, NULL},
};

static int
fill(PyObject *module)
{
    /* A thread may see a hook before it sees the original that was stored earlier: let it find one, even if older. */
    for (int i = 0; i < N_DOMAINS; i++) {
        if (atomic_load(&originals[i]) == NULL && remember_original(i) < 0) {
            return -1;
        }
    }
    return PyModule_AddObjectRef(module, "CAN_TRACE_OBJECTS", CAN_TRACE_OBJECTS ? Py_True : Py_False);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, fill},
    {0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tallymark.bench._allocs",
    .m_doc = "Counts what CPython's allocators are asked for, exactly and by thread.",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__allocs(void)
{
    return PyModuleDef_Init(&definition);
}
