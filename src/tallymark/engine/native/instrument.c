#include "instrument.h"
#include "shared_family.h"

#include <structmember.h>

#include "docs.h"

void
instrument_dealloc(PyObject *op)
{
    Instrument *self = (Instrument *)op;
    PyTypeObject *type = Py_TYPE(op);
    Family *family = self->family;
    State *state = family->state;
    TagSet *tags = self->tags;
    family_release(family, self->series); /* first: a weak reference may call back, and ask for the series anew */
    if (self->weaklist != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    if (state->n_spare_instruments < MAX_SPARES) {
        state->spare_instruments[state->n_spare_instruments++] = op;
    }
    else {
        PyObject_Free(op);
    }
    Py_DECREF(tags);
    Py_DECREF(family);
    Py_DECREF(type);
}

static PyObject *
instrument_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    PyObject *kind = PyObject_GetAttrString((PyObject *)type, "kind");
    PyObject *name = kind == NULL ? NULL : PyObject_GetAttrString((PyObject *)type, "__name__");
    if (name != NULL) {
        PyErr_Format(PyExc_TypeError, "a %S is made by a registry: registry.%S(name), or tm.%S(name)", name, kind, kind); /* a subclass may have any kind */
    }
    Py_XDECREF(kind);
    Py_XDECREF(name);
    return NULL;
}

int
takes_one(const char *method, Py_ssize_t nargs, Py_ssize_t least)
{
    if (nargs >= least && nargs <= 1) {
        return 1;
    }
    PyErr_Format(PyExc_TypeError, "%s() takes %s positional argument, %s(2) say, but %zd were given", method,
                 least == 0 ? "at most one" : "one", method, nargs);
    return 0;
}

/* Not inlined: tools/record_path.py knows it by its name. */
__attribute__((noinline)) static int
number_by_policy(Family *family, PyObject *object, double *value)
{
    PyErr_Clear(); /* an int that is too large for a double */
    PyObject *read = PyObject_CallMethod(family->policy, "number", "(O)", object);
    int result = read == NULL ? -1 : read != Py_None;
    if (result == 1) {
        *value = PyFloat_AS_DOUBLE(read);
    }
    Py_XDECREF(read);
    return result;
}

int
number_slowly(Family *family, PyObject *object, double *value)
{
    if (PyLong_CheckExact(object)) {
        *value = PyLong_AsDouble(object);
        if (*value != -1.0 || !PyErr_Occurred()) {
            return 1;
        }
    }
    return number_by_policy(family, object, value);
}

PyObject *
reject_number(Family *family, double value)
{
    return PyObject_CallMethod(family->policy, "reject_number", "d", value);
}

/* with_tags */

PyObject *
keywords_of_call(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *keywords = PyDict_New();
    Py_ssize_t n = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    for (Py_ssize_t i = 0; keywords != NULL && i < n; i++) {
        if (PyDict_SetItem(keywords, PyTuple_GET_ITEM(kwnames, i), args[nargs + i]) < 0) {
            Py_CLEAR(keywords);
        }
    }
    return keywords;
}

/* Merge positional arguments of any form, and keywords. */
static PyObject *
with_given(Instrument *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *keywords = keywords_of_call(args, nargs, kwnames);
    PyObject *given = keywords == NULL ? NULL : PyTuple_New(nargs);
    PyObject *tags = NULL, *found = NULL;
    for (Py_ssize_t i = 0; given != NULL && i < nargs; i++) {
        PyTuple_SET_ITEM(given, i, Py_NewRef(args[i]));
    }
    if (given != NULL) {
        tags = PyObject_CallMethod(self->family->policy, "given_tags", "OO", given, keywords);
    }
    if (tags != NULL) {
        found = PyDict_GET_SIZE(tags) == 0
                    ? Py_NewRef((PyObject *)self)
                    : (PyObject *)family_named(self->family, family_find(self->family, self->series, tags));
    }
    Py_XDECREF(keywords);
    Py_XDECREF(given);
    Py_XDECREF(tags);
    return found;
}

