#include "response.h"

#include <structmember.h>

/* Its end */

static int
response_end_with(Exchange *self, PyObject *error)
{
    if (!self->is_open) {
        return 0;
    }
    if (exchange_note_error(self, error) < 0) {
        return -1;
    }
    int is_begun = self->start != NULL && self->start != Py_None;
    return !is_begun && response_note_route(self) < 0 ? -1 : exchange_finish(self, 0);
}

/* The same, for the exception that is set, which stays, unless that fails. */
static void
response_end_with_current(Exchange *self)
{
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(error, traceback);
    }
    if (response_end_with(self, error) < 0) {
        Py_XDECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(traceback);
        return;
    }
    PyErr_Restore(type, error, traceback);
}

static PyObject *
response_failed(PyObject *op, PyObject *error)
{
    return none_or_error(response_end_with((Exchange *)op, error));
}

static PyObject *
response_finish(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return none_or_error(exchange_finish((Exchange *)op, 0));
}

/* End the request, if the server has not taken all of it, and close the application's body. */
static PyObject *
response_close(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Response *self = (Response *)op;
    if (exchange_finish(&self->exchange, 0) < 0) {
        return NULL;
    }
    if (self->body == NULL || PyList_CheckExact(self->body)) {
        Py_RETURN_NONE;
    }
    PyObject *body = Py_NewRef(self->body);
    PyObject *close = PyObject_GetAttrString(body, "close"), *closed = NULL;
    Py_DECREF(body);
    if (close == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return NULL;
        }
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    if (close == Py_None || (closed = PyObject_CallNoArgs(close)) != NULL) {
        Py_XDECREF(closed);
        closed = Py_NewRef(Py_None);
    }
    Py_DECREF(close);
    return closed;
}

/* What the server gets */

static PyObject *
response_iter(PyObject *op)
{
    Response *self = (Response *)op;
    Py_CLEAR(self->iterator); /* who asks again, reads again, as far as the body can */
    self->is_read = 0;
    return Py_NewRef(op);
}

/* End the request: the server has taken the last byte. 0, or -1 with an exception. */
static int
note_read(Response *self)
{
    Exchange *exchange = &self->exchange;
    self->is_read = 1;
    Py_CLEAR(self->iterator);
    if (exchange->is_open && (exchange->start == NULL || exchange->start == Py_None)) {
        exchange_note_500(exchange); /* as servers answer now */
    }
    return exchange_finish(exchange, 0);
}

static PyObject *
response_get_body(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *body = ((Response *)op)->body;
    return Py_NewRef(body == NULL ? Py_None : body);
}

/* Return the iterator of the application's body: a new reference. */
static PyObject *
iterator_of(Response *self)
{
    if (self->iterator == NULL) {
        PyObject *body = response_get_body((PyObject *)self, NULL); /* held: its code may replace it */
        PyObject *iterator = PyObject_GetIter(body);
        Py_DECREF(body);
        Py_XSETREF(self->iterator, iterator);
    }
    return Py_XNewRef(self->iterator);
}

/* Return the next part of the application's body; NULL at its end, or with an exception. */
static PyObject *
next_chunk(Response *self)
{
    PyObject *iterator = iterator_of(self), *chunk = NULL;
    if (iterator != NULL && Py_EnterRecursiveCall(" while a response is read") == 0) { /* two may be each other's bodies */
        chunk = PyIter_Next(iterator);
        Py_LeaveRecursiveCall();
    }
    Py_XDECREF(iterator);
    return chunk;
}

static PyObject *
response_next(PyObject *op)
{
    Response *self = (Response *)op;
    if (self->is_read) {
        return NULL;
    }
    PyObject *chunk = next_chunk(self);
    if (chunk != NULL) {
        if (self->exchange.sent < 0 || exchange_count(&self->exchange, chunk) == 0) {
            return chunk;
        }
        Py_DECREF(chunk);
    }
    else if (!PyErr_Occurred()) {
        note_read(self);
        return NULL;
    }
    self->is_read = 1;
    Py_CLEAR(self->iterator);
    response_end_with_current(&self->exchange);
    return NULL;
}

