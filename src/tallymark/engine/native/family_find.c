#include "instrument.h"

/* Finding a series */

static inline Series *
find_in_table(Family *family, const Series *base, PyObject *const *keys, PyObject *const *values, Py_ssize_t size)
{
    if (is_overflow(family, base)) {
        return has_no_tag(keys, size) ? NULL : (Series *)base;
    }
    if (size > MAX_TAGS) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < size; i++) {
        if (!PyUnicode_CheckExact(values[i])) {
            return NULL;
        }
    }
    const Plan *plan = plan_find(&family->state->shapes, base->tags->shape, keys, size);
    if (plan == NULL) {
        return NULL;
    }
    return table_find_planned(&family->table, base->tags, plan, values);
}

Series *
family_find_live(Family *family, const Series *base, PyObject *const *keys, PyObject *const *values, Py_ssize_t size)
{
    Series *series = find_in_table(family, base, keys, values, size);
    return series != NULL && is_live(series) ? series : NULL;
}

Series *
family_find_open(Family *family, const Series *base, PyObject *const *keys, PyObject *const *values, Py_ssize_t size)
{
    Series *series = find_in_table(family, base, keys, values, size);
    if (series != NULL && is_open(series)) {
        return series;
    }
    family->closed = series;
    return NULL;
}

Series *
family_series(Family *family, TagSet *tags)
{
    Series *series = table_find(&family->table, tags);
    if (series != NULL) {
        return series;
    }
    uint32_t number;
    series = arena_take(&family->series, &number);
    if (series == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    series->tags = tags;
    series->number = number & INT32_MAX; /* which it is: so many bits it has */
    series->state = &series_dormant;
    series->kept = family->root == NULL || tags == family->overflow_tags; /* the root is the first of all */
    family_empty(family, series);
    if (table_add(&family->table, series) < 0) {
        arena_give(&family->series, number);
        PyErr_NoMemory();
        return NULL;
    }
    Py_INCREF(tags);
    return series;
}

static Instrument *
admit(Family *family, TagSet *tags_steal)
{
    Series *series = tags_steal == NULL ? NULL : family_series(family, tags_steal);
    Instrument *instrument = series == NULL ? NULL : instrument_of(family, series);
    Py_XDECREF(tags_steal);
    return instrument;
}

Instrument *
family_find(Family *family, const Series *base, PyObject *tags)
{
    if (is_overflow(family, base) || PyDict_GET_SIZE(tags) == 0) {
        return instrument_of(family, (Series *)base);
    }
    PyObject *merged = PyDict_New();
    PyObject *items = NULL;
    if (merged != NULL && tagset_fill(base->tags, merged) == 0 && PyDict_Update(merged, tags) == 0) {
        items = PyObject_CallMethod(family->policy, "canonical", "O", merged);
    }
    Py_XDECREF(merged);
    if (items == NULL) {
        return NULL;
    }
    Instrument *found = admit(family, tagset_from_sorted(family->state, items));
    Py_DECREF(items);
    return found;
}

/* Return 1 if a text is in a tuple, 0 if not, and -1 if the tuple holds something else than str: then ask Python. */
static int
is_among(PyObject *tuple, PyObject *key)
{
    int found = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
        PyObject *one = PyTuple_GET_ITEM(tuple, i);
        if (!PyUnicode_CheckExact(one)) {
            return -1;
        }
        found = found || str_equal(one, key);
    }
    return found;
}

/* Return 1 if a series may have these keys for certain; if 0, the policy decides. The keys of a shape are known to be valid. As
 * `Policy.canonical`. */
static int
may_have_keys(const Family *family, const Shape *shape)
{
    if (shape->size > family->max_tags) {
        return 0;
    }
    for (uint32_t i = 0; i < shape->size; i++) {
        PyObject *key = shape->keys[i];
        if (PyUnicode_GET_LENGTH(key) > family->max_key_length || is_among(family->disallowed_keys, key) != 0) {
            return 0;
        }
        if (family->tag_keys != Py_None && is_among(family->tag_keys, key) != 1 && !tagset_has_key(family->root->tags, key)) {
            return 0;
        }
    }
    return 1;
}

