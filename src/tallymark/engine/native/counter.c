#include "scalar.h"

#include "docs.h"

/* The one positional argument as an amount: 1; 0 where it was rejected, with None or an exception in `*result`. */
static inline int
amount_of(Family *family, PyObject *const *args, Py_ssize_t nargs, double *amount, PyObject **result)
{
    *amount = 1.0;
    int is_number = nargs == 0 ? 1 : number(family, args[0], amount);
    if (is_number == 1 && *amount >= 0.0 && *amount < Py_HUGE_VAL) {
        return 1;
    }
    *result = is_number < 0 ? NULL : is_number == 0 ? Py_NewRef(Py_None) : reject_number(family, *amount);
    return 0;
}

static PyObject *
counter_inc(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    Instrument *self = (Instrument *)op;
    double amount;
    PyObject *rejected;
    if (nargs > 1 && !takes_one("inc", nargs, 0)) {
        return NULL;
    }
    if (!amount_of(self->family, args, nargs, &amount, &rejected)) {
        return rejected;
    }
    return record(self, args, nargs, kwnames, amount, scalar_add);
}

static PyObject *
counter_add(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return takes_one("add", nargs, 1) ? counter_inc(op, args, nargs, kwnames) : NULL;
}

static PyObject *
counter_touch(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    ((Instrument *)op)->series->mark = UNMARKED;
    Py_RETURN_NONE;
}

static PyObject *
counter_set_from_callback(PyObject *op, PyObject *total)
{
    Instrument *self = (Instrument *)op;
    double value;
    PyObject *rejected;
    if (!amount_of(self->family, &total, 1, &value, &rejected)) {
        return rejected;
    }
    if (is_live(self->series)) { /* even if the registry is asked for exemplars: a total is no record of one moment */
        scalar_set(self->family, self->cells, value);
        return counter_touch(op, NULL);
    }
    PyObject *result = record_no_exemplar(self, value, scalar_set);
    counter_touch(op, NULL);
    return result;
}

static PyObject *
counter_count_exceptions(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return tracking_of((Instrument *)op, EXCEPTION_COUNT, args, nargs, kwnames);
}

static PyMethodDef counter_methods[] = {
    {"inc", (PyCFunction)(void (*)(void))counter_inc, METH_FASTCALL | METH_KEYWORDS, DOC_Counter_inc},
    {"add", (PyCFunction)(void (*)(void))counter_add, METH_FASTCALL | METH_KEYWORDS, DOC_Counter_add},
    {"count_exceptions", (PyCFunction)(void (*)(void))counter_count_exceptions, METH_FASTCALL | METH_KEYWORDS,
     DOC_Counter_count_exceptions},
    {"_set_from_callback", counter_set_from_callback, METH_O, DOC_Counter__set_from_callback},
    {"_touch", counter_touch, METH_NOARGS, DOC_Counter__touch},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef counter_getset[] = {
    {"value", scalar_get_value, NULL, DOC_Counter_value, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot counter_slots[] = {
    {Py_tp_doc, DOC_Counter},
    {Py_tp_dealloc, instrument_dealloc}, /* inherited, it would be wrapped */
    {Py_tp_methods, counter_methods},
    {Py_tp_getset, counter_getset},
    {0, NULL},
};

PyType_Spec counter_spec = {
    .name = "tallymark.engine.native.Counter",
    .basicsize = sizeof(Instrument),
    .flags = INSTRUMENT_FLAGS,
    .slots = counter_slots,
};
