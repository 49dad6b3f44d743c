#include "tagset.h"

static uint64_t
tagset_hash_of(const void *entry)
{
    return ((const TagSet *)entry)->hash;
}

static uint64_t
hash_of_values(const Shape *shape, PyObject *const *values)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < shape->size; i++) {
        hash += tag_hash(key_hash(shape->keys[i]), values[i]);
    }
    return hash;
}

static int
values_equal(const TagSet *self, PyObject *const *values)
{
    for (uint32_t i = 0; i < self->shape->size; i++) {
        if (!str_equal(self->values[i], values[i])) {
            return 0;
        }
    }
    return 1;
}

TagSet *
tagset_get(State *state, Shape *shape, PyObject *const *values)
{
    uint64_t hash = hash_of_values(shape, values);
    Pointers *table = &state->tagsets;
    for (size_t at = hash & table->mask; table->slots != NULL && table->slots[at] != NULL; at = (at + 1) & table->mask) {
        TagSet *self = table->slots[at];
        if (self->hash == hash && self->shape == shape && values_equal(self, values)) {
            return (TagSet *)Py_NewRef((PyObject *)self);
        }
    }
    TagSet *self = PyObject_Malloc(sizeof *self + shape->size * sizeof *values);
    if (self == NULL) {
        goto error;
    }
    self->hash = hash;
    if (pointers_add(table, self, tagset_hash_of) < 0) {
        goto error;
    }
    PyObject_Init((PyObject *)self, state->tagset_type);
    self->shape = shape_retain(shape);
    self->label_text = self->weaklist = NULL;
    for (uint32_t i = 0; i < shape->size; i++) {
        self->values[i] = Py_NewRef(values[i]);
    }
    return self;
error:
    PyObject_Free(self);
    PyErr_NoMemory();
    return NULL;
}

TagSet *
tagset_from_sorted(State *state, PyObject *items)
{
    TagSet *self = NULL;
    Py_ssize_t size = PyDict_GET_SIZE(items);
    PyObject **texts = PyMem_Calloc(2 * (size_t)size + 1, sizeof *texts); /* keys, then values; owned */
    if (texts == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    Py_ssize_t position = 0, i = 0;
    PyObject *key, *value;
    while (PyDict_Next(items, &position, &key, &value)) {
        texts[i] = Py_NewRef(key);
        texts[size + i] = Py_NewRef(value);
        i++;
    }
    Shape *shape = shape_get(&state->shapes, texts, (uint32_t)size);
    if (shape != NULL) {
        self = tagset_get(state, shape, texts + size);
        shape_release(&state->shapes, shape);
    }
    for (i = 0; i < 2 * size; i++) {
        Py_DECREF(texts[i]);
    }
    PyMem_Free(texts);
    return self;
}

int
tagset_fill(const TagSet *self, PyObject *dict)
{
    for (uint32_t i = 0; i < self->shape->size; i++) {
        if (PyDict_SetItem(dict, self->shape->keys[i], self->values[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

void
tagset_dealloc(PyObject *op)
{
    TagSet *self = (TagSet *)op;
    PyTypeObject *type = Py_TYPE(op);
    State *state = state_of_type(type);
    pointers_remove(&state->tagsets, self, tagset_hash_of);
    if (self == state->last_root_tags || self == state->last_overflow_tags) {
        state->last_root_tags = state->last_overflow_tags = NULL;
    }
    if (self->weaklist != NULL) { /* nobody can find the set any more: a callback that asks for an equal one makes another */
        PyObject_ClearWeakRefs(op);
    }
    for (uint32_t i = 0; i < self->shape->size; i++) {
        Py_DECREF(self->values[i]);
    }
    Py_XDECREF(self->label_text);
    shape_release(&state->shapes, self->shape);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* Return 1 if there is space for one more; 0 without memory. */
static int
unsettled_reserve(State *state)
{
    if (state->n_unsettled == state->unsettled_capacity) {
        size_t capacity = state->unsettled_capacity * 2 + 4;
        TagSet **grown = PyMem_Realloc(state->unsettled, capacity * sizeof *grown);
        if (grown == NULL) {
            return 0;
        }
        state->unsettled = grown;
        state->unsettled_capacity = capacity;
    }
    return 1;
}

void
tagset_release(TagSet *self_steal)
{
    State *state = state_of_type(Py_TYPE(self_steal));
    if (self_steal->weaklist == NULL || Py_REFCNT(self_steal) > 1) {
        Py_DECREF(self_steal);
    }
    else if (unsettled_reserve(state)) { /* without memory it is never freed */
        state->unsettled[state->n_unsettled++] = self_steal;
    }
}

void
tagsets_free_unsettled(State *state)
{
    while (state->n_unsettled > 0) {
        Py_DECREF(state->unsettled[--state->n_unsettled]);
    }
}

PyObject *
tagset_lookup_borrowed(const TagSet *self, PyObject *key)
{
    if (PyUnicode_Check(key)) {
        for (uint32_t i = 0; i < self->shape->size; i++) {
            if (self->shape->keys[i] == key || PyUnicode_Compare(self->shape->keys[i], key) == 0) {
                return self->values[i];
            }
        }
    }
    return NULL;
}

int
tagset_has_key(const TagSet *self, PyObject *key)
{
    return tagset_lookup_borrowed(self, key) != NULL;
}

int
tagset_has_all(const TagSet *self, const TagSet *wanted)
{
    for (uint32_t i = 0; i < wanted->shape->size; i++) {
        PyObject *value = tagset_lookup_borrowed(self, wanted->shape->keys[i]);
        if (value == NULL || !str_equal(value, wanted->values[i])) {
            return 0;
        }
    }
    return 1;
}
