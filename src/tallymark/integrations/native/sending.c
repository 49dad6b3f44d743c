/* It stands for a coroutine that awaits the server's `send`, and does what that does: but makes no frame. */
#include "sending.h"

#include <structmember.h>

enum { NEW, SUSPENDED, RUNNING, OVER };

typedef struct {
    PyObject_HEAD
    Request *request;
    PyObject *message;
    PyObject *awaited; /* the iterator of what the server's `send` returned; NULL before */
    char is_last, stage;
} Sending;

PyObject *
sending_of(Request *request, PyObject *message, int is_last)
{
    State *state = request->exchange.recorder->state;
    Sending *self = (Sending *)spare_or_new(&state->sendings, state->sending_type);
    if (self == NULL) {
        return NULL;
    }
    Py_INCREF(request);
    self->request = request;
    self->message = Py_NewRef(message);
    self->awaited = NULL;
    self->is_last = is_last != 0;
    self->stage = NEW;
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

/* Return 1 for a coroutine; also for the generator of a function that `types.coroutine` made one. */
static int
is_coroutine(PyObject *object)
{
    PyObject *code = PyGen_CheckExact(object) ? PyObject_GetAttrString(object, "gi_code") : NULL;
    int is_one = code != NULL && (((PyCodeObject *)code)->co_flags & CO_ITERABLE_COROUTINE) != 0;
    Py_XDECREF(code);
    return is_one || PyCoro_CheckExact(object);
}

/* Return the iterator of what can be awaited. Steals; NULL passes on. */
static PyObject *
iterator_of(PyObject *awaitable_steal)
{
    if (awaitable_steal == NULL || is_coroutine(awaitable_steal)) {
        return awaitable_steal;
    }
    const PyAsyncMethods *methods = Py_TYPE(awaitable_steal)->tp_as_async;
    PyObject *iterator = NULL;
    if (methods == NULL || methods->am_await == NULL) {
        PyErr_Format(PyExc_TypeError, "object %.100s can't be used in 'await' expression", Py_TYPE(awaitable_steal)->tp_name);
    }
    else if ((iterator = methods->am_await(awaitable_steal)) != NULL && !PyIter_Check(iterator)) {
        PyErr_Format(PyExc_TypeError, "__await__() returned non-iterator of type '%.100s'", Py_TYPE(iterator)->tp_name);
        Py_CLEAR(iterator);
    }
    Py_DECREF(awaitable_steal);
    return iterator;
}

/* Finish a request while an exception is set, which stays, unless that fails. */
static void
finish_for_error(Exchange *exchange)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (exchange_finish(exchange, 1) < 0) {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
        return;
    }
    PyErr_Restore(type, value, traceback);
}

/* Return 1 for the status 500; 0; -1 with an exception. */
static int
is_500(PyObject *status)
{
    if (status == NULL) {
        return 0;
    }
    if (PyLong_CheckExact(status)) {
        int overflow;
        return PyLong_AsLongAndOverflow(status, &overflow) == 500;
    }
    PyObject *number = PyLong_FromLong(500);
    int result = number == NULL ? -1 : PyObject_RichCompareBool(status, number, Py_EQ);
    Py_XDECREF(number);
    return result;
}

/* End a request whose last part was handed over: 0, or -1 with an exception. */
static int
finish_handed_over(Exchange *exchange)
{
    int failed = is_500(exchange->status);
    int has_error = failed > 0 ? PyObject_IsTrue(exchange->error) : failed;
    if (has_error < 0) {
        return -1;
    }
    if (failed && !has_error) {
        PyObject *error = PyObject_CallNoArgs(exchange->recorder->handled_error);
        if (error == NULL) {
            return -1;
        }
        Py_XSETREF(exchange->error, error);
    }
    return exchange_finish(exchange, 1);
}