/* The live instrument with these tags added, made if need be. */
static PyObject *
with_these(Instrument *self, Tags tags)
{
    Series *series = family_find_live(self->family, self->series, tags.keys, tags.values, tags.size);
    return (PyObject *)(series != NULL ? instrument_of(self->family, series)
                                       : family_named(self->family, family_find_given(self->family, self->series, tags)));
}

PyObject *
tracking_of(Instrument *self, int which, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *make = borrowed(self->family->state, which);
    PyObject *series = NULL, *given = NULL, *made = NULL;
    if (make == NULL || (given = PyTuple_New(nargs)) == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) {
        PyTuple_SET_ITEM(given, i, Py_NewRef(args[i]));
    }
    series = has_tags(kwnames) ? with_these(self, tags_of_call(args, nargs, kwnames)) : Py_NewRef((PyObject *)self);
    if (series != NULL) {
        made = which == IN_PROGRESS ? PyObject_CallOneArg(make, series) : PyObject_CallFunctionObjArgs(make, series, given, NULL);
    }
    Py_XDECREF(series);
    Py_DECREF(given);
    return made;
}

/* Return 1 if there are positional values for all declared keys. One mapping is no such value. */
static int
are_by_place(const Family *family, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return nargs > 0 && PyTuple_Check(family->tag_keys) && PyTuple_GET_SIZE(family->tag_keys) == nargs && !has_tags(kwnames)
           && PyUnicode_CheckExact(args[0]);
}

/* Find the series for a plain dict of plain text, or a tag set, without allocating. NULL without an exception for all else. */
static PyObject *
with_plain_mapping(Instrument *self, PyObject *mapping)
{
    PyObject *keys[MAX_TAGS], *values[MAX_TAGS];
    Tags tags = {keys, values, 0};
    if (PyDict_CheckExact(mapping) && PyDict_GET_SIZE(mapping) <= MAX_TAGS) {
        Py_ssize_t position = 0;
        while (PyDict_Next(mapping, &position, &keys[tags.size], &values[tags.size])) {
            if (++tags.size == MAX_TAGS) {
                break;
            }
        }
    }
    else if (Py_IS_TYPE(mapping, self->family->state->tagset_type) && ((TagSet *)mapping)->shape->size <= MAX_TAGS) {
        const TagSet *set = (TagSet *)mapping;
        tags = (Tags){set->shape->keys, set->values, set->shape->size};
    }
    else {
        return NULL;
    }
    if (tags.size == 0) {
        return Py_NewRef((PyObject *)self);
    }
    for (Py_ssize_t i = 0; i < tags.size; i++) {
        if (!PyUnicode_CheckExact(tags.keys[i])) {
            return NULL;
        }
    }
    Series *series = family_find_live(self->family, self->series, tags.keys, tags.values, tags.size);
    if (series != NULL) {
        return (PyObject *)instrument_of(self->family, series);
    }
    PyObject *kept[2 * MAX_TAGS]; /* `str(value)` may run code that changes the mapping */
    for (Py_ssize_t i = 0; i < tags.size; i++) {
        kept[i] = Py_NewRef(tags.keys[i]);
        kept[MAX_TAGS + i] = Py_NewRef(tags.values[i]);
    }
    tags = (Tags){kept, kept + MAX_TAGS, tags.size};
    PyObject *found = (PyObject *)family_named(self->family, family_find_given(self->family, self->series, tags));
    for (Py_ssize_t i = 0; i < tags.size; i++) {
        Py_DECREF(kept[i]);
        Py_DECREF(kept[MAX_TAGS + i]);
    }
    return found;
}

static PyObject *
instrument_with_tags(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    Instrument *self = (Instrument *)op;
    if (nargs == 0 || (nargs == 1 && args[0] == Py_None)) {
        return has_tags(kwnames) ? with_these(self, tags_of_call(args, nargs, kwnames)) : Py_NewRef(op);
    }
    if (are_by_place(self->family, args, nargs, kwnames)) {
        return with_these(self, (Tags){((PyTupleObject *)self->family->tag_keys)->ob_item, args, nargs});
    }
    if (nargs == 1 && !has_tags(kwnames)) {
        PyObject *found = with_plain_mapping(self, args[0]);
        if (found != NULL || PyErr_Occurred()) {
            return found;
        }
    }
    return with_given(self, args, nargs, kwnames);
}

