/* What Python code sees of a tag set: a mapping. */
#include "tagset.h"

#include <structmember.h>

#include "docs.h"

static PyObject *
tagset_as_dict(PyObject *op)
{
    PyObject *dict = PyDict_New();
    if (dict != NULL && tagset_fill((TagSet *)op, dict) < 0) {
        Py_CLEAR(dict);
    }
    return dict;
}

static PyObject *
tagset_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    State *state = state_of_type(type);
    PyObject *mapping = Py_None;
    if (!PyArg_UnpackTuple(args, "TagSet", 0, 1, &mapping)) {
        return NULL;
    }
    PyObject *none = NULL;
    if (kwargs == NULL && (kwargs = none = PyDict_New()) == NULL) {
        return NULL;
    }
    PyObject *checked_tags = borrowed(state, CHECKED_TAGS);
    PyObject *items = checked_tags == NULL ? NULL : PyObject_CallFunctionObjArgs(checked_tags, mapping, kwargs, NULL);
    Py_XDECREF(none);
    PyObject *self = items == NULL ? NULL : (PyObject *)tagset_from_sorted(state, items);
    Py_XDECREF(items);
    return self;
}

static Py_ssize_t
tagset_length(PyObject *op)
{
    return ((TagSet *)op)->shape->size;
}

static PyObject *
tagset_subscript(PyObject *op, PyObject *key)
{
    PyObject *value = tagset_lookup_borrowed((TagSet *)op, key);
    if (value == NULL && PyObject_Hash(key) != -1) {
        PyErr_SetObject(PyExc_KeyError, key);
    }
    return Py_XNewRef(value);
}

static int
tagset_contains(PyObject *op, PyObject *key)
{
    if (tagset_lookup_borrowed((TagSet *)op, key) != NULL) {
        return 1;
    }
    return PyObject_Hash(key) == -1 ? -1 : 0;
}

static PyObject *
tagset_get_method(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"key", "default"};
    PyObject *given[2] = {NULL, Py_None};
    Py_ssize_t named = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);
    if (nargs > 2) {
        PyErr_Format(PyExc_TypeError, "get() takes at most 2 arguments (%zd given)", nargs);
        return NULL;
    }
    memcpy(given, args, (size_t)nargs * sizeof *args);
    for (Py_ssize_t i = 0; i < named; i++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, i);
        int which = PyUnicode_CompareWithASCIIString(name, names[0]) == 0 ? 0
                    : PyUnicode_CompareWithASCIIString(name, names[1]) == 0 ? 1
                                                                            : 2;
        if (which == 2 || which < nargs) {
            PyErr_Format(PyExc_TypeError, "get() got an unexpected argument %R", name);
            return NULL;
        }
        given[which] = args[nargs + i];
    }
    if (given[0] == NULL) {
        PyErr_SetString(PyExc_TypeError, "get() missing 1 required positional argument: 'key'");
        return NULL;
    }
    int found = tagset_contains(op, given[0]);
    return found < 0 ? NULL : found ? tagset_subscript(op, given[0]) : Py_NewRef(given[1]);
}

static PyObject *
tagset_iter(PyObject *op)
{
    TagSet *self = (TagSet *)op;
    PyObject *keys = PyTuple_New(self->shape->size);
    if (keys == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < self->shape->size; i++) {
        PyTuple_SET_ITEM(keys, i, Py_NewRef(self->shape->keys[i]));
    }
    PyObject *iterator = PyObject_GetIter(keys);
    Py_DECREF(keys);
    return iterator;
}

static Py_hash_t
tagset_hash(PyObject *op)
{
    Py_hash_t hash = (Py_hash_t)mixed(((TagSet *)op)->hash + 1);
    return hash == -1 ? -2 : hash;
}

