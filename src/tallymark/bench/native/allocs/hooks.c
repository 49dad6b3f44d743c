/* Counts what CPython's allocators are asked for, exactly and by thread.
 *
 * Hooks are set on all three domains. pymalloc passes large requests on to the raw domain, so a request counts only where it
 * entered: a thread-local depth tells. Callers of the raw domain run without the GIL and may see an allocator half replaced, or
 * still be inside a hook long after it was removed. So a hook keeps the original's ctx and ignores the one it is given, and
 * reads the original through one pointer, to what is never changed and never freed: whatever is seen, it works.
 *
 * Allocators belong to the process, and so does all state here that is not a thread's. The GIL guards it, and no interpreter
 * with a GIL of its own can import this module. */
#include "hooks.h"

#include "counts.h"
#include "stacks.h"

#include <stdlib.h>

enum { ALL_DOMAINS = (1 << N_DOMAINS) - 1 };

/* A depth that no chain of allocators reaches: a request made there shows which hooks it passes, and is not counted. */
enum { PROBE = 1 << 20 };

static const PyMemAllocatorDomain domains[N_DOMAINS] = {PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};

typedef struct Original {
    PyMemAllocatorEx allocator;
    struct Original *next;
} Original;

_Thread_local Thread thread;
_Atomic uint64_t total;
int installed;
static _Atomic(const Original *) originals[N_DOMAINS];
static Original *known;
static PyObjectArenaAllocator original_arenas;
static int arenas_are_hooked;

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
        if (t->charged != 0) {
            charge_request(t, 0, size);
        }
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
            if (t->charged != 0) {                                                                                          \
                charge_request(t, 1, size);                                                                                 \
            }                                                                                                               \
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

#define LOST                                                                                                                \
    "the hooks that count allocations were removed (was tracemalloc started before the counting, and stopped since?), so "  \
    "the counts are too low: stop it after the counting ends"
#define COVERED                                                                                                             \
    "another hook lies on top of those that count allocations, so that they cannot be removed (was tracemalloc started "    \
    "since?): stop it before the counting ends"

PyObject *
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

PyObject *
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

PyObject *
is_installed(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(reached() != 0);
}

/* A thread may see a hook before it sees the original that was stored earlier: let it find one, even if older. */
int
prepare_hooks(void)
{
    for (int i = 0; i < N_DOMAINS; i++) {
        if (atomic_load(&originals[i]) == NULL && remember_original(i) < 0) {
            return -1;
        }
    }
    return 0;
}
