/* Counts the objects that a thread creates, by their types: on 3.13 and later. */
#include "objects.h"

#include "counts.h"
#include "stacks.h"

#if CAN_TRACE_OBJECTS

enum { TYPE_BITS = 10, N_TYPES = 1 << TYPE_BITS, MOST_TYPES = N_TYPES / 8 * 7 };

/* Written by one thread, with the GIL held. Open addressing: `count_object` runs where an object is made, and makes none. */
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
        if (thread.charged != 0) {
            charge_object(&thread, Py_TYPE(object));
        }
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

PyObject *
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

PyObject *
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
