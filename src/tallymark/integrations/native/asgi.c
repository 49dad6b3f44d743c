/* An ASGI request under way: the object is itself the `send` that an application gets. integrations/asgi_exchanges.py is the
 * specification. */
#include "sending.h"

#include <structmember.h>

/* Return what a message has at a key: a new reference. NULL without an exception if it has nothing there. */
static PyObject *
message_get(PyObject *message, PyObject *key)
{
    if (PyDict_CheckExact(message)) {
        return Py_XNewRef(PyDict_GetItemWithError(message, key));
    }
    PyObject *found = PyObject_CallMethod(message, "get", "O", key);
    if (found == Py_None) {
        Py_CLEAR(found);
    }
    return found;
}

/* The same, as `message[key]`. */
static PyObject *
message_item(PyObject *message, PyObject *key)
{
    if (!PyDict_CheckExact(message)) {
        return PyObject_GetItem(message, key);
    }
    PyObject *found = Py_XNewRef(PyDict_GetItemWithError(message, key));
    if (found == NULL && !PyErr_Occurred()) {
        PyErr_SetObject(PyExc_KeyError, key);
    }
    return found;
}

/* Return 1 if what a message has at a key is true; 0; -1 with an exception. */
static int
is_true_at(PyObject *message, PyObject *key)
{
    PyObject *found = message_get(message, key);
    int result = found == NULL ? (PyErr_Occurred() ? -1 : 0) : PyObject_IsTrue(found);
    Py_XDECREF(found);
    return result;
}

/* Count the body of a message, if it has one: 0, or -1 with an exception. */
static int
count_body(Exchange *self, PyObject *message)
{
    PyObject *body = message_get(message, self->recorder->state->texts[BODY]);
    if (body == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    int has_any = PyObject_IsTrue(body);
    int result = has_any <= 0 || self->sent < 0 ? has_any : exchange_count(self, body);
    Py_DECREF(body);
    return result < 0 ? -1 : 0;
}

static int
note_start(Exchange *self, PyObject *message)
{
    if (self->start != NULL) {
        return 0;
    }
    PyObject *status = message_item(message, self->recorder->state->texts[STATUS]);
    if (status == NULL) {
        return -1;
    }
    Py_XSETREF(self->status, status);
    Py_XSETREF(self->start, Py_NewRef(message));
    return 0;
}

static PyObject *
hand_over(Exchange *self, PyObject *message)
{
    int has_more = is_true_at(message, self->recorder->state->texts[MORE_BODY]);
    return has_more < 0 ? NULL : sending_of((Request *)self, message, !has_more);
}

/* Hand a message over to the server. */
static PyObject *
request_send(Request *request, PyObject *message)
{
    Exchange *self = &request->exchange;
    if (self->is_open) {
        PyObject **texts = self->recorder->state->texts;
        PyObject *type = message_item(message, texts[TYPE]);
        if (type == NULL) {
            return NULL;
        }
        int is_end = is_text(type, texts[END]), is_start = !is_end && is_text(type, texts[START]);
        int is_file = !is_end && !is_start && (is_text(type, texts[PATHSEND]) || is_text(type, texts[ZEROCOPYSEND]));
        Py_DECREF(type);
        if (is_end) {
            return count_body(self, message) < 0 ? NULL : hand_over(self, message);
        }
        if (is_file) {
            self->sent = NOT_KNOWN; /* the server reads it */
            return hand_over(self, message);
        }
        if (is_start && note_start(self, message) < 0) {
            return NULL;
        }
    }
    return PyObject_CallOneArg(request->send, message);
}

static PyObject *
request_call(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Py_ssize_t n_named = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    if (PyVectorcall_NARGS(nargsf) + n_named != 1
        || (n_named == 1 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, 0), "message") != 0)) {
        PyErr_SetString(PyExc_TypeError, "send() takes one argument, message");
        return NULL;
    }
    return request_send((Request *)op, args[0]);
}

/* Take a message of the client. */
static PyObject *
request_receive(PyObject *op, PyObject *const *Py_UNUSED(args), size_t nargsf, PyObject *kwnames)
{
    Request *self = (Request *)((Method *)op)->owner;
    if (PyVectorcall_NARGS(nargsf) != 0 || (kwnames != NULL && PyTuple_GET_SIZE(kwnames) > 0)) {
        PyErr_SetString(PyExc_TypeError, "receive() takes no arguments");
        return NULL;
    }
    return self->exchange.is_open ? PyObject_CallOneArg(self->exchange.recorder->helper, (PyObject *)self)
                                  : PyObject_CallNoArgs(self->receive);
}

/* Its end */

