#include "columns.h"
#include "exemplar.h"
#include "exponential.h"
#include "family_options.h"
#include "instrument.h"
#include "shared_family.h"

#include <structmember.h>

#include "docs.h"

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
    PyObject *policy = borrowed(self->state, POLICY);
    self->policy = policy == NULL ? NULL : PyObject_CallFunctionObjArgs(policy, options, hooks, NULL);
    if (self->policy == NULL || family_read_options(self) < 0) {
        goto error;
    }
    self->n_bounds = self->is_exponential ? exponential_bounds_of(shared != Py_None) : self->n_bounds;
    self->words = self->has_buckets ? MAX(self) + 1 : has_gauges_that_expire(self) ? 2 : 1;
    arena_init(&self->series, sizeof(Series) + (shared == Py_None ? self->words * sizeof(Cell) : 0));
    if ((shared != Py_None && family_share(self, shared) < 0) || family_make_root(self) < 0) {
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
            family_free_cells(self, self->table.rows[i]);
        }
    }
    Py_XDECREF(self->overflow_tags);
    exemplars_clear(self);
    table_clear(&self->table);
    tagsets_settle(self->state);
    arena_clear(&self->series);
    PyMem_Free(self->empty);
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
    Py_XDECREF(self->leaving);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *
family_retire(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Family *self = (Family *)op;
    self->registered = 0;
    self->seen_born = UINT64_MAX; /* should it be registered again, all its series are looked for */
    for (uint32_t i = 0; i < self->table.n_rows; i++) {
        if (self->table.rows[i] != NULL) {
            family_lose(self, self->table.rows[i]); /* in shared memory, the process that unregisters it ends its series */
        }
    }
    tagsets_settle(self->state);
    Py_RETURN_NONE;
}

/* Return 1 if a series still has its last mark, and is not in use. If not, store the new one. */
static int
is_unchanged(const Family *self, Series *series, double now)
{
    double mark = family_mark(self, series);
    if (is_same_mark(mark, series->mark) && !(has_gauges_that_expire(self) && gauge_is_in_use(series->cells))) {
        return 1;
    }
    series->mark = mark;
    series->since = now;
    return 0;
}

/* Lose the series that did not change for the ttl: how many. */
static long
expire_private(Family *self, double now)
{
    long lost = 0;
    for (uint32_t i = 0; i < self->table.n_rows; i++) {
        Series *series = self->table.rows[i];
        if (series != NULL && is_live(series) && now - series->since >= self->ttl) {
            family_lose(self, series);
            lost++;
        }
    }
    return lost;
}

/* End the series that did not change for the ttl: how many, or -1 with an exception. */
static long
expire(Family *self)
{
    double now;
    if (family_now(self, "uptime", &now) < 0) {
        return -1;
    }
    if (has_shares(self)) {
        return totals_sync(self) < 0 ? -1 : totals_expire(self, now);
    }
    long due = 0;
    for (uint32_t i = 0; i < self->table.n_rows; i++) {
        Series *series = self->table.rows[i];
        due += series != NULL && is_live(series) && is_unchanged(self, series, now) && now - series->since >= self->ttl;
    }
    return due == 0 ? 0 : self->shared != NULL ? family_end_unchanged(self, now) : expire_private(self, now);
}

static PyObject *
family_expire(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Family *self = (Family *)op;
    if (family_sync(self) < 0) {
        return NULL;
    }
    long ended = self->ttl > 0.0 ? expire(self) : 0;
    table_trim(&self->table);
    tagsets_settle(self->state);
    return ended < 0 ? NULL : PyLong_FromLong(ended);
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
    if (family_sync(self) < 0 || (has_shares(self) && totals_sync(self) < 0)) {
        return NULL;
    }
    return PyBool_FromLong(self->table.live == 0 && self->totals.n_rows == 0);
}

static PyObject *
family_get_offset(PyObject *op, void *Py_UNUSED(closure))
{
    const Family *self = (Family *)op;
    return PyLong_FromUnsignedLongLong(self->entry.offset);
}

static PyObject *
family_get_trouble(PyObject *op, void *Py_UNUSED(closure))
{
    const Family *self = (Family *)op;
    return PyUnicode_FromString(self->shared == NULL || self->shared->why == NULL ? "" : self->shared->why);
}

static PyObject *
family_get_lack(PyObject *op, void *Py_UNUSED(closure))
{
    const Family *self = (Family *)op;
    return PyUnicode_FromString(self->shared == NULL || self->shared->lack == NULL ? "" : self->shared->lack);
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
    {"root", family_get_root, NULL, DOC_Family_root, NULL},
    {"empty", family_get_empty, NULL, DOC_Family_empty, NULL},
    {"description", family_get_description, family_set_description, NULL, NULL},
    {"_trouble", family_get_trouble, NULL, "Why shared memory could not be locked at the last failure.", NULL},
    {"_lack", family_get_lack, NULL, "Why there was no space in shared memory at the last failure, and what to do.", NULL},
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
