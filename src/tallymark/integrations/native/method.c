#include "exchange.h"

#include <structmember.h>

PyObject *
method_of(Exchange *owner, const char *name, vectorcallfunc call)
{
    State *state = owner->recorder->state;
    Method *self = (Method *)spare_or_new(&state->methods, state->method_type);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = call;
    Py_INCREF(owner);
    self->owner = owner;
    self->name = name;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

PyObject *
get_fixed_name(PyObject *Py_UNUSED(op), void *name)
{
    return PyUnicode_FromString(name);
}

static PyObject *
method_get_name(PyObject *op, void *Py_UNUSED(closure))
{
    return PyUnicode_FromString(((Method *)op)->name);
}

static int
method_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((Method *)op)->owner);
    return 0;
}

static void
method_dealloc(PyObject *op)
{
    PyObject_GC_UnTrack(op);
    Py_DECREF(((Method *)op)->owner);
    spare_or_free(op, offsetof(State, methods));
}

static PyMemberDef method_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Method, vectorcall), READONLY, NULL},
    {"__self__", T_OBJECT, offsetof(Method, owner), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef method_getset[] = {
    {"__name__", method_get_name, NULL, NULL, NULL},
    {"__qualname__", method_get_name, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot method_slots[] = {
    {Py_tp_dealloc, method_dealloc},
    {Py_tp_traverse, method_traverse},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, method_members},
    {Py_tp_getset, method_getset},
    {0, NULL},
};

PyType_Spec method_spec = {
    .name = "tallymark.integrations._exchanges.Method",
    .basicsize = sizeof(Method),
    .flags = FINAL_TYPE | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = method_slots,
};
