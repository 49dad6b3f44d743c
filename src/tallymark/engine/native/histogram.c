#include "distribution.h"
#include "negatives.h"
#include "shared_family.h"

#include "docs.h"

static PyObject *
bucket_counts_of(const Family *self, const Cell *cells)
{
    PyObject *counts = PyTuple_New((Py_ssize_t)self->n_bounds + 1);
    for (uint32_t i = 0; counts != NULL && i <= self->n_bounds; i++) {
        PyObject *count = PyLong_FromUnsignedLongLong(cell_count(&cells[i]));
        if (count == NULL) {
            Py_CLEAR(counts);
            break;
        }
        PyTuple_SET_ITEM(counts, i, count);
    }
    return counts;
}

PyObject *
distribution_snapshot(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Instrument *self = (Instrument *)op;
    Family *family = self->family;
    if (family_look(family, self->series) < 0) {
        return NULL;
    }
    if (family->is_exponential) {
        return exponential_snapshot(family, self->cells);
    }
    double sum = cell_get(&self->cells[SUM(family)]);
    double smallest = extreme_of(family, self->cells, MIN(family));
    double largest = extreme_of(family, self->cells, MAX(family));
    int collecting = PyGC_Disable(); /* else a finaliser might observe between reading the sum and the counts */
    atomic_thread_fence(memory_order_acquire); /* who observes counts first, and adds to the sum then */
    PyObject *counts = bucket_counts_of(family, self->cells);
    if (collecting) {
        PyGC_Enable();
    }
    if (counts == NULL) {
        return NULL;
    }
    PyObject *make = borrowed(family->state, HISTOGRAM_SNAPSHOT);
    if (make == NULL) {
        Py_DECREF(counts);
        return NULL;
    }
    return PyObject_CallFunction(make, "ONddd", family->bounds_tuple, counts, sum, smallest, largest);
}

PyObject *
distribution_get_bounds(PyObject *op, void *Py_UNUSED(closure))
{
    return Py_NewRef(((Instrument *)op)->family->bounds_tuple);
}

static PyObject *
histogram_observe(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    Instrument *self = (Instrument *)op;
    double value;
    if (nargs != 1 && !takes_one("observe", nargs, 1)) {
        return NULL;
    }
    int is_number = number(self->family, args[0], &value);
    if (is_number != 1) {
        return is_number < 0 ? NULL : Py_NewRef(Py_None);
    }
    if (!(value >= 0.0 && value < Py_HUGE_VAL)) { /* one test for what is rare, so that the rest costs no more */
        if (!Py_IS_FINITE(value)) {
            return reject_number(self->family, value);
        }
        const Series *series = has_tags(kwnames) ? find_open(self, args, nargs, kwnames) : self->series;
        if (series == NULL || lacks_negatives(self->family, series, value)) {
            return record_slowly(self, args, nargs, kwnames, value, distribution_observe);
        }
    }
    return record(self, args, nargs, kwnames, value, distribution_observe);
}

static PyMethodDef histogram_methods[] = {
    {"observe", (PyCFunction)(void (*)(void))histogram_observe, METH_FASTCALL | METH_KEYWORDS, DOC_Histogram_observe},
    {"snapshot", distribution_snapshot, METH_NOARGS, DOC_Histogram_snapshot},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef histogram_getset[] = {
    {"bounds", distribution_get_bounds, NULL, DOC_Histogram_bounds, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot histogram_slots[] = {
    {Py_tp_doc, DOC_Histogram},
    {Py_tp_dealloc, instrument_dealloc}, /* inherited, it would be wrapped */
    {Py_tp_methods, histogram_methods},
    {Py_tp_getset, histogram_getset},
    {0, NULL},
};

PyType_Spec histogram_spec = {
    .name = "tallymark.engine.native.Histogram",
    .basicsize = sizeof(Instrument),
    .flags = INSTRUMENT_FLAGS,
    .slots = histogram_slots,
};
