#include "instrument.h"

/* Finding a series */

Series *
family_find_live(Family *family, const Series *base, PyObject *const *keys, PyObject *const *values, Py_ssize_t size)
{
    if (is_overflow(family, base)) {
        return is_live(base) && !has_no_tag(keys, size) ? (Series *)base : NULL;
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
    Series *series = table_find_planned(&family->table, base->tags, plan, values);
    return series != NULL && is_live(series) ? series : NULL;
}

Series *
family_series(Family *family, TagSet *tags)
{
    Series *series = table_find(&family->table, tags);
    if (series != NULL) {
        return series;
    }
    uint32_t number = NO_RECORD, cells = NO_RECORD;
    if (arena_take(&family->series, &number) < 0 || arena_take(&family->cells, &cells) < 0) {
        goto error;
    }
    series = arena_at(&family->series, number);
    assert(cells == number);
    *series = (Series){.tags = tags, .number = number, .cells = arena_at(&family->cells, number), .state = &series_dormant};
    series->kept = family->root == NULL || tags == family->overflow_tags; /* the root is the first of all */
    if (table_add(&family->table, series) < 0) {
        goto error;
    }
    Py_INCREF(tags);
    return series;
error:
    if (cells != NO_RECORD) {
        arena_give(&family->cells, cells);
    }
    if (number != NO_RECORD) {
        arena_give(&family->series, number);
    }
    PyErr_NoMemory();
    return NULL;
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

static int
shape_is_checked(const Family *family, const Shape *shape)
{
    for (uint32_t i = 0; i < N_CHECKED && i < family->n_checked; i++) {
        if (family->checked[i] == shape) {
            return 1;
        }
    }
    return 0;
}

static void
shape_was_checked(Family *family, Shape *shape)
{
    Shape **place = &family->checked[family->n_checked++ % N_CHECKED];
    shape_release(&family->state->shapes, *place);
    *place = shape_retain(shape);
}

/* Make a series from tags that need no mending; NULL without an exception where they may. */
static Instrument *
family_make_planned(Family *family, const Series *base, const Plan *plan, PyObject *const *texts)
{
    PyObject *values[MAX_TAGS];
    if (!shape_is_checked(family, plan->result)) {
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

/* Find or make the series without a dict: 0 with `*found` set, or left NULL where that takes the slow path; -1 with an
 * exception. Values that are no `str` become text here, because that is all that many of them need. */
static int
family_find_planned(Family *family, const Series *base, Tags tags, Instrument **found)
{
    PyObject *texts[MAX_TAGS] = {NULL};
    Py_ssize_t n = 0;
    int result = 0;
    for (; n < tags.size; n++) {
        PyObject *value = tags.values[n];
        if (!PyUnicode_Check(value) && (PyMapping_Check(value) || PySequence_Check(value) || PyAnySet_Check(value))) {
            goto done; /* a collection is a mistake, of which the slow path tells */
        }
        texts[n] = PyUnicode_Check(value) ? PyUnicode_FromObject(value) : PyObject_Str(value);
        if (texts[n] != NULL && !PyUnicode_CheckExact(texts[n])) {
            Py_SETREF(texts[n], PyUnicode_FromObject(texts[n]));
        }
        if (texts[n] == NULL) {
            if (PyErr_ExceptionMatches(PyExc_Exception)) {
                PyErr_Clear(); /* the slow path accounts for it */
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
            plan_learn(&family->state->shapes, base->tags->shape, tags.keys, tags.size, found->tags->shape);
        }
        /* The overflow series is allowed for its value: another one with its key may not be. */
        if (!shape_is_checked(family, found->tags->shape) && !is_overflow(family, found->series)) {
            shape_was_checked(family, found->tags->shape);
        }
    }
done:
    Py_DECREF(given);
    return found;
}
