#include "instrument.h"
#include "shared_family.h"

#include <structmember.h>

#include "docs.h"

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

/* Set up from FamilyOptions: 0, or -1 with an exception. */
static int
family_read_options(Family *self)
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
    if (type == NULL || self->has_buckets != (self->n_bounds > 0)) {
        if (!PyErr_Occurred()) {
            PyErr_Format(PyExc_ValueError, "no kind %R with %u bounds", self->kind, self->n_bounds);
        }
        return -1;
    }
    self->instrument_type = (PyTypeObject *)Py_NewRef((PyObject *)type);
    return 0;
}

/* Return the tags of a root with overflow="true" added: a new reference, or NULL with an exception. Those of the last root are
 * kept, since all families of a registry have the same root tags. */
static TagSet *
overflow_tags_of(TagSet *tags, State *state)
{
    if (state->last_root_tags == tags) {
        return (TagSet *)Py_NewRef((PyObject *)state->last_overflow_tags);
    }
    PyObject *checked_tags = borrowed(state, CHECKED_TAGS);
    PyObject *overflow = checked_tags == NULL ? NULL : Py_BuildValue("{s:s}", "overflow", "true");
    PyObject *items = overflow == NULL ? NULL : PyObject_CallFunctionObjArgs(checked_tags, (PyObject *)tags, overflow, NULL);
    TagSet *found = items == NULL ? NULL : tagset_from_sorted(state, items);
    Py_XDECREF(overflow);
    Py_XDECREF(items);
    if (found != NULL) {
        state->last_root_tags = tags;
        state->last_overflow_tags = found;
    }
    return found;
}

static int
family_make_root(Family *self)
{
    PyObject *tags = PyObject_GetAttrString(self->options, "tags");
    if (tags == NULL) {
        return -1;
    }
    if (!Py_IS_TYPE(tags, self->state->tagset_type)) {
        PyErr_SetString(PyExc_TypeError, "tags must be a TagSet of this engine");
    }
    else {
        self->root = family_series(self, (TagSet *)tags);
    }
    if (self->root != NULL) {
        self->overflow_tags = overflow_tags_of((TagSet *)tags, self->state);
    }
    Py_DECREF(tags);
    return self->overflow_tags == NULL ? -1 : family_now(self, "now", &self->root->created);
}

static PyObject *
family_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"options", "hooks", "description", "shared", NULL};
    PyObject *options, *hooks, *description, *shared = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOU|O", names, &options, &hooks, &description, &shared)) {
        return NULL;
    }
    Family *self = (Family *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->state = state_of_type(type);
    self->registered = 1;
    self->options = Py_NewRef(options);
    self->hooks = Py_NewRef(hooks);
    self->description = Py_NewRef(description);
    arena_init(&self->series, sizeof(Series));
    arena_init(&self->cells, sizeof(Cell));
    PyObject *policy = borrowed(self->state, POLICY);
    self->policy = policy == NULL ? NULL : PyObject_CallFunctionObjArgs(policy, options, hooks, NULL);
    if (self->policy == NULL || family_read_options(self) < 0 || family_read_bounds(self) < 0 || family_choose_kind(self) < 0) {
        goto error;
    }
    if (self->has_buckets) {
        arena_init(&self->cells, sizeof(Cell) * (MAX(self) + 1));
    }
    if (family_make_root(self) < 0 || (shared != Py_None && family_share(self, shared) < 0)) {
        goto error;
    }
    return (PyObject *)self;
error:
    Py_DECREF(self);
    return NULL;
}