/* Note how a step ended. Steals `*result`, and replaces it. */
static PySendResult
after_step(Sending *self, PySendResult step, PyObject **result)
{
    if (step == PYGEN_NEXT) {
        self->stage = SUSPENDED;
        return step;
    }
    self->stage = OVER;
    Py_CLEAR(self->awaited);
    Exchange *exchange = &self->request->exchange;
    if (step == PYGEN_RETURN) {
        Py_DECREF(*result);
        *result = self->is_last && finish_handed_over(exchange) < 0 ? NULL : Py_NewRef(Py_None);
        return *result == NULL ? PYGEN_ERROR : PYGEN_RETURN;
    }
    *result = NULL;
    if (PyErr_ExceptionMatches(PyExc_OSError)) { /* the client has gone */
        finish_for_error(exchange);
    }
    else if (PyErr_ExceptionMatches(PyExc_StopIteration)) { /* of a function, not of what was awaited; it would end who awaits */
        PyErr_SetString(PyExc_RuntimeError, "coroutine raised StopIteration");
    }
    return PYGEN_ERROR;
}

/* Return 1 if a step may begin; 0 with an exception. */
static int
may_step(const Sending *self)
{
    if (self->stage == RUNNING) {
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
    }
    else if (self->stage == OVER) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
    }
    return self->stage == NEW || self->stage == SUSPENDED;
}

static PySendResult
sending_step(PyObject *op, PyObject *value, PyObject **result)
{
    Sending *self = (Sending *)op;
    *result = NULL;
    if (!may_step(self)) {
        return PYGEN_ERROR;
    }
    if (self->stage == NEW) {
        if (value != Py_None) {
            PyErr_SetString(PyExc_TypeError, "can't send non-None value to a just-started coroutine");
            return PYGEN_ERROR;
        }
        self->stage = RUNNING;
        self->awaited = iterator_of(PyObject_CallOneArg(self->request->send, self->message));
        if (self->awaited == NULL) {
            return after_step(self, PYGEN_ERROR, result);
        }
    }
    self->stage = RUNNING;
    PySendResult step = PyIter_Send(self->awaited, value, result);
    return after_step(self, step, result);
}

/* The methods of a coroutine */

/* Return the result of a step as `send` and `__next__` do. */
static PyObject *
yielded(PySendResult step, PyObject *result, int says_so)
{
    if (step != PYGEN_RETURN) {
        return result;
    }
    Py_DECREF(result); /* None */
    if (says_so) {
        PyErr_SetNone(PyExc_StopIteration);
    }
    return NULL;
}

static PyObject *
sending_send(PyObject *op, PyObject *value)
{
    PyObject *result;
    PySendResult step = sending_step(op, value, &result);
    return yielded(step, result, 1);
}

static PyObject *
sending_next(PyObject *op)
{
    PyObject *result;
    PySendResult step = sending_step(op, Py_None, &result);
    return yielded(step, result, 0);
}

/* Set the exception that `throw` was given: an exception, or its class, value and traceback. */
static void
set_thrown(PyObject *type, PyObject *value, PyObject *traceback)
{
    if (PyExceptionInstance_Check(type)) {
        PyErr_SetObject((PyObject *)Py_TYPE(type), type);
    }
    else if (PyExceptionClass_Check(type)) {
        PyErr_SetObject(type, value == Py_None ? NULL : value);
    }
    else {
        PyErr_Format(PyExc_TypeError, "exceptions must be classes or instances deriving from BaseException, not %.100s",
                     Py_TYPE(type)->tp_name);
        return;
    }
    if (PyTraceBack_Check(traceback)) {
        PyObject *was_type, *was_value, *was_traceback;
        PyErr_Fetch(&was_type, &was_value, &was_traceback);
        Py_XDECREF(was_traceback);
        PyErr_Restore(was_type, was_value, Py_NewRef(traceback));
    }
}

/* Throw an exception into what is awaited: a value that it yields, or NULL with an exception. */
static PyObject *
throw_into(PyObject *awaited, PyObject *args)
{
    PyObject *throw = PyObject_GetAttrString(awaited, "throw"), *yields = NULL;
    if (throw != NULL) {
        yields = PyObject_CallObject(throw, args);
        Py_DECREF(throw);
        return yields;
    }
    if (PyErr_ExceptionMatches(PyExc_AttributeError)) { /* an iterator of other make */
        PyObject *given[] = {Py_None, Py_None, Py_None};
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); i++) {
            given[i] = PyTuple_GET_ITEM(args, i);
        }
        PyErr_Clear();
        set_thrown(given[0], given[1], given[2]);
    }
    return NULL;
}