/* By which servers see that a body is whole, and tell its size. */
static Py_ssize_t
response_length(PyObject *op)
{
    if (Py_EnterRecursiveCall(" while the length of a response is asked for") != 0) {
        return -1;
    }
    PyObject *body = response_get_body(op, NULL); /* held: its code may replace it */
    Py_ssize_t length = PyObject_Size(body);
    Py_DECREF(body);
    Py_LeaveRecursiveCall();
    return length;
}

static int
response_bool(PyObject *Py_UNUSED(op))
{
    return 1;
}

static PyObject *
response_get_start_response(PyObject *op, void *Py_UNUSED(closure))
{
    return Py_NewRef(op);
}

static PyObject *
bound_start_response(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    return response_call((PyObject *)((Method *)op)->owner, args, nargsf, kwnames);
}

/* Set the body. An application that returned `start_response` gave no response, but a callable that cannot be read. */
static int
response_set_body(PyObject *op, PyObject *body, void *Py_UNUSED(closure))
{
    PyObject *given = body == op ? method_of((Exchange *)op, "start_response", bound_start_response) : Py_XNewRef(body);
    if (given == NULL && body != NULL) {
        return -1;
    }
    Py_XSETREF(((Response *)op)->body, given);
    return 0;
}

static int
response_traverse(PyObject *op, visitproc visit, void *arg)
{
    Response *self = (Response *)op;
    Py_VISIT(self->start_response);
    Py_VISIT(self->write);
    Py_VISIT(self->body);
    Py_VISIT(self->iterator);
    return exchange_traverse(&self->exchange, visit, arg);
}

/* Drop what an application gave, through which a response may hold itself: a tuple with its `start_response`, say. */
static int
response_clear(PyObject *op)
{
    Response *self = (Response *)op;
    Py_CLEAR(self->body);
    Py_CLEAR(self->iterator);
    Py_CLEAR(self->exchange.start);
    return 0;
}

/* End the request of a response that nobody closed. */
static void
response_finalize(PyObject *op)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (exchange_finish((Exchange *)op, 0) < 0) {
        PyErr_WriteUnraisable(op);
    }
    PyErr_Restore(type, value, traceback);
}

static void
response_dealloc(PyObject *op)
{
    Response *self = (Response *)op;
    if (self->exchange.is_open && PyObject_CallFinalizerFromDealloc(op) < 0) {
        return;
    }
    PyObject_GC_UnTrack(op);
    Py_XDECREF(self->start_response);
    Py_XDECREF(self->write);
    Py_XDECREF(self->iterator);
    Py_XDECREF(self->body);
    exchange_clear(&self->exchange);
    spare_or_free(op, offsetof(State, responses));
}

/* Return the own tags that were asked for when the response began. */
static PyObject *
response_own_tags(PyObject *op, PyObject *ignored)
{
    const Exchange *self = (Exchange *)op;
    int is_begun = self->start != NULL && self->start != Py_None;
    return is_begun ? Py_NewRef(self->own == NULL ? Py_None : self->own) : exchange_own_tags(op, ignored);
}

