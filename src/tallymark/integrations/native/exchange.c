#include "exchange.h"

#include "../../engine/native/clock.h"

/* The beginning */

double
recorder_now(const Recorder *self)
{
    if (self->clock == NULL) {
        return (double)clock_now() * 1e-9;
    }
    PyObject *read = PyObject_CallNoArgs(self->clock);
    double now = read == NULL ? -1.0 : PyFloat_AsDouble(read);
    Py_XDECREF(read);
    return now;
}

int
recorder_use(Recorder *self, PyObject *metrics)
{
    PyObject *lines = PyObject_GetAttrString(metrics, "lines"), *notes = NULL;
    if (lines != NULL && PyDict_CheckExact(lines)) {
        notes = PyObject_GetAttrString(metrics, "notes_more");
    }
    else if (lines != NULL) {
        PyErr_SetString(PyExc_TypeError, "the lines of metrics must be a dict");
    }
    int notes_more = notes == NULL ? -1 : PyObject_IsTrue(notes);
    Py_XDECREF(notes);
    if (notes_more < 0) {
        Py_XDECREF(lines);
        return -1;
    }
    self->notes_more = notes_more;
    Py_XSETREF(self->lines, lines);
    Py_XSETREF(self->metrics, Py_NewRef(metrics));
    return 0;
}

int
recorder_claims(const Recorder *self, PyObject *request)
{
    PyObject *metrics = self->metrics, **texts = self->state->texts;
    PyObject *claimed = PyDict_SetDefault(request, texts[CLAIM], metrics);
    if (claimed == NULL || claimed == metrics) {
        return claimed == NULL ? -1 : 1;
    }
    Py_INCREF(metrics);
    PyObject *claims = PyObject_CallMethodOneArg(metrics, texts[CLAIMS], request); /* it looks at what others recorded there */
    Py_DECREF(metrics);
    int result = claims == NULL ? -1 : PyObject_IsTrue(claims);
    Py_XDECREF(claims);
    return result;
}

/* Return what a dict has at the value that another one has at a key: a new reference. NULL without an exception where that is
 * no text, or not known. Steals the first, which may be NULL. */
static PyObject *
at_value(PyObject *dict_steal, PyObject *request, PyObject *key)
{
    PyObject *value = dict_steal == NULL ? NULL : Py_XNewRef(PyDict_GetItemWithError(request, key));
    PyObject *found = NULL;
    if (value != NULL && PyUnicode_CheckExact(value) && PyDict_CheckExact(dict_steal)) {
        found = Py_XNewRef(PyDict_GetItemWithError(dict_steal, value));
    }
    Py_XDECREF(value);
    Py_XDECREF(dict_steal);
    return found;
}

Line *
recorder_line(Recorder *self, PyObject *request, int version, int scheme, int method)
{
    PyObject **texts = self->state->texts;
    PyObject *found;
    if (self->versions == NULL) {
        found = at_value(Py_NewRef(self->lines), request, texts[version]);
    }
    else {
        PyObject *name = at_value(Py_NewRef(self->versions), request, texts[version]);
        found = name == NULL ? NULL : Py_XNewRef(PyDict_GetItemWithError(self->lines, name));
        Py_XDECREF(name);
    }
    found = at_value(at_value(found, request, texts[scheme]), request, texts[method]);
    if (found == NULL && !PyErr_Occurred()) {
        found = PyObject_CallOneArg(self->find_line, request);
    }
    if (found != NULL && !PyObject_TypeCheck(found, self->state->line_type)) {
        PyErr_Format(PyExc_TypeError, "a line is needed, not %R", found);
        Py_CLEAR(found);
    }
    return (Line *)found;
}

int
exchange_begin(Exchange *self, Recorder *recorder, Line *line_steal, PyObject *request)
{
    Py_INCREF(recorder);
    self->recorder = recorder;
    self->line = line_steal;
    self->request = Py_NewRef(request);
    self->status = self->route = self->context = self->start = self->own = NULL;
    self->error = Py_NewRef(recorder->state->texts[EMPTY]);
    self->received = self->sent = 0;
    self->started = 0.0;
    self->is_open = 0;
    if (call_for_effect(line_steal->begin, NULL, 0) < 0) {
        return -1;
    }
    self->is_open = 1;
    self->started = recorder_now(recorder);
    return self->started == -1.0 && PyErr_Occurred() ? -1 : 0;
}

/* What is under way */

int
exchange_count(Exchange *self, PyObject *body)
{
    Py_ssize_t size;
    if (PyBytes_CheckExact(body)) {
        size = PyBytes_GET_SIZE(body);
    }
    else if ((size = PyObject_Size(body)) < 0) {
        return -1;
    }
    if (self->sent >= 0) { /* asked last: `__len__` may be Python code */
        self->sent = size > PY_SSIZE_T_MAX - self->sent ? NOT_KNOWN : self->sent + size;
    }
    return 0;
}

void
exchange_note_500(Exchange *self)
{
    Py_XSETREF(self->status, PyLong_FromLong(500)); /* kept by the interpreter, or made: NULL only without memory */
    PyErr_Clear();
    self->sent = NOT_KNOWN;
}

int
exchange_note_error(Exchange *self, PyObject *error)
{
    PyObject *type = PyObject_CallOneArg(self->recorder->error_type, error);
    int is_error = type == NULL ? -1 : PyObject_IsTrue(type);
    if (is_error < 0) {
        Py_XDECREF(type);
        return -1;
    }
    Py_XSETREF(self->error, type);
    if (is_error && (self->status == NULL || self->status == Py_None)) {
        exchange_note_500(self);
    }
    return 0;
}

/* The end */

