/* What begins the requests of one middleware: `Requests` under ASGI, `Responses` under WSGI. And the base of their lines.
 *
 * Nothing here has a `tp_clear`: each cycle that these are in is through a dict, which has. So no field becomes NULL. */
#include "recorder.h"

#include <structmember.h>

static PyMemberDef line_members[] = {
    {"metrics", T_OBJECT, offsetof(Line, metrics), 0, NULL}, {"begin", T_OBJECT, offsetof(Line, begin), 0, NULL},
    {"end", T_OBJECT, offsetof(Line, end), 0, NULL},         {"known", T_OBJECT, offsetof(Line, known), 0, NULL},
    {"is_stale", T_BOOL, offsetof(Line, is_stale), 0, NULL}, {NULL, 0, 0, 0, NULL},
};

static int
line_traverse(PyObject *op, visitproc visit, void *arg)
{
    Line *self = (Line *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->metrics);
    Py_VISIT(self->begin);
    Py_VISIT(self->end);
    Py_VISIT(self->known);
    return 0;
}

static void
line_dealloc(PyObject *op)
{
    Line *self = (Line *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_XDECREF(self->metrics);
    Py_XDECREF(self->begin);
    Py_XDECREF(self->end);
    Py_XDECREF(self->known);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyType_Slot line_slots[] = {
    {Py_tp_dealloc, line_dealloc},
    {Py_tp_traverse, line_traverse},
    {Py_tp_members, line_members},
    {0, NULL},
};

PyType_Spec line_spec = {
    .name = "tallymark.integrations._exchanges.LineFields",
    .basicsize = sizeof(Line),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = line_slots,
};

/* Recorders */

static PyObject *
recorder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {
        "route", "find_line", "otherwise", "helper", "error_type", "handled_error", "clock", "versions", NULL,
    };
    PyObject *route, *find_line, *otherwise, *helper, *error_type, *handled_error, *clock = Py_None, *versions = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOO|OO", names, &route, &find_line, &otherwise, &helper, &error_type,
                                     &handled_error, &clock, &versions)) {
        return NULL;
    }
    State *state = PyType_GetModuleState(type);
    Recorder *self = (Recorder *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = type == state->requests_type ? requests_call : responses_call;
    self->state = state;
    self->versions = versions == Py_None ? NULL : Py_NewRef(versions);
    self->find_line = Py_NewRef(find_line);
    self->otherwise = Py_NewRef(otherwise);
    self->helper = Py_NewRef(helper);
    self->error_type = Py_NewRef(error_type);
    self->handled_error = Py_NewRef(handled_error);
    self->clock = clock == Py_None ? NULL : Py_NewRef(clock);
    recorder_set_route(self, route);
    return (PyObject *)self;
}

static int
recorder_traverse(PyObject *op, visitproc visit, void *arg)
{
    Recorder *self = (Recorder *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->metrics);
    Py_VISIT(self->lines);
    Py_VISIT(self->versions);
    Py_VISIT(self->route);
    Py_VISIT(self->templates);
    Py_VISIT(self->find_line);
    Py_VISIT(self->otherwise);
    Py_VISIT(self->clock);
    Py_VISIT(self->helper);
    Py_VISIT(self->error_type);
    Py_VISIT(self->handled_error);
    return 0;
}

static void
recorder_dealloc(PyObject *op)
{
    Recorder *self = (Recorder *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_XDECREF(self->metrics);
    Py_XDECREF(self->lines);
    Py_XDECREF(self->versions);
    Py_XDECREF(self->route);
    Py_XDECREF(self->templates);
    Py_XDECREF(self->find_line);
    Py_XDECREF(self->otherwise);
    Py_XDECREF(self->clock);
    Py_XDECREF(self->helper);
    Py_XDECREF(self->error_type);
    Py_XDECREF(self->handled_error);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *
recorder_get_route(PyObject *op, void *Py_UNUSED(closure))
{
    return Py_NewRef(((Recorder *)op)->route);
}

static int
recorder_assign_route(PyObject *op, PyObject *route, void *Py_UNUSED(closure))
{
    if (route == NULL) {
        PyErr_SetString(PyExc_AttributeError, "route cannot be deleted");
        return -1;
    }
    recorder_set_route((Recorder *)op, route);
    return 0;
}

static PyGetSetDef recorder_getset[] = {
    {"route", recorder_get_route, recorder_assign_route, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef recorder_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Recorder, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot recorder_slots[] = {
    {Py_tp_new, recorder_new},
    {Py_tp_dealloc, recorder_dealloc},
    {Py_tp_traverse, recorder_traverse},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, recorder_members},
    {Py_tp_getset, recorder_getset},
    {0, NULL},
};

#define RECORDER_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL)

PyType_Spec requests_spec = {
    .name = "tallymark.integrations._exchanges.Requests",
    .basicsize = sizeof(Recorder),
    .flags = RECORDER_FLAGS,
    .slots = recorder_slots,
};

PyType_Spec responses_spec = {
    .name = "tallymark.integrations._exchanges.Responses",
    .basicsize = sizeof(Recorder),
    .flags = RECORDER_FLAGS,
    .slots = recorder_slots,
};
