/* An operation recorder: one call that counts, and times if it has a timer, with tags as positional arguments.
 *
 * It costs two lookups and two records. The tags are passed to both on the C stack, as keys and values, never in a dict. */
#include "distribution.h"
#include "scalar.h"
#include "operation_recorder.h"
#include "timing.h"

#include <structmember.h>

#include "docs.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    Instrument *counter, *timer; /* owned; timer may be NULL */
    PyObject *keys, *defaults;   /* tuples of exact str: all keys; the values of the last ones, where they are omitted */
} OperationRecorder;

static PyObject *
recorder_record(OperationRecorder *self, Tags tags, PyObject *duration)
{
    double seconds = 0.0;
    int is_number = self->timer == NULL ? 0 : timer_seconds_of(self->timer->family, duration, &seconds);
    if (is_number < 0 || record_given(self->counter, tags, 1.0, scalar_add) < 0) {
        return NULL;
    }
    if (is_number == 1) {
        if (!(seconds >= 0.0 && seconds < Py_HUGE_VAL)) {
            return reject_number(self->timer->family, seconds);
        }
        if (record_given(self->timer, tags, seconds, distribution_observe) < 0) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

/* Not inlined: tools/record_path.py knows it by its name. */
__attribute__((noinline)) static PyObject *
recorder_wrong_arguments(const OperationRecorder *self, Py_ssize_t nargs, Py_ssize_t n_tags)
{
    if (n_tags > MAX_TAGS) {
        PyErr_Format(PyExc_TypeError, "at most %d tags can be given in one call", MAX_TAGS);
        return NULL;
    }
    PyErr_Format(PyExc_TypeError, "%R%s are needed by position, but %zd were given", self->keys,
                 self->timer == NULL ? "" : " and a duration", nargs);
    return NULL;
}

static PyObject *
recorder_call(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    OperationRecorder *self = (OperationRecorder *)op;
    PyObject *keys[MAX_TAGS], *values[MAX_TAGS];
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf), n_context = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    Py_ssize_t n_keys = PyTuple_GET_SIZE(self->keys), n_defaults = PyTuple_GET_SIZE(self->defaults);
    Py_ssize_t n_values = nargs - (self->timer != NULL);
    if (n_values > n_keys || n_values < n_keys - n_defaults || n_context + n_keys > MAX_TAGS) {
        return recorder_wrong_arguments(self, nargs, n_context + n_keys);
    }
    Py_ssize_t n = 0;
    for (Py_ssize_t i = n_values; i < n_keys; i++, n++) { /* the last of a name wins: defaults, keywords, positional values */
        keys[n] = PyTuple_GET_ITEM(self->keys, i);
        values[n] = PyTuple_GET_ITEM(self->defaults, n_defaults - (n_keys - i));
    }
    for (Py_ssize_t i = 0; i < n_context; i++, n++) {
        keys[n] = PyTuple_GET_ITEM(kwnames, i);
        values[n] = args[nargs + i];
    }
    for (Py_ssize_t i = 0; i < n_values; i++, n++) {
        keys[n] = PyTuple_GET_ITEM(self->keys, i);
        values[n] = args[i];
    }
    return recorder_record(self, (Tags){keys, values, n}, self->timer == NULL ? NULL : args[nargs - 1]);
}

static int
all_text(PyObject *tuple)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
        if (!PyUnicode_CheckExact(PyTuple_GET_ITEM(tuple, i))) {
            return 0;
        }
    }
    return 1;
}

static PyObject *
recorder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"counter", "keys", "timer", "defaults", NULL};
    State *state = state_of_type(type);
    PyObject *counter, *keys, *timer = Py_None, *defaults = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!|OO!:OperationRecorder", names, state->counter_type, &counter, &PyTuple_Type, &keys,
                                     &timer, &PyTuple_Type, &defaults)) {
        return NULL;
    }
    if ((timer != Py_None && !Py_IS_TYPE(timer, state->timer_type)) || !all_text(keys)
        || (defaults != NULL && !all_text(defaults)) || PyTuple_GET_SIZE(keys) > MAX_TAGS
        || (defaults != NULL && PyTuple_GET_SIZE(defaults) > PyTuple_GET_SIZE(keys))) {
        PyErr_SetString(PyExc_TypeError, "a recorder takes a counter, keys as text, a timer or None, and defaults for the last keys");
        return NULL;
    }
    OperationRecorder *self = (OperationRecorder *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = recorder_call;
    self->counter = (Instrument *)Py_NewRef(counter);
    self->timer = timer == Py_None ? NULL : (Instrument *)Py_NewRef(timer);
    self->keys = Py_NewRef(keys);
    self->defaults = defaults == NULL ? PyTuple_New(0) : Py_NewRef(defaults);
    if (self->defaults == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void
recorder_dealloc(PyObject *op)
{
    OperationRecorder *self = (OperationRecorder *)op;
    PyTypeObject *type = Py_TYPE(op);
    Py_XDECREF(self->counter);
    Py_XDECREF(self->timer);
    Py_XDECREF(self->keys);
    Py_XDECREF(self->defaults);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMemberDef recorder_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(OperationRecorder, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot recorder_slots[] = {
    {Py_tp_doc, DOC_OperationRecorder},
    {Py_tp_new, recorder_new},
    {Py_tp_dealloc, recorder_dealloc},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, recorder_members},
    {0, NULL},
};

PyType_Spec operation_recorder_spec = {
    .name = "tallymark.engine.native.OperationRecorder",
    .basicsize = sizeof(OperationRecorder),
    .flags = INSTRUMENT_FLAGS | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = recorder_slots,
};