/* Make a series from tags that need no change; NULL without an exception if they may need one. */
static Instrument *
family_make_planned(Family *family, const Series *base, const Plan *plan, PyObject *const *texts)
{
    PyObject *values[MAX_TAGS];
    if (!may_have_keys(family, plan->result)) {
        return NULL;
    }
    for (uint32_t i = 0; i < base->tags->shape->size; i++) {
        if (plan->kept[i] != GIVEN) {
            values[plan->kept[i]] = base->tags->values[i];
        }
    }
    for (uint32_t j = 0; j < plan->size; j++) {
        if (!PyUnicode_IS_ASCII(texts[j]) || PyUnicode_GET_LENGTH(texts[j]) > family->max_value_length) {
            return NULL;
        }
        values[plan->to[j]] = texts[j];
    }
    return admit(family, tagset_get(family->state, plan->result, values));
}

/* Find or make the series without a dict: 0 with `*found` set, or left NULL if only the slow path can; -1 with an exception.
 * Values that are no `str` become text here, because that is all that many of them need. */
static int
family_find_planned(Family *family, const Series *base, Tags tags, Instrument **found)
{
    PyObject *texts[MAX_TAGS] = {NULL};
    Py_ssize_t n = 0;
    int result = 0;
    for (; n < tags.size; n++) {
        PyObject *value = tags.values[n];
        if (!PyUnicode_Check(value) && (PyMapping_Check(value) || PySequence_Check(value) || PyAnySet_Check(value))) {
            goto done; /* a collection is a mistake: the slow path raises */
        }
        texts[n] = PyUnicode_Check(value) ? PyUnicode_FromObject(value) : PyObject_Str(value);
        if (texts[n] != NULL && !PyUnicode_CheckExact(texts[n])) {
            Py_SETREF(texts[n], PyUnicode_FromObject(texts[n]));
        }
        if (texts[n] == NULL) {
            if (PyErr_ExceptionMatches(PyExc_Exception)) {
                PyErr_Clear(); /* the slow path counts it */
            }
            else {
                result = -1;
            }
            goto done;
        }
        if (!PyUnicode_CheckExact(tags.keys[n])) {
            n++;
            goto done;
        }
    }
    const Plan *plan = plan_find(&family->state->shapes, base->tags->shape, tags.keys, tags.size);
    if (plan != NULL) {
        Series *series = table_find_planned(&family->table, base->tags, plan, texts);
        *found = series != NULL ? instrument_of(family, series) : family_make_planned(family, base, plan, texts);
        result = *found == NULL && PyErr_Occurred() ? -1 : 0;
    }
done:
    while (n-- > 0) {
        Py_XDECREF(texts[n]);
    }
    return result;
}

Instrument *
family_find_given(Family *family, const Series *base, Tags tags)
{
    if (is_overflow(family, base)) {
        return instrument_of(family, (Series *)base);
    }
    Instrument *found = NULL;
    if (tags.size <= MAX_TAGS && (family_find_planned(family, base, tags, &found) < 0 || found != NULL)) {
        return found;
    }
    PyObject *given = PyDict_New();
    if (given == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < tags.size; i++) {
        if (PyDict_SetItem(given, tags.keys[i], tags.values[i]) < 0) {
            goto done;
        }
    }
    found = family_find(family, base, given);
    if (found != NULL && PyDict_GET_SIZE(given) == tags.size && tags.size <= MAX_TAGS) {
        int exact = 1;
        for (Py_ssize_t i = 0; i < tags.size; i++) {
            exact = exact && PyUnicode_CheckExact(tags.keys[i]);
        }
        if (exact) {
            plan_add(&family->state->shapes, base->tags->shape, tags.keys, tags.size, found->tags->shape);
        }
    }
done:
    Py_DECREF(given);
    return found;
}
