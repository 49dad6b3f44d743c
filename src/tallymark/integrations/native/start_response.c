/* What a WSGI application gets: `start_response`, and the `write` that it returns. */
#include "response.h"

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

int
response_note_route(Exchange *self)
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
    if (response_note_route(self) < 0 || (fails && note_server_error(self, exc_info) < 0)) {
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
    if (self->write == NULL || self->write == Py_None) { /* a server without one */
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

PyObject *
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
