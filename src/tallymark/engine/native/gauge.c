#include "gauge.h"

#include "docs.h"

static PyObject *
gauge_set(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return gauge_set_with(op, args, nargs, kwnames, scalar_set);
}

static PyObject *
gauge_inc(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return nargs > 1 && !takes_one("inc", nargs, 0) ? NULL : gauge_move_with(op, args, nargs, kwnames, 1.0, scalar_add);
}

static PyObject *
gauge_dec(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return nargs > 1 && !takes_one("dec", nargs, 0) ? NULL : gauge_move_with(op, args, nargs, kwnames, -1.0, scalar_add);
}

static PyObject *
gauge_add(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return takes_one("add", nargs, 1) ? gauge_move_with(op, args, nargs, kwnames, 1.0, scalar_add) : NULL;
}

static PyObject *
gauge_set_from_callback(PyObject *op, PyObject *value)
{
    return gauge_set(op, &value, 1, NULL);
}

PyObject *
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