/* Return what a dict has at a key, which may be any object: a new reference. NULL, with an exception only if looking failed in
 * another way than with KeyError or TypeError. Steals the dict, which may be NULL. */
static PyObject *
known_at(PyObject *dict_steal, PyObject *key)
{
    if (dict_steal == NULL) {
        return NULL;
    }
    PyObject *found = Py_XNewRef(PyDict_Check(dict_steal) ? PyDict_GetItemWithError(dict_steal, key) : NULL);
    if (found == NULL && PyErr_Occurred()
        && (PyErr_ExceptionMatches(PyExc_TypeError) || PyErr_ExceptionMatches(PyExc_KeyError))) {
        PyErr_Clear();
    }
    Py_DECREF(dict_steal);
    return found;
}

/* Return where to record a request that ended: a tuple of three calls. */
static PyObject *
series_of(Exchange *self, PyObject *route)
{
    PyObject *error = Py_NewRef(self->error); /* held: who compares them may be code that replaces them */
    PyObject *status = Py_NewRef(self->status == NULL ? Py_None : self->status);
    PyObject *found = known_at(known_at(known_at(Py_XNewRef(self->line->known), error), route), status);
    if (found == NULL && !PyErr_Occurred()) {
        found = PyObject_CallMethod((PyObject *)self->line, "series", "OOOO", error, route, status, self);
    }
    Py_DECREF(error);
    Py_DECREF(status);
    if (found != NULL && (!PyTuple_CheckExact(found) || PyTuple_GET_SIZE(found) != 3)) {
        PyErr_SetString(PyExc_TypeError, "series must be three calls");
        Py_CLEAR(found);
    }
    return found;
}

static int
record(PyObject *call, double value)
{
    PyObject *boxed = PyFloat_FromDouble(value);
    if (boxed == NULL) {
        return -1;
    }
    int result = call_for_effect(call, &boxed, 1);
    Py_DECREF(boxed);
    return result;
}

static int
record_in(PyObject *context, PyObject *call, double value)
{
    Py_INCREF(context); /* code that is asked for its `run` may replace it */
    PyObject *returned = PyObject_CallMethod(context, "run", "Od", call, value);
    Py_DECREF(context);
    Py_XDECREF(returned);
    return returned == NULL ? -1 : 0;
}

static int
record_all(const Exchange *self, PyObject *series, double seconds)
{
    int has_context = self->context != NULL && self->context != Py_None;
    if ((has_context ? record_in(self->context, PyTuple_GET_ITEM(series, 0), seconds)
                     : record(PyTuple_GET_ITEM(series, 0), seconds)) < 0) {
        return -1;
    }
    if (self->received >= 0 && record(PyTuple_GET_ITEM(series, 1), (double)self->received) < 0) {
        return -1;
    }
    return self->sent >= 0 ? record(PyTuple_GET_ITEM(series, 2), (double)self->sent) : 0;
}

int
exchange_finish(Exchange *self, int asks)
{
    if (!self->is_open) {
        return 0;
    }
    self->is_open = 0;
    double end = recorder_now(self->recorder);
    if ((end == -1.0 && PyErr_Occurred()) || call_for_effect(self->line->end, NULL, 0) < 0) {
        return -1;
    }
    PyObject *route = asks ? recorder_route(self->recorder, self->request)
                           : Py_NewRef(self->route == NULL ? Py_None : self->route);
    PyObject *series = route == NULL ? NULL : series_of(self, route);
    int result = series == NULL ? -1 : record_all(self, series, end - self->started);
    Py_XDECREF(series);
    Py_XDECREF(route);
    return result;
}

/* What Python sees, and the garbage collector */

PyObject *
exchange_get_metrics(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *metrics = ((Exchange *)op)->line->metrics;
    return Py_NewRef(metrics == NULL ? Py_None : metrics);
}

PyObject *
exchange_own_tags(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    const Exchange *self = (Exchange *)op;
    PyObject *metrics = exchange_get_metrics(op, NULL), *start = self->start == NULL ? Py_None : self->start;
    PyObject *made = PyObject_CallMethod(metrics, "own_tags", "OO", self->request, start);
    Py_DECREF(metrics);
    return made;
}

static Py_ssize_t *
size_at(PyObject *op, void *offset)
{
    return (Py_ssize_t *)(void *)((char *)op + (size_t)offset);
}

PyObject *
exchange_get_size(PyObject *op, void *offset)
{
    Py_ssize_t size = *size_at(op, offset);
    return size < 0 ? Py_NewRef(Py_None) : PyLong_FromSsize_t(size);
}

int
exchange_set_size(PyObject *op, PyObject *value, void *offset)
{
    Py_ssize_t size = value == NULL || value == Py_None ? NOT_KNOWN : PyLong_AsSsize_t(value);
    if (size == -1 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return -1;
        }
        PyErr_Clear(); /* none that is believed */
    }
    *size_at(op, offset) = size;
    return 0;
}

int
exchange_traverse(Exchange *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->recorder);
    Py_VISIT(self->line);
    Py_VISIT(self->request);
    Py_VISIT(self->status);
    Py_VISIT(self->error);
    Py_VISIT(self->route);
    Py_VISIT(self->context);
    Py_VISIT(self->start);
    Py_VISIT(self->own);
    return 0;
}

void
exchange_clear(Exchange *self)
{
    Py_XDECREF(self->request);
    Py_XDECREF(self->status);
    Py_XDECREF(self->error);
    Py_XDECREF(self->route);
    Py_XDECREF(self->context);
    Py_XDECREF(self->start);
    Py_XDECREF(self->own);
    Py_XDECREF(self->line);
    Py_XDECREF(self->recorder);
}
