#include "family_options.h"

/* Read a limit: 0 with `*value`, or -1 with an exception. One beyond the range of a size is the same as no limit. */
static int
read_limit(PyObject *limits, const char *name, Py_ssize_t *value)
{
    int too_many = 0;
    PyObject *limit = PyObject_GetAttrString(limits, name);
    long long read = limit == NULL ? -1 : PyLong_AsLongLongAndOverflow(limit, &too_many);
    Py_XDECREF(limit);
    *value = too_many || read > PY_SSIZE_T_MAX ? PY_SSIZE_T_MAX : (Py_ssize_t)read;
    return PyErr_Occurred() ? -1 : 0;
}

static int
family_read_limits(Family *self)
{
    Py_ssize_t max_series = 0;
    PyObject *limits = PyObject_GetAttrString(self->options, "limits");
    int result = limits == NULL || read_limit(limits, "max_series", &max_series) < 0
                         || read_limit(limits, "max_value_length", &self->max_value_length) < 0
                         || read_limit(limits, "max_key_length", &self->max_key_length) < 0
                         || read_limit(limits, "max_tags", &self->max_tags) < 0
                         || (self->disallowed_keys = PyObject_GetAttrString(limits, "disallowed_keys")) == NULL
                     ? -1
                     : 0;
    Py_XDECREF(limits);
    self->max_series = max_series > UINT32_MAX ? UINT32_MAX : (uint32_t)max_series;
    return result;
}

/* Check that declared keys are exact str, so that a lookup may use them as they are: 0, or -1 with an exception. */
static int
family_check_keys(const Family *self)
{
    int valid = PyTuple_Check(self->disallowed_keys) && (self->tag_keys == Py_None || PyTuple_Check(self->tag_keys));
    Py_ssize_t n = valid && self->tag_keys != Py_None ? PyTuple_GET_SIZE(self->tag_keys) : 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        valid = valid && PyUnicode_CheckExact(PyTuple_GET_ITEM(self->tag_keys, i));
    }
    if (!valid) {
        PyErr_SetString(PyExc_TypeError, "disallowed_keys must be a tuple, and tag_keys None or a tuple of str");
    }
    return valid ? 0 : -1;
}

static int
family_read_fields(Family *self)
{
    PyObject *ttl = NULL;
    int result = -1;
    if ((self->name = PyObject_GetAttrString(self->options, "name")) == NULL
        || (self->kind = PyObject_GetAttrString(self->options, "kind")) == NULL
        || (self->unit = PyObject_GetAttrString(self->options, "unit")) == NULL
        || (self->bounds_tuple = PyObject_GetAttrString(self->options, "bounds")) == NULL
        || (self->tag_keys = PyObject_GetAttrString(self->options, "tag_keys")) == NULL
        || (ttl = PyObject_GetAttrString(self->options, "ttl")) == NULL || family_read_limits(self) < 0) {
        goto error;
    }
    self->ttl = ttl == Py_None ? 0.0 : PyFloat_AsDouble(ttl);
    if (PyErr_Occurred() || family_check_keys(self) < 0) {
        goto error;
    }
    result = 0;
error:
    Py_XDECREF(ttl);
    return result;
}

static int
family_read_bounds(Family *self)
{
    if (!PyTuple_Check(self->bounds_tuple)) {
        PyErr_SetString(PyExc_TypeError, "bounds must be a tuple");
        return -1;
    }
    self->n_bounds = (uint32_t)PyTuple_GET_SIZE(self->bounds_tuple);
    self->bounds = PyMem_Calloc(self->n_bounds + 1, sizeof *self->bounds);
    if (self->bounds == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (uint32_t i = 0; i < self->n_bounds; i++) {
        self->bounds[i] = PyFloat_AsDouble(PyTuple_GET_ITEM(self->bounds_tuple, i));
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* The same as in `tallymark.engine.kinds`. */
static const struct {
    const char *kind;
    size_t type;
    char has_buckets;
} kinds[] = {
    {"counter", offsetof(State, counter_type), 0},
    {"gauge", offsetof(State, gauge_type), 0},
    {"histogram", offsetof(State, histogram_type), 1},
    {"timer", offsetof(State, timer_type), 1},
    {"info", offsetof(State, gauge_type), 0},
    {"stateset", offsetof(State, gauge_type), 0},
};

static int
family_choose_kind(Family *self)
{
    const char *kind = PyUnicode_Check(self->kind) ? PyUnicode_AsUTF8(self->kind) : NULL;
    PyTypeObject *type = NULL;
    for (size_t i = 0; kind != NULL && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kind, kinds[i].kind) == 0) {
            type = *(PyTypeObject **)((char *)self->state + kinds[i].type);
            self->has_buckets = kinds[i].has_buckets;
        }
    }
    if (type == self->state->gauge_type && self->ttl > 0.0) {
        type = self->state->expiring_gauge_type;
    }
    if (type == NULL || (!self->has_buckets && self->n_bounds > 0)) {
        if (!PyErr_Occurred()) {
            PyErr_Format(PyExc_ValueError, "no kind %R with %u bounds", self->kind, self->n_bounds);
        }
        return -1;
    }
    self->is_exponential = self->has_buckets && self->n_bounds == 0;
    self->instrument_type = (PyTypeObject *)Py_NewRef((PyObject *)type);
    return 0;
}

/* Other clocks are read by a call, as tests may give them: only this one is a function of C with this name. */
static int
is_system_clock(PyObject *clock)
{
    return PyCFunction_CheckExact(clock) && strcmp(((PyCFunctionObject *)clock)->m_ml->ml_name, "time") == 0;
}

/* Read whether the registry is asked for exemplars: 0, or -1 with an exception. */
static int
family_read_hooks(Family *self)
{
    PyObject *source = PyObject_GetAttrString(self->hooks, "exemplars");
    PyObject *clock = source == NULL ? NULL : PyObject_GetAttrString(self->hooks, "now");
    int takes_exemplars = self->has_buckets || self->instrument_type == self->state->counter_type;
    self->asks = source != Py_None && takes_exemplars;
    self->has_system_clock = clock != NULL && is_system_clock(clock);
    Py_XDECREF(source);
    Py_XDECREF(clock);
    self->leaving = clock == NULL ? NULL : PyObject_GetAttrString(self->hooks, "leaving");
    if (self->leaving != NULL && !PyList_CheckExact(self->leaving)) {
        PyErr_SetString(PyExc_TypeError, "leaving must be a list");
        return -1;
    }
    return self->leaving == NULL ? -1 : 0;
}

int
family_read_options(Family *self)
{
    return family_read_fields(self) < 0 || family_read_bounds(self) < 0 || family_choose_kind(self) < 0
                   || family_read_hooks(self) < 0
               ? -1
               : 0;
}
