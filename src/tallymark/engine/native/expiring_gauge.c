#include "gauge.h"

#include "docs.h"

static inline void
watched_set(const Family *Py_UNUSED(family), Cell *cells, double value)
{
    cell_set(cells, value);
    atomic_fetch_and_explicit(&cells[1], ~MOVED, memory_order_relaxed);
    atomic_fetch_add_explicit(&cells[1], ONE_RECORD, memory_order_relaxed);
}

static inline void
watched_add(const Family *Py_UNUSED(family), Cell *cells, double amount)
{
    cell_add(cells, amount);
    atomic_fetch_or_explicit(&cells[1], MOVED, memory_order_relaxed);
    atomic_fetch_add_explicit(&cells[1], ONE_RECORD, memory_order_relaxed);
}

int
gauge_is_in_use(const Cell *cells)
{
    return (cell_count(&cells[1]) & MOVED) != 0 && cell_get(cells) != 0.0;
}

static PyObject *
expiring_set(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return gauge_set_with(op, args, nargs, kwnames, watched_set);
}

static inline PyObject *
move(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, double sign)
{
    return family_decide(((Instrument *)op)->family) < 0 ? NULL : gauge_move_with(op, args, nargs, kwnames, sign, watched_add);
}

static PyObject *
expiring_inc(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return nargs > 1 && !takes_one("inc", nargs, 0) ? NULL : move(op, args, nargs, kwnames, 1.0);
}

static PyObject *
expiring_dec(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return nargs > 1 && !takes_one("dec", nargs, 0) ? NULL : move(op, args, nargs, kwnames, -1.0);
}

static PyObject *
expiring_add(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return takes_one("add", nargs, 1) ? move(op, args, nargs, kwnames, 1.0) : NULL;
}

static PyObject *
expiring_set_from_callback(PyObject *op, PyObject *value)
{
    return expiring_set(op, &value, 1, NULL);
}

static PyMethodDef expiring_methods[] = {
    {"set", (PyCFunction)(void (*)(void))expiring_set, METH_FASTCALL | METH_KEYWORDS, DOC_Gauge_set},
    {"inc", (PyCFunction)(void (*)(void))expiring_inc, METH_FASTCALL | METH_KEYWORDS, DOC_Gauge_inc},
    {"dec", (PyCFunction)(void (*)(void))expiring_dec, METH_FASTCALL | METH_KEYWORDS, DOC_Gauge_dec},
    {"add", (PyCFunction)(void (*)(void))expiring_add, METH_FASTCALL | METH_KEYWORDS, DOC_Gauge_add},
    {"_set_from_callback", expiring_set_from_callback, METH_O, DOC_Gauge__set_from_callback},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot expiring_slots[] = {
    {Py_tp_doc, DOC_Gauge},
    {Py_tp_dealloc, instrument_dealloc},
    {Py_tp_methods, expiring_methods},
    {0, NULL},
};

PyType_Spec expiring_gauge_spec = {
    .name = "tallymark.engine.native.Gauge",
    .basicsize = sizeof(Instrument),
    .flags = INSTRUMENT_FLAGS,
    .slots = expiring_slots,
};
