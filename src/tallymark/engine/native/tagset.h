/* A tag set: the immutable, interned mapping of a series' tags. Equal sets are one object. */
#ifndef TALLYMARK_TAGSET_H
#define TALLYMARK_TAGSET_H

#include "state.h"

typedef struct TagSet {
    PyObject_HEAD
    Shape *shape;
    uint64_t hash;         /* the sum of tag_hash() over all tags */
    PyObject *label_text;  /* where exporters keep the escaped text; NULL until then */
    PyObject *weaklist;
    PyObject *values[];    /* exact str, in the order of the shape's keys */
} TagSet;

/* Return the one set with these keys and values (exact str, the keys ascending); a new reference, or NULL with an exception. */
TagSet *tagset_get(State *state, Shape *shape, PyObject *const *values);

/* The same from a dict of exact text, sorted by key. */
TagSet *tagset_from_sorted(State *state, PyObject *items);

/* Add the tags of a set to a dict: 0, or -1 with an exception. */
int tagset_fill(const TagSet *self, PyObject *dict);

/* Return the value of a key, borrowed; NULL, without an exception, if there is none. */
PyObject *tagset_lookup_borrowed(const TagSet *self, PyObject *key);

/* Return 1 if a set has a tag with this key. */
int tagset_has_key(const TagSet *self, PyObject *key);

/* Return 1 if a set has all tags of another. */
int tagset_has_all(const TagSet *self, const TagSet *wanted);

/* Let go of a set where no Python code may run: under a lock, or between two steps. If it has weak references and this is the
 * last reference, it lives on until tagsets_settle(), since a weak reference may call back. */
void tagset_release(TagSet *self_steal);

void tagsets_free_unsettled(State *state);
void tagset_dealloc(PyObject *op);

/* Free what tagset_release() kept. This may run Python code. */
static inline void
tagsets_settle(State *state)
{
    if (state->n_unsettled > 0) {
        tagsets_free_unsettled(state);
    }
}

extern PyType_Spec tagset_spec;

#endif
