/* A WSGI request under way: the object is itself the iterable and iterator that a server gets. integrations/wsgi_response.py is the
 * specification. */
#include "recorder.h"

#include <structmember.h>

typedef struct {
    Exchange exchange;
    PyObject *start_response, *write; /* the server's; `write` may be NULL */
    PyObject *body, *iterator;        /* the application's; NULL before */
    char is_read;                     /* 1 once the iterator had no more */
} Response;

/* What the application gets */

/* Return the code that the text of a status begins with: None if it begins with none. NULL with an exception. */
static PyObject *
code_of(PyObject *status)
{
    long code = 0;
    if (!PyUnicode_Check(status) || PyUnicode_GET_LENGTH(status) == 0) {
        Py_RETURN_NONE;
    }
    Py_ssize_t n = PyUnicode_GET_LENGTH(status) < 3 ? PyUnicode_GET_LENGTH(status) : 3;
    for (Py_ssize_t i = 0; i < n; i++) {
        Py_UCS4 digit = PyUnicode_READ_CHAR(status, i);
        if (digit < '0' || digit > '9') {
            Py_RETURN_NONE;
        }
        code = code * 10 + (long)(digit - '0');
    }
    return PyLong_FromLong(code);
}

/* Count what went wrong with the name of a route, and clear it: 0; -1 if it is none of that. */
static int
forgive_route(Exchange *self)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(error, traceback);
    }
    PyObject *metrics = exchange_get_metrics((PyObject *)self, NULL);
    PyObject *told = PyObject_CallMethod(metrics, "failed", "sO", "route", error);
    Py_DECREF(metrics);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(traceback);
    Py_XDECREF(told);
    return told == NULL ? -1 : 0;
}

/* Ask for the route: 0, or -1 with an exception. */
static int
note_route(Exchange *self)
{
    PyObject *route = recorder_route(self->recorder, self->request);
    if (route == NULL) {
        return forgive_route(self);
    }
    Py_XSETREF(self->route, route);
    return 0;
}

/* Set `error` to that of a response of status 500 or more: 0, or -1 with an exception. */
static int
note_server_error(Exchange *self, PyObject *exc_info)
{
    PyObject *error;
    int is_given = exc_info == NULL ? 0 : PyObject_IsTrue(exc_info);
    if (is_given < 0) {
        return -1;
    }
    if (is_given) {
        PyObject *raised = PySequence_GetItem(exc_info, 1);
        error = raised == NULL ? NULL : PyObject_CallOneArg(self->recorder->error_type, raised);
        Py_XDECREF(raised);
    }
    else {
        PyObject **texts = self->recorder->state->texts;
        error = Py_XNewRef(PyDict_GetItemWithError(self->request, texts[ERROR]));
        if (error == NULL && !PyErr_Occurred()) {
            error = Py_NewRef(texts[EMPTY]);
        }
    }
    if (error == NULL) {
        return -1;
    }
    Py_XSETREF(self->error, error);
    return 0;
}

/* Note what may be gone at the end: 0, or -1 with an exception. */
static int
note_response(Exchange *self, PyObject *status, PyObject *headers, PyObject *exc_info)
{
    PyObject *code = code_of(status);
    if (code == NULL) {
        return -1;
    }
    Py_XSETREF(self->start, Py_NewRef(headers));
    Py_XSETREF(self->status, code);
    int fails = code != Py_None && PyLong_AsLong(code) >= 500;
    if (note_route(self) < 0 || (fails && note_server_error(self, exc_info) < 0)) {
        return -1;
    }
    if (!self->recorder->notes_more) {
        return 0;
    }
    PyObject *args[] = {(PyObject *)self, status, headers};
    return call_for_effect(self->recorder->helper, args, 3);
}

/* Send a part of the response at once. */
static PyObject *
response_write(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Response *self = (Response *)((Method *)op)->owner;
    if (PyVectorcall_NARGS(nargsf) != 1 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "write() takes one argument");
        return NULL;
    }
    if (self->exchange.sent >= 0 && exchange_count(&self->exchange, args[0]) < 0) {
        return NULL;
    }
    if (self->write == NULL) {
        Py_RETURN_NONE;
    }
    PyObject *write = Py_NewRef(self->write);
    PyObject *result = PyObject_CallOneArg(write, args[0]);
    Py_DECREF(write);
    return result;
}

