/* Marks: what a thread asked for so far, kept in its slots, and read as the difference of two. */
#include "marks.h"

#include "counts.h"

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

PyObject *
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

PyObject *
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
