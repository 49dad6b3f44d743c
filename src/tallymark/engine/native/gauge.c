#include "scalar.h"

#include "docs.h"

static PyObject *
gauge_set(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    Instrument *self = (Instrument *)op;
    double value;
    if (!takes_one("set", nargs, 1)) {
        return NULL;
    }
    int is_number = number(self->family, args[0], &value);
    if (is_number != 1) {
        return is_number < 0 ? NULL : Py_NewRef(Py_None);
    }
    return record(self, args, nargs, kwnames, value, scalar_set);
}

static inline PyObject *
gauge_move(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, double sign)
{
    Instrument *self = (Instrument *)op;
    double amount = 1.0;
    int is_number = nargs == 0 ? 1 : number(self->family, args[0], &amount);
    if (is_number != 1) {
        return is_number < 0 ? NULL : Py_NewRef(Py_None);
    }
    if (!Py_IS_FINITE(amount)) {
        return reject_number(self->family, sign * amount);
    }
    return record(self, args, nargs, kwnames, sign * amount, scalar_add);
}

static PyObject *
gauge_inc(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return nargs > 1 && !takes_one("inc", nargs, 0) ? NULL : gauge_move(op, args, nargs, kwnames, 1.0);
}

static PyObject *
gauge_dec(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return nargs > 1 && !takes_one("dec", nargs, 0) ? NULL : gauge_move(op, args, nargs, kwnames, -1.0);
}

static PyObject *
gauge_add(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return takes_one("add", nargs, 1) ? gauge_move(op, args, nargs, kwnames, 1.0) : NULL;
}

static PyObject *
gauge_set_from_callback(PyObject *op, PyObject *value)
{
    return gauge_set(op, &value, 1, NULL);
}

static PyObject *
gauge_track_in_progress(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (nargs != 0) {
        PyErr_Format(PyExc_TypeError, "track_in_progress() takes no positional arguments but %zd were given", nargs);
        return NULL;
    }
    return tracking_of((Instrument *)op, IN_PROGRESS, args, 0, kwnames);
}

static PyMethodDef gauge_methods[] = {
    {"set", (PyCFunction)(void (*)(void))gauge_set, METH_FASTCALL | METH_KEYWORDS, DOC_Gauge_set},
    {"inc", (PyCFunction)(void (*)(void))gauge_inc, METH_FASTCALL | METH_KEYWORDS, DOC_Gauge_inc},
    {"dec", (PyCFunction)(void (*)(void))gauge_dec, METH_FASTCALL | METH_KEYWORDS, DOC_Gauge_dec},
    {"add", (PyCFunction)(void (*)(void))gauge_add, METH_FASTCALL | METH_KEYWORDS, DOC_Gauge_add},
    {"track_in_progress", (PyCFunction)(void (*)(void))gauge_track_in_progress, METH_FASTCALL | METH_KEYWORDS,
     DOC_Gauge_track_in_progress},
    {"_set_from_callback", gauge_set_from_callback, METH_O, DOC_Gauge__set_from_callback},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef gauge_getset[] = {
    {"value", scalar_get_value, NULL, DOC_Gauge_value, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot gauge_slots[] = {
    {Py_tp_doc, DOC_Gauge},
    {Py_tp_dealloc, instrument_dealloc}, /* inherited, it would be wrapped */
    {Py_tp_methods, gauge_methods},
    {Py_tp_getset, gauge_getset},
    {0, NULL},
};

PyType_Spec gauge_spec = {
    .name = "tallymark.engine.native.Gauge",
    .basicsize = sizeof(Instrument),
    .flags = INSTRUMENT_FLAGS,
    .slots = gauge_slots,
};
