/* A timed function: what `@timer.time()` makes of a plain function. It replaces the function as functools.wraps would, and adds
 * two readings of the clock and an observation to each call. */
#include "timing.h"

#include <structmember.h>

#include "clock.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    Instrument *timer;
    PyObject *function, *dict, *weaklist;
} Timed;

/* Have the exception that is set tell of one that passed before it, as in an `except` block. Steals. */
static void
raise_in_context(PyObject *type_steal, PyObject *value_steal, PyObject *traceback_steal)
{
    PyObject *type, *value, *traceback;
    PyErr_NormalizeException(&type_steal, &value_steal, &traceback_steal);
    if (traceback_steal != NULL) {
        PyException_SetTraceback(value_steal, traceback_steal);
    }
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    PyException_SetContext(value, value_steal); /* steals */
    PyErr_Restore(type, value, traceback);
    Py_DECREF(type_steal);
    Py_XDECREF(traceback_steal);
}

static PyObject *
timed_call(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)op;
    if (self->function == NULL) { /* cleared as garbage; a finaliser may still call it */
        PyErr_SetString(PyExc_ReferenceError, "the timed function is gone");
        return NULL;
    }
    if (Py_EnterRecursiveCall(" while calling a timed function")) { /* timed functions may be nested to any depth */
        return NULL;
    }
    int64_t start = clock_now();
    PyObject *function = Py_NewRef(self->function);
    PyObject *result = PyObject_Vectorcall(function, args, nargsf, kwnames);
    Py_DECREF(function);
    Py_LeaveRecursiveCall();
    double seconds = (double)(clock_now() - start) * 1e-9;
    PyObject *type = NULL, *value = NULL, *traceback = NULL;
    if (result == NULL) {
        PyErr_Fetch(&type, &value, &traceback);
    }
    PyObject *recorded = timer_record_seconds(self->timer, NULL, 0, NULL, seconds);
    if (recorded == NULL) { /* a strict registry rejected it */
        if (result == NULL) {
            raise_in_context(type, value, traceback);
        }
        Py_CLEAR(result);
        return NULL;
    }
    Py_DECREF(recorded);
    if (result == NULL) {
        PyErr_Restore(type, value, traceback);
    }
    return result;
}

static PyObject *
timed_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    State *state = state_of_type(type);
    PyObject *timer, *function;
    if (!PyArg_ParseTuple(args, "O!O", state->timer_type, &timer, &function)) {
        return NULL;
    }
    Timed *self = (Timed *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = timed_call;
    self->timer = (Instrument *)Py_NewRef(timer);
    self->function = Py_NewRef(function);
    PyObject *update_wrapper = borrowed(state, UPDATE_WRAPPER);
    PyObject *updated = update_wrapper == NULL ? NULL : PyObject_CallFunctionObjArgs(update_wrapper, self, function, NULL);
    if (updated == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    Py_DECREF(updated);
    return (PyObject *)self;
}

static int
timed_traverse(PyObject *op, visitproc visit, void *arg)
{
    Timed *self = (Timed *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->function);
    Py_VISIT(self->dict);
    return 0;
}

static int
timed_clear(PyObject *op)
{
    Timed *self = (Timed *)op;
    Py_CLEAR(self->function);
    Py_CLEAR(self->dict);
    return 0;
}

static void
timed_dealloc(PyObject *op)
{
    Timed *self = (Timed *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_TRASHCAN_BEGIN(op, timed_dealloc)
    if (self->weaklist != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    timed_clear(op);
    Py_XDECREF(self->timer);
    type->tp_free(op);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

static PyObject *
timed_bind(PyObject *op, PyObject *object, PyObject *Py_UNUSED(type))
{
    return object == NULL || object == Py_None ? Py_NewRef(op) : PyMethod_New(op, object);
}

static PyObject *
timed_repr(PyObject *op)
{
    return PyUnicode_FromFormat("<timed %R>", ((Timed *)op)->function);
}

/* Pickled by its name, as a function is. */
static PyObject *
timed_reduce(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return PyObject_GetAttrString(op, "__qualname__");
}

static PyMethodDef timed_methods[] = {
    {"__reduce__", timed_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef timed_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(Timed, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Timed, weaklist), READONLY, NULL},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Timed, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef timed_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot timed_slots[] = {
    {Py_tp_new, timed_new},
    {Py_tp_dealloc, timed_dealloc},
    {Py_tp_traverse, timed_traverse},
    {Py_tp_clear, timed_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_descr_get, timed_bind},
    {Py_tp_repr, timed_repr},
    {Py_tp_methods, timed_methods},
    {Py_tp_members, timed_members},
    {Py_tp_getset, timed_getset},
    {0, NULL},
};

PyType_Spec timed_spec = {
    .name = "tallymark.engine.native.TimedFunction",
    .basicsize = sizeof(Timed),
    .flags = INSTRUMENT_FLAGS | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR,
    .slots = timed_slots,
};