static PyObject *
sending_throw(PyObject *op, PyObject *args)
{
    Sending *self = (Sending *)op;
    PyObject *type, *value = Py_None, *traceback = Py_None;
    if (!PyArg_UnpackTuple(args, "throw", 1, 3, &type, &value, &traceback) || !may_step(self)) {
        return NULL;
    }
    if (self->stage == NEW) { /* as a coroutine that has not begun: it sees nothing of it */
        self->stage = OVER;
        set_thrown(type, value, traceback);
        return NULL;
    }
    self->stage = RUNNING;
    PyObject *result = throw_into(self->awaited, args);
    PySendResult step = PYGEN_NEXT;
    if (result == NULL) {
        step = PYGEN_ERROR;
        if (PyErr_ExceptionMatches(PyExc_StopIteration)) { /* it returned */
            PyErr_Clear();
            step = PYGEN_RETURN;
            result = Py_NewRef(Py_None);
        }
    }
    step = after_step(self, step, &result);
    return yielded(step, result, 1);
}

static PyObject *
sending_close(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Sending *self = (Sending *)op;
    if (self->stage == RUNNING) {
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
        return NULL;
    }
    self->stage = OVER;
    PyObject *awaited = self->awaited;
    self->awaited = NULL;
    if (awaited == NULL) {
        Py_RETURN_NONE;
    }
    PyObject *close = PyObject_GetAttrString(awaited, "close"), *closed = NULL;
    if (close != NULL) {
        closed = PyObject_CallNoArgs(close);
        Py_DECREF(close);
    }
    else if (PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        closed = Py_NewRef(Py_None);
    }
    Py_DECREF(awaited);
    if (closed == NULL && PyErr_ExceptionMatches(PyExc_OSError)) {
        finish_for_error(&self->request->exchange);
    }
    return closed;
}

static PyObject *
sending_is_running(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((Sending *)op)->stage == RUNNING);
}

static int
sending_traverse(PyObject *op, visitproc visit, void *arg)
{
    Sending *self = (Sending *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->request);
    Py_VISIT(self->message);
    Py_VISIT(self->awaited);
    return 0;
}

/* Warn, as of any coroutine, that one was never awaited. */
static void
sending_finalize(PyObject *op)
{
    if (((Sending *)op)->stage == NEW) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        ((Sending *)op)->stage = OVER;
        if (PyErr_WarnEx(PyExc_RuntimeWarning, "coroutine 'send' was never awaited", 1) < 0) {
            PyErr_WriteUnraisable(op);
        }
        PyErr_Restore(type, value, traceback);
    }
}

static void
sending_dealloc(PyObject *op)
{
    Sending *self = (Sending *)op;
    if (self->stage == NEW && PyObject_CallFinalizerFromDealloc(op) < 0) {
        return;
    }
    PyObject_GC_UnTrack(op);
    Py_DECREF(self->request);
    Py_DECREF(self->message);
    Py_XDECREF(self->awaited);
    spare_or_free(op, offsetof(State, sendings));
}

static PyMethodDef sending_methods[] = {
    {"send", sending_send, METH_O, NULL},
    {"throw", sending_throw, METH_VARARGS, NULL},
    {"close", sending_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef sending_members[] = {
    {"cr_await", T_OBJECT, offsetof(Sending, awaited), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* No `cr_frame`: by that, trio knows what it must wrap. */
static PyGetSetDef sending_getset[] = {
    NAME("__name__", "send"),
    NAME("__qualname__", "send"),
    {"cr_running", sending_is_running, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot sending_slots[] = {
    {Py_tp_dealloc, sending_dealloc},
    {Py_tp_finalize, sending_finalize},
    {Py_tp_traverse, sending_traverse},
    {Py_tp_iter, PyObject_SelfIter}, /* what `__await__` returns is given to `yield from` */
    {Py_tp_iternext, sending_next},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, sending_step},
    {Py_tp_methods, sending_methods},
    {Py_tp_members, sending_members},
    {Py_tp_getset, sending_getset},
    {0, NULL},
};

PyType_Spec sending_spec = {
    .name = "tallymark.integrations._exchanges.Sending",
    .basicsize = sizeof(Sending),
    .flags = FINAL_TYPE,
    .slots = sending_slots,
};