/* Begin the response; return what sends a part of it. */
static PyObject *
begin_response(Response *self, PyObject *status, PyObject *headers, PyObject *exc_info)
{
    if (self->exchange.is_open && note_response(&self->exchange, status, headers, exc_info) < 0) {
        return NULL;
    }
    int is_given = exc_info == NULL ? 0 : PyObject_IsTrue(exc_info);
    if (is_given < 0) {
        return NULL;
    }
    PyObject *args[] = {status, headers, exc_info};
    /* A server that does not know of exc_info must not have to. */
    PyObject *write = PyObject_Vectorcall(self->start_response, args, is_given ? 3 : 2, NULL);
    if (write == NULL) {
        return NULL;
    }
    Py_XSETREF(self->write, write);
    return method_of(&self->exchange, "write", response_write);
}

static PyObject *
response_call(PyObject *op, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    static const char *const names[] = {"status", "headers", "exc_info"};
    PyObject *given[] = {NULL, NULL, NULL};
    Py_ssize_t n = PyVectorcall_NARGS(nargsf), n_named = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    int is_right = n + n_named <= 3;
    for (Py_ssize_t i = 0; is_right && i < n; i++) {
        given[i] = args[i];
    }
    for (Py_ssize_t i = 0; is_right && i < n_named; i++) {
        int which = 0;
        while (which < 3 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, i), names[which]) != 0) {
            which++;
        }
        is_right = which < 3 && given[which] == NULL;
        if (is_right) {
            given[which] = args[n + i];
        }
    }
    if (!is_right || given[0] == NULL || given[1] == NULL) {
        PyErr_SetString(PyExc_TypeError, "start_response() takes status, headers, and exc_info if there is one");
        return NULL;
    }
    return begin_response((Response *)op, given[0], given[1], given[2]);
}

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
    return !is_begun && note_route(self) < 0 ? -1 : exchange_finish(self, 0);
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

/* Return the iterator of the application's body: a new reference. */
static PyObject *
iterator_of(Response *self)
{
    if (self->iterator == NULL) {
        PyObject *body = Py_NewRef(self->body == NULL ? Py_None : self->body); /* its code may replace it */
        PyObject *iterator = PyObject_GetIter(body);
        Py_DECREF(body);
        Py_XSETREF(self->iterator, iterator);
    }
    return Py_XNewRef(self->iterator);
}

static PyObject *
response_next(PyObject *op)
{
    Response *self = (Response *)op;
    if (self->is_read) {
        return NULL;
    }
    PyObject *iterator = iterator_of(self);
    PyObject *chunk = iterator == NULL ? NULL : PyIter_Next(iterator);
    Py_XDECREF(iterator);
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
    PyObject *body = ((Response *)op)->body;
    return PyObject_Size(body == NULL ? Py_None : body);
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

static PyMethodDef response_methods[] = {
    {"finish", response_finish, METH_NOARGS, NULL},
    {"failed", response_failed, METH_O, NULL},
    {"close", response_close, METH_NOARGS, NULL},
    {"own_tags", exchange_own_tags, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef response_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Exchange, vectorcall), READONLY, NULL},
    {"is_open", T_BOOL, offsetof(Exchange, is_open), READONLY, NULL},
    {"request", T_OBJECT, offsetof(Exchange, request), READONLY, NULL},
    {"context", T_OBJECT, offsetof(Exchange, context), 0, NULL},
    {"_own", T_OBJECT, offsetof(Exchange, own), 0, NULL},
    {"body", T_OBJECT, offsetof(Response, body), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef response_getset[] = {
    SIZE(sent),
    NAME("__name__", "start_response"),
    NAME("__qualname__", "start_response"),
    {"start_response", response_get_start_response, NULL, NULL, NULL},
    {"_metrics", exchange_get_metrics, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot response_slots[] = {
    {Py_tp_dealloc, response_dealloc},
    {Py_tp_finalize, response_finalize},
    {Py_tp_traverse, response_traverse},
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

static PyObject *
response_of(Recorder *recorder, Line *line_steal, PyObject *environ, PyObject *start_response)
{
    State *state = recorder->state;
    Response *self = line_steal == NULL ? NULL : (Response *)spare_or_new(&state->responses, state->response_type);
    if (self == NULL) {
        Py_XDECREF(line_steal);
        return NULL;
    }
    self->exchange.vectorcall = response_call;
    self->start_response = Py_NewRef(start_response);
    self->write = self->body = self->iterator = NULL;
    self->is_read = 0;
    int begun = exchange_begin(&self->exchange, recorder, line_steal, environ);
    PyObject *length = PyDict_GetItemWithError(environ, state->texts[CONTENT_LENGTH]);
    self->exchange.received = told_size(length, PyDict_GetItemWithError(environ, state->texts[TRANSFER_ENCODING]));
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