static void
family_dealloc(PyObject *op)
{
    Family *self = (Family *)op;
    PyTypeObject *type = Py_TYPE(op);
    if (self->weaklist != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    if (self->shared != NULL) {
        family_unshare(self);
    }
    /* Instruments hold their family, so none is left. What is freed here may run Python code, but none that can reach us. */
    for (uint32_t i = 0; i < self->table.n_rows; i++) {
        if (self->table.rows[i] != NULL) {
            Py_DECREF(self->table.rows[i]->tags);
        }
    }
    Py_XDECREF(self->overflow_tags);
    table_clear(&self->table);
    arena_clear(&self->series);
    arena_clear(&self->cells);
    PyMem_Free(self->bounds);
    Py_XDECREF(self->instrument_type);
    Py_XDECREF(self->options);
    Py_XDECREF(self->policy);
    Py_XDECREF(self->hooks);
    Py_XDECREF(self->description);
    Py_XDECREF(self->name);
    Py_XDECREF(self->kind);
    Py_XDECREF(self->unit);
    Py_XDECREF(self->bounds_tuple);
    Py_XDECREF(self->tag_keys);
    Py_XDECREF(self->disallowed_keys);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *
family_retire(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Family *self = (Family *)op;
    self->registered = 0;
    for (uint32_t i = 0; i < self->table.n_rows; i++) {
        if (self->table.rows[i] != NULL) {
            family_lose(self, self->table.rows[i]); /* in shared memory, the process that unregisters it ends its series */
        }
    }
    Py_RETURN_NONE;
}

/* Return 1 if a series still has its last mark. If not, store the new one. */
static int
is_unchanged(const Family *self, Series *series, double now)
{
    double mark = family_mark(self, series);
    if (is_same_mark(mark, series->mark)) {
        return 1;
    }
    series->mark = mark;
    series->since = now;
    return 0;
}

static PyObject *
family_expire(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Family *self = (Family *)op;
    long dropped = 0;
    double now;
    if (family_sync(self) < 0) {
        return NULL;
    }
    if (self->ttl > 0.0 && !has_shares(self)) { /* shares expire together: ProcessValues does it, which reads them all */
        if (family_now(self, "uptime", &now) < 0) {
            return NULL;
        }
        for (uint32_t i = 0; i < self->table.n_rows; i++) {
            Series *series = self->table.rows[i];
            if (series != NULL && is_live(series) && is_unchanged(self, series, now) && now - series->since >= self->ttl) {
                dropped += family_drop(self, series);
            }
        }
    }
    return PyLong_FromLong(dropped);
}

static PyObject *
family_get_root(PyObject *op, void *Py_UNUSED(closure))
{
    Family *self = (Family *)op;
    return (PyObject *)instrument_of(self, self->root);
}

static PyObject *
family_get_empty(PyObject *op, void *Py_UNUSED(closure))
{
    Family *self = (Family *)op;
    return family_sync(self) < 0 ? NULL : PyBool_FromLong(self->table.live == 0);
}

static PyObject *
family_get_offset(PyObject *op, void *Py_UNUSED(closure))
{
    const Family *self = (Family *)op;
    return PyLong_FromUnsignedLongLong(self->entry == NULL ? 0 : offset_in(self->shared, self->entry));
}

static PyObject *
family_get_trouble(PyObject *op, void *Py_UNUSED(closure))
{
    const Family *self = (Family *)op;
    return PyUnicode_FromString(self->shared == NULL || self->shared->why == NULL ? "" : self->shared->why);
}

static PyObject *
family_get_description(PyObject *op, void *Py_UNUSED(closure))
{
    return Py_NewRef(((Family *)op)->description);
}

static int
family_set_description(PyObject *op, PyObject *text, void *Py_UNUSED(closure))
{
    if (text == NULL || !PyUnicode_Check(text)) {
        PyErr_SetString(PyExc_TypeError, "description must be a str");
        return -1;
    }
    Py_SETREF(((Family *)op)->description, Py_NewRef(text));
    return 0;
}

static PyObject *
family_bind_at(PyObject *op, PyObject *number)
{
    unsigned long long offset = PyLong_AsUnsignedLongLong(number);
    if (PyErr_Occurred() || family_bind((Family *)op, offset) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *family_read(PyObject *op, PyObject *ignored); /* columns.c */

static PyMethodDef family_methods[] = {
    {"read", family_read, METH_NOARGS, DOC_Family_read},
    {"expire", family_expire, METH_NOARGS, DOC_Family_expire},
    {"retire", family_retire, METH_NOARGS, DOC_Family_retire},
    {"_bind", family_bind_at, METH_O,
     "_bind($self, offset, /)\n--\n\nUse the shared memory at an offset. `ValueError`: there is no family of this shape."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef family_members[] = {
    {"options", T_OBJECT_EX, offsetof(Family, options), READONLY, NULL},
    {"policy", T_OBJECT_EX, offsetof(Family, policy), READONLY, NULL},
    {"registered", T_BOOL, offsetof(Family, registered), 0, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Family, weaklist), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef family_getset[] = {
    {"root", family_get_root, NULL, NULL, NULL},
    {"empty", family_get_empty, NULL, DOC_Family_empty, NULL},
    {"description", family_get_description, family_set_description, NULL, NULL},
    {"_trouble", family_get_trouble, NULL, "Why shared memory could not be locked at the last failure.", NULL},
    {"_offset", family_get_offset, NULL, "The family's offset in shared memory; 0: it is in none.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot family_slots[] = {
    {Py_tp_doc, DOC_Family},
    {Py_tp_new, family_new},
    {Py_tp_dealloc, family_dealloc},
    {Py_tp_methods, family_methods},
    {Py_tp_members, family_members},
    {Py_tp_getset, family_getset},
    {0, NULL},
};

PyType_Spec family_spec = {
    .name = "tallymark.engine.native.Family",
    .basicsize = sizeof(Family),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = family_slots,
};