/* Neither making an instrument nor adding it to the list runs Python code, so the rows do not change. */
static PyObject *
instrument_series(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Instrument *self = (Instrument *)op;
    Family *family = self->family;
    PyObject *found = PyList_New(0);
    if (found == NULL || family_sync(family) < 0) {
        Py_XDECREF(found);
        return NULL;
    }
    for (uint32_t i = 0; i < family->table.n_rows; i++) {
        Series *series = family->table.rows[i];
        if (series != NULL && is_live(series) && tagset_has_all(series->tags, self->tags)) {
            Instrument *one = instrument_of(family, series);
            if (one == NULL || PyList_Append(found, (PyObject *)one) < 0) {
                Py_XDECREF(one);
                Py_DECREF(found);
                return NULL;
            }
            Py_DECREF(one);
        }
    }
    return found;
}

/* Tell those who want to know what a series holds before it is removed: 0, or -1 with an exception. */
static int
tell_leaving(Instrument *self)
{
    if (PyList_GET_SIZE(self->family->leaving) == 0 || !is_live(self->series)) {
        return 0;
    }
    PyObject *told = PyObject_CallMethod(self->family->hooks, "leave", "Od", self, self->series->created);
    Py_XDECREF(told);
    return told == NULL ? -1 : 0;
}

static PyObject *
instrument_remove(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Instrument *self = (Instrument *)op;
    if (tell_leaving(self) < 0) {
        return NULL;
    }
    if (self->family->shared != NULL) {
        return family_remove(self->family, self->series) < 0 ? NULL : Py_NewRef(Py_None);
    }
    family_lose(self->family, self->series);
    Py_RETURN_NONE;
}

static PyObject *
instrument_repr(PyObject *op)
{
    PyObject *describe = borrowed(((Instrument *)op)->family->state, DESCRIBE);
    return describe == NULL ? NULL : PyObject_CallOneArg(describe, op);
}

static PyObject *
instrument_get_name(PyObject *op, void *Py_UNUSED(closure))
{
    return Py_NewRef(((Instrument *)op)->family->name);
}

static PyObject *
instrument_get_description(PyObject *op, void *Py_UNUSED(closure))
{
    return Py_NewRef(((Instrument *)op)->family->description);
}

static PyObject *
instrument_get_unit(PyObject *op, void *Py_UNUSED(closure))
{
    return Py_NewRef(((Instrument *)op)->family->unit);
}

static PyMethodDef instrument_methods[] = {
    {"with_tags", (PyCFunction)(void (*)(void))instrument_with_tags, METH_FASTCALL | METH_KEYWORDS, DOC_Instrument_with_tags},
    {"series", instrument_series, METH_NOARGS, DOC_Instrument_series},
    {"remove", instrument_remove, METH_NOARGS, DOC_Instrument_remove},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef instrument_members[] = {
    {"tags", T_OBJECT_EX, offsetof(Instrument, tags), READONLY, DOC_Instrument_tags},
    {"_family", T_OBJECT_EX, offsetof(Instrument, family), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Instrument, weaklist), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef instrument_getset[] = {
    {"name", instrument_get_name, NULL, DOC_Instrument_name, NULL},
    {"description", instrument_get_description, NULL, DOC_Instrument_description, NULL},
    {"unit", instrument_get_unit, NULL, DOC_Instrument_unit, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot instrument_slots[] = {
    {Py_tp_doc, DOC_Instrument},
    {Py_tp_new, instrument_new},
    {Py_tp_dealloc, instrument_dealloc},
    {Py_tp_repr, instrument_repr},
    {Py_tp_methods, instrument_methods},
    {Py_tp_members, instrument_members},
    {Py_tp_getset, instrument_getset},
    {0, NULL},
};

PyType_Spec instrument_spec = {
    .name = "tallymark.engine.native.Instrument",
    .basicsize = sizeof(Instrument),
    .flags = INSTRUMENT_FLAGS | Py_TPFLAGS_BASETYPE,
    .slots = instrument_slots,
};