static PyMethodDef response_methods[] = {
    {"finish", response_finish, METH_NOARGS, NULL},
    {"failed", response_failed, METH_O, NULL},
    {"close", response_close, METH_NOARGS, NULL},
    {"own_tags", response_own_tags, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef response_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Exchange, vectorcall), READONLY, NULL},
    {"is_open", T_BOOL, offsetof(Exchange, is_open), READONLY, NULL},
    {"request", T_OBJECT, offsetof(Exchange, request), READONLY, NULL},
    {"context", T_OBJECT, offsetof(Exchange, context), 0, NULL},
    {"_own", T_OBJECT, offsetof(Exchange, own), 0, NULL},
    {"_start", T_OBJECT, offsetof(Exchange, start), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef response_getset[] = {
    SIZE(sent),
    NAME("__name__", "start_response"),
    NAME("__qualname__", "start_response"),
    {"start_response", response_get_start_response, NULL, NULL, NULL},
    {"body", response_get_body, response_set_body, NULL, NULL},
    {"_metrics", exchange_get_metrics, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot response_slots[] = {
    {Py_tp_dealloc, response_dealloc},
    {Py_tp_finalize, response_finalize},
    {Py_tp_traverse, response_traverse},
    {Py_tp_clear, response_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_iter, response_iter},
    {Py_tp_iternext, response_next},
    {Py_sq_length, response_length},
    {Py_nb_bool, response_bool},
    {Py_tp_methods, response_methods},
    {Py_tp_members, response_members},
    {Py_tp_getset, response_getset},
    {0, NULL},
};

PyType_Spec response_spec = {
    .name = "tallymark.integrations._exchanges.Response",
    .basicsize = sizeof(Response),
    .flags = FINAL_TYPE | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = response_slots,
};

/* The beginning */

#define LONGEST 15 /* digits of a size that is believed: nobody sends a petabyte */

/* Return the size of a request's body, as its headers tell it; or NOT_KNOWN. */
static Py_ssize_t
told_size(PyObject *length, PyObject *coding)
{
    if (length == NULL || length == Py_None || (PyUnicode_Check(length) && PyUnicode_GET_LENGTH(length) == 0)) {
        int is_chunked = coding != NULL && PyUnicode_Check(coding) && PyUnicode_GET_LENGTH(coding) > 0;
        return is_chunked ? NOT_KNOWN : 0;
    }
    if (!PyUnicode_Check(length)) {
        return NOT_KNOWN;
    }
    Py_ssize_t size = 0, n = PyUnicode_GET_LENGTH(length);
    for (Py_ssize_t i = 0; i < n; i++) {
        Py_UCS4 digit = PyUnicode_READ_CHAR(length, i);
        if (n > LONGEST || digit < '0' || digit > '9') {
            return NOT_KNOWN;
        }
        size = size * 10 + (Py_ssize_t)(digit - '0');
    }
    return size;
}

/* Set `size` to that of a request's body, or NOT_KNOWN: 0, or -1 with an exception. */
static int
read_size(PyObject *environ, PyObject **texts, Py_ssize_t *size)
{
    PyObject *length = Py_XNewRef(PyDict_GetItemWithError(environ, texts[CONTENT_LENGTH]));
    /* Held: other keys of an environ may have code that compares them, and changes it. */
    PyObject *coding = PyErr_Occurred() ? NULL : PyDict_GetItemWithError(environ, texts[TRANSFER_ENCODING]);
    int result = PyErr_Occurred() ? -1 : 0;
    *size = result < 0 ? NOT_KNOWN : told_size(length, coding);
    Py_XDECREF(length);
    return result;
}

static PyObject *
response_of(Recorder *recorder, Line *line_steal, PyObject *environ, PyObject *start_response)
{
    State *state = recorder->state;
    Py_ssize_t received = NOT_KNOWN;
    int is_known = line_steal != NULL && read_size(environ, state->texts, &received) == 0;
    Response *self = is_known ? (Response *)spare_or_new(&state->responses, state->response_type) : NULL;
    if (self == NULL) {
        Py_XDECREF(line_steal);
        return NULL;
    }
    self->exchange.vectorcall = response_call;
    self->start_response = Py_NewRef(start_response);
    self->write = self->body = self->iterator = NULL;
    self->is_read = 0;
    int begun = exchange_begin(&self->exchange, recorder, line_steal, environ);
    self->exchange.received = received;
    PyObject_GC_Track(self);
    if (begun < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

PyObject *
responses_call(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Recorder *self = (Recorder *)op;
    if (PyVectorcall_NARGS(nargsf) != 3 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "metrics, environ and start_response are needed");
        return NULL;
    }
    PyObject *metrics = args[0], *environ = args[1];
    if (metrics != self->metrics && recorder_use(self, metrics) < 0) {
        return NULL;
    }
    if (!PyDict_CheckExact(environ)) {
        return PyObject_Vectorcall(self->otherwise, args, 3, NULL);
    }
    int claims = recorder_claims(self, environ);
    if (claims <= 0) {
        return none_or_error(claims);
    }
    Line *line = recorder_line(self, environ, SERVER_PROTOCOL, URL_SCHEME, REQUEST_METHOD);
    return response_of(self, line, environ, args[2]);
}