static PyObject *
request_finish(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return none_or_error(exchange_finish((Exchange *)op, 1));
}

static PyObject *
request_failed(PyObject *op, PyObject *error)
{
    Exchange *self = (Exchange *)op;
    if (!self->is_open) {
        Py_RETURN_NONE;
    }
    return none_or_error(exchange_note_error(self, error) < 0 ? -1 : exchange_finish(self, 1));
}

static PyObject *
request_returned(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Exchange *self = (Exchange *)op;
    if (self->status == NULL || self->status == Py_None) {
        exchange_note_500(self);
    }
    else {
        PyObject *error = PyUnicode_InternFromString("incomplete_response");
        if (error == NULL) {
            return NULL;
        }
        Py_XSETREF(self->error, error);
    }
    return none_or_error(exchange_finish(self, 1));
}

static PyObject *
request_get_send(PyObject *op, void *Py_UNUSED(closure))
{
    return Py_NewRef(op);
}

static PyObject *
request_get_receive(PyObject *op, void *Py_UNUSED(closure))
{
    return method_of((Exchange *)op, "receive", request_receive);
}

static int
request_traverse(PyObject *op, visitproc visit, void *arg)
{
    Request *self = (Request *)op;
    Py_VISIT(self->send);
    Py_VISIT(self->receive);
    return exchange_traverse(&self->exchange, visit, arg);
}

static void
request_dealloc(PyObject *op)
{
    Request *self = (Request *)op;
    PyObject_GC_UnTrack(op);
    Py_XDECREF(self->send);
    Py_XDECREF(self->receive);
    exchange_clear(&self->exchange);
    spare_or_free(op, offsetof(State, requests));
}

static PyMethodDef request_methods[] = {
    {"finish", request_finish, METH_NOARGS, NULL},
    {"failed", request_failed, METH_O, NULL},
    {"returned", request_returned, METH_NOARGS, NULL},
    {"own_tags", exchange_own_tags, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef request_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Exchange, vectorcall), READONLY, NULL},
    {"is_open", T_BOOL, offsetof(Exchange, is_open), READONLY, NULL},
    {"_receive", T_OBJECT, offsetof(Request, receive), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef request_getset[] = {
    SIZE(received),
    NAME("__name__", "send"),
    NAME("__qualname__", "send"),
    {"send", request_get_send, NULL, NULL, NULL},
    {"receive", request_get_receive, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot request_slots[] = {
    {Py_tp_dealloc, request_dealloc},
    {Py_tp_traverse, request_traverse},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_methods, request_methods},
    {Py_tp_members, request_members},
    {Py_tp_getset, request_getset},
    {0, NULL},
};

PyType_Spec request_spec = {
    .name = "tallymark.integrations._exchanges.Request",
    .basicsize = sizeof(Request),
    .flags = FINAL_TYPE | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = request_slots,
};

/* The beginning */

static Request *
request_of(Recorder *recorder, Line *line_steal, PyObject *scope, PyObject *receive, PyObject *send)
{
    State *state = recorder->state;
    Request *self = line_steal == NULL ? NULL : (Request *)spare_or_new(&state->requests, state->request_type);
    if (self == NULL) {
        Py_XDECREF(line_steal);
        return NULL;
    }
    self->exchange.vectorcall = request_call;
    self->send = Py_NewRef(send);
    self->receive = Py_NewRef(receive);
    int begun = exchange_begin(&self->exchange, recorder, line_steal, scope);
    PyObject_GC_Track(self);
    if (begun < 0) {
        Py_CLEAR(self);
    }
    return self;
}

/* Begin a request: called with metrics, scope, receive, send. */
PyObject *
requests_call(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Recorder *self = (Recorder *)op;
    if (PyVectorcall_NARGS(nargsf) != 4 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "metrics, scope, receive and send are needed");
        return NULL;
    }
    PyObject *metrics = args[0], *scope = args[1], **texts = self->state->texts;
    if (metrics != self->metrics && recorder_use(self, metrics) < 0) {
        return NULL;
    }
    PyObject *type = PyDict_CheckExact(scope) ? PyDict_GetItemWithError(scope, texts[TYPE]) : NULL;
    if (type == NULL || !is_text(type, texts[HTTP])) {
        return PyErr_Occurred() ? NULL : PyObject_Vectorcall(self->otherwise, args, 4, NULL);
    }
    int claims = recorder_claims(self, scope);
    if (claims <= 0) {
        return none_or_error(claims);
    }
    return (PyObject *)request_of(self, recorder_line(self, scope, VERSION, SCHEME, METHOD), scope, args[2], args[3]);
}
