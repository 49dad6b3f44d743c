/* A gauge in shared memory that was not moved yet. Of the first that is, the policy is told: it says what to do so that the gauge
 * survives kills. From then on it is a plain gauge, so that its records cost nothing more. */
#include "gauge.h"

#include "docs.h"

int
family_decide(Family *family)
{
    if (!family->is_undecided) {
        return 0;
    }
    family->is_undecided = 0;
    if (family->instrument_type == family->state->undecided_gauge_type) {
        Py_SETREF(family->instrument_type, (PyTypeObject *)Py_NewRef((PyObject *)family->state->gauge_type));
    }
    PyObject *told = PyObject_CallMethod(family->policy, "gauge_moved", "O", family);
    Py_XDECREF(told);
    return told == NULL ? -1 : 0;
}

/* Make an instrument a plain gauge: 0, or -1 with an exception. */
static int
decide(PyObject *op)
{
    Instrument *self = (Instrument *)op;
    PyTypeObject *type = Py_TYPE(op);
    if (type == self->family->state->undecided_gauge_type) {
        Py_SET_TYPE(op, (PyTypeObject *)Py_NewRef((PyObject *)self->family->state->gauge_type));
        Py_DECREF(type);
    }
    return family_decide(self->family);
}

static inline PyObject *
move(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, double sign)
{
    return decide(op) < 0 ? NULL : gauge_move_with(op, args, nargs, kwnames, sign, scalar_add);
}

static PyObject *
undecided_inc(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return nargs > 1 && !takes_one("inc", nargs, 0) ? NULL : move(op, args, nargs, kwnames, 1.0);
}

static PyObject *
undecided_dec(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return nargs > 1 && !takes_one("dec", nargs, 0) ? NULL : move(op, args, nargs, kwnames, -1.0);
}

static PyObject *
undecided_add(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return takes_one("add", nargs, 1) ? move(op, args, nargs, kwnames, 1.0) : NULL;
}

static PyMethodDef undecided_methods[] = {
    {"inc", (PyCFunction)(void (*)(void))undecided_inc, METH_FASTCALL | METH_KEYWORDS, DOC_Gauge_inc},
    {"dec", (PyCFunction)(void (*)(void))undecided_dec, METH_FASTCALL | METH_KEYWORDS, DOC_Gauge_dec},
    {"add", (PyCFunction)(void (*)(void))undecided_add, METH_FASTCALL | METH_KEYWORDS, DOC_Gauge_add},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot undecided_slots[] = {
    {Py_tp_doc, DOC_Gauge},
    {Py_tp_dealloc, instrument_dealloc},
    {Py_tp_methods, undecided_methods},
    {0, NULL},
};

PyType_Spec undecided_gauge_spec = {
    .name = "tallymark.engine.native.Gauge",
    .basicsize = sizeof(Instrument),
    .flags = INSTRUMENT_FLAGS,
    .slots = undecided_slots,
};