static PyObject *
tagset_richcompare(PyObject *a, PyObject *b, int op)
{
    State *state = state_of_type(Py_TYPE(a));
    if ((op != Py_EQ && op != Py_NE) || (a != b && !Py_IS_TYPE(b, state->tagset_type) && !PyDict_Check(b))) {
        PyObject *mapping = borrowed(state, MAPPING);
        int is_mapping = mapping == NULL ? -1 : (op == Py_EQ || op == Py_NE) ? PyObject_IsInstance(b, mapping) : 0;
        if (is_mapping <= 0) {
            return is_mapping < 0 ? NULL : Py_NewRef(Py_NotImplemented);
        }
    }
    if (a == b || Py_IS_TYPE(b, state->tagset_type)) {
        return PyBool_FromLong((a == b) == (op == Py_EQ));
    }
    PyObject *mine = tagset_as_dict(a);
    PyObject *theirs = mine == NULL ? NULL : PyDict_New();
    PyObject *result = NULL;
    if (theirs != NULL && PyDict_Update(theirs, b) == 0) {
        result = PyObject_RichCompare(mine, theirs, op);
    }
    Py_XDECREF(mine);
    Py_XDECREF(theirs);
    return result;
}

static PyObject *
tagset_repr(PyObject *op)
{
    PyObject *dict = tagset_as_dict(op);
    PyObject *text = dict == NULL ? NULL : PyUnicode_FromFormat("TagSet(%R)", dict);
    Py_XDECREF(dict);
    return text;
}

static PyObject *
tagset_reduce(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    PyObject *dict = tagset_as_dict(op);
    return dict == NULL ? NULL : Py_BuildValue("O(N)", Py_TYPE(op), dict);
}

/* Its keys are its shape's, which other sets have too. */
static PyObject *
tagset_sizeof(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    const TagSet *self = (TagSet *)op;
    return PyLong_FromSize_t(sizeof *self + self->shape->size * sizeof *self->values);
}

static PyObject *
tagset_view(PyObject *op, int which)
{
    PyObject *view = borrowed(state_of_type(Py_TYPE(op)), which);
    return view == NULL ? NULL : PyObject_CallOneArg(view, op);
}

static PyObject *
tagset_keys(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return tagset_view(op, KEYS_VIEW);
}

static PyObject *
tagset_values(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return tagset_view(op, VALUES_VIEW);
}

static PyObject *
tagset_items(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return tagset_view(op, ITEMS_VIEW);
}

static PyObject *
tagset_get_label_text(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *text = ((TagSet *)op)->label_text;
    return Py_NewRef(text == NULL ? Py_None : text);
}

/* Accept only exact text, so that no cycle can form here, and freeing a tag set runs no Python code. */
static PyObject *
tagset_keep_label_text(PyObject *op, PyObject *text)
{
    if (!PyUnicode_CheckExact(text)) {
        PyErr_Format(PyExc_TypeError, "a label text must be a str, not %.200s", Py_TYPE(text)->tp_name);
        return NULL;
    }
    Py_XSETREF(((TagSet *)op)->label_text, Py_NewRef(text));
    Py_RETURN_NONE;
}

static PyMethodDef tagset_methods[] = {
    {"get", (PyCFunction)(void (*)(void))tagset_get_method, METH_FASTCALL | METH_KEYWORDS, DOC_TagSet_get},
    {"keys", tagset_keys, METH_NOARGS, DOC_TagSet_keys},
    {"values", tagset_values, METH_NOARGS, DOC_TagSet_values},
    {"items", tagset_items, METH_NOARGS, DOC_TagSet_items},
    {"_keep_label_text", tagset_keep_label_text, METH_O, DOC_TagSet__keep_label_text},
    {"__reduce__", tagset_reduce, METH_NOARGS, NULL},
    {"__sizeof__", tagset_sizeof, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef tagset_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(TagSet, weaklist), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef tagset_getset[] = {
    {"_label_text", tagset_get_label_text, NULL, DOC_TagSet__label_text, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot tagset_slots[] = {
    {Py_tp_doc, DOC_TagSet},
    {Py_tp_new, tagset_new},
    {Py_tp_dealloc, tagset_dealloc},
    {Py_tp_hash, tagset_hash},
    {Py_tp_richcompare, tagset_richcompare},
    {Py_tp_repr, tagset_repr},
    {Py_tp_iter, tagset_iter},
    {Py_tp_methods, tagset_methods},
    {Py_tp_members, tagset_members},
    {Py_tp_getset, tagset_getset},
    {Py_mp_length, tagset_length},
    {Py_mp_subscript, tagset_subscript},
    {Py_sq_contains, tagset_contains},
    {0, NULL},
};

PyType_Spec tagset_spec = {
    .name = "tallymark.engine.native.TagSet",
    .basicsize = sizeof(TagSet),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_MAPPING | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = tagset_slots,
};
