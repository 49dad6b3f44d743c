/* Counts what CPython's allocators are asked for, exactly.
 *
 * Hooks are set on all three domains. pymalloc passes large requests on to the raw domain, so a request counts only where it
 * enters: a thread-local depth tells. Callers of the raw domain run without the GIL and may see an allocator half replaced,
 * so a hook keeps the original's ctx and ignores the one it is given: whatever pair of function and ctx is seen, it works. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdatomic.h>

enum { N_DOMAINS = 3 };

static const PyMemAllocatorDomain domains[N_DOMAINS] = {PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};

/* Allocators are a matter of the process, so this is too. */
static PyMemAllocatorEx originals[N_DOMAINS];
static int installed;
static _Thread_local int depth;
static _Thread_local int counting;
static _Thread_local unsigned long long allocs, bytes, reallocs, frees;

static inline void
count(size_t size)
{
    if (counting && depth == 1) {
        allocs++;
        bytes += size;
    }
}

#define HOOKS(i)                                                                                                            \
    static void *malloc_##i(void *Py_UNUSED(ctx), size_t size)                                                              \
    {                                                                                                                       \
        depth++;                                                                                                            \
        count(size);                                                                                                        \
        void *block = originals[i].malloc(originals[i].ctx, size);                                                          \
        depth--;                                                                                                            \
        return block;                                                                                                       \
    }                                                                                                                       \
    static void *calloc_##i(void *Py_UNUSED(ctx), size_t n, size_t size)                                                    \
    {                                                                                                                       \
        depth++;                                                                                                            \
        count(n * size);                                                                                                    \
        void *block = originals[i].calloc(originals[i].ctx, n, size);                                                       \
        depth--;                                                                                                            \
        return block;                                                                                                       \
    }                                                                                                                       \
    static void *realloc_##i(void *Py_UNUSED(ctx), void *old, size_t size)                                                  \
    {                                                                                                                       \
        depth++;                                                                                                            \
        if (old == NULL) {                                                                                                  \
            count(size);                                                                                                    \
        }                                                                                                                   \
        else if (counting && depth == 1) {                                                                                  \
            reallocs++;                                                                                                     \
        }                                                                                                                   \
        void *block = originals[i].realloc(originals[i].ctx, old, size);                                                    \
        depth--;                                                                                                            \
        return block;                                                                                                       \
    }                                                                                                                       \
    static void free_##i(void *Py_UNUSED(ctx), void *block)                                                                 \
    {                                                                                                                       \
        depth++;                                                                                                            \
        if (counting && depth == 1 && block != NULL) {                                                                      \
            frees++;                                                                                                        \
        }                                                                                                                   \
        originals[i].free(originals[i].ctx, block);                                                                         \
        depth--;                                                                                                            \
    }

HOOKS(0)
HOOKS(1)
HOOKS(2)

static PyObject *
start(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyMemAllocatorEx hooks[N_DOMAINS] = {
        {NULL, malloc_0, calloc_0, realloc_0, free_0},
        {NULL, malloc_1, calloc_1, realloc_1, free_1},
        {NULL, malloc_2, calloc_2, realloc_2, free_2},
    };
    if (installed) {
        PyErr_SetString(PyExc_RuntimeError, "allocations are being counted already");
        return NULL;
    }
    for (int i = 0; i < N_DOMAINS; i++) {
        PyMem_GetAllocator(domains[i], &originals[i]);
    }
    for (int i = 0; i < N_DOMAINS; i++) {
        hooks[i].ctx = originals[i].ctx;
        PyMem_SetAllocator(domains[i], &hooks[i]);
    }
    installed = 1;
    allocs = bytes = reallocs = frees = 0;
    counting = 1;
    Py_RETURN_NONE;
}

static PyObject *
stop(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    counting = 0;
    if (!installed) {
        PyErr_SetString(PyExc_RuntimeError, "allocations are not being counted");
        return NULL;
    }
    PyMemAllocatorEx present;
    PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &present);
    if (present.malloc != malloc_2) {
        PyErr_SetString(PyExc_RuntimeError, "another hook (tracemalloc?) was set meanwhile; stop it first");
        return NULL;
    }
    for (int i = 0; i < N_DOMAINS; i++) {
        PyMem_SetAllocator(domains[i], &originals[i]);
    }
    installed = 0;
    return Py_BuildValue("KKKK", allocs, bytes, reallocs, frees);
}

static PyMethodDef methods[] = {
    {"start", start, METH_NOARGS, "Count the allocations of this thread from now on."},
    {"stop", stop, METH_NOARGS, "Stop counting; return the number of allocations, bytes asked for, reallocations, frees."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "tallymark.bench._allocs",
    .m_doc = "Counts what CPython's allocators are asked for, exactly.",
    .m_size = 0,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit__allocs(void)
{
    return PyModuleDef_Init(&definition);
}
