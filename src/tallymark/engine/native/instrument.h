/* An instrument: what a user holds and records to. One object for a series, made when someone asks for it. */
#ifndef TALLYMARK_INSTRUMENT_H
#define TALLYMARK_INSTRUMENT_H

#include "family.h"

typedef struct Instrument {
    PyObject_HEAD
    Cell *cells; /* of the series: first, because every record goes there */
    Series *series;
    Family *family; /* owned */
    TagSet *tags;   /* owned */
    PyObject *weaklist;
} Instrument;

/* Return the one instrument of a series; a new reference. */
Instrument *instrument_of(Family *family, Series *series);

/* Return the live series with the keywords of a call added to the tags of `self`, as family_find_live(). */
static inline Series *
find_live(Instrument *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return family_find_live(
        self->family, self->series, ((PyTupleObject *)kwnames)->ob_item, args + nargs, PyTuple_GET_SIZE(kwnames));
}

/* The same, as family_find_open(). */
static inline Series *
find_open(Instrument *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return family_find_open(
        self->family, self->series, ((PyTupleObject *)kwnames)->ob_item, args + nargs, PyTuple_GET_SIZE(kwnames));
}

/* The keywords of a call. */
static inline Tags
tags_of_call(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    return (Tags){((PyTupleObject *)kwnames)->ob_item, args + nargs, PyTuple_GET_SIZE(kwnames)};
}

static inline int
has_tags(PyObject *kwnames)
{
    return kwnames != NULL && PyTuple_GET_SIZE(kwnames) > 0;
}

/* What a record does to the cells of a live series. */
typedef void (*Update)(const Family *family, Cell *cells, double value);

/* Update the series of `self`, or the one with `kwnames` added: the slow half of `record`, which wakes or makes it first, and
 * keeps exemplars. Keywords that are no tags always come here, since no plan is kept for them (`plan_add`). */
PyObject *record_slowly(
    Instrument *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, double value, Update update);

/* Wake and update the series of an instrument, without an exemplar, even where the registry is asked for them. */
PyObject *record_no_exemplar(Instrument *self, double value, Update update);

/* Update the series of `self` with these tags added, whatever their names: 0, or -1 with an exception. */
int record_given_slowly(Instrument *self, Tags tags, double value, Update update);

static inline int
record_given(Instrument *self, Tags tags, double value, Update update)
{
    Series *series = NULL;
    if (tags.size > 0) { /* else there is no key to look for */
        series = family_find_open(self->family, self->series, tags.keys, tags.values, tags.size);
    }
    if (series == NULL) {
        return record_given_slowly(self, tags, value, update);
    }
    update(self->family, series->cells, value);
    return 0;
}

static inline PyObject *
record(Instrument *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, double value, Update update)
{
    Family *family = self->family;
    if (!has_tags(kwnames)) {
        if (is_open(self->series)) {
            update(family, self->cells, value);
            Py_RETURN_NONE;
        }
    }
    else {
        Series *series = find_open(self, args, nargs, kwnames);
        if (series != NULL) {
            update(family, series->cells, value);
            Py_RETURN_NONE;
        }
    }
    return record_slowly(self, args, nargs, kwnames, value, update);
}

/* Return what `track_in_progress` or `count_exceptions` does (IN_PROGRESS, EXCEPTION_COUNT), for the series with these tags. */
PyObject *tracking_of(Instrument *self, int which, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);

/* A dict of the keywords of a call, or NULL with an exception. */
PyObject *keywords_of_call(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);

/* Read the number that a call gives: 1 and `*value`; 0 where it was rejected, which is counted; -1 with an exception. */
int number_slowly(Family *family, PyObject *object, double *value);

static inline int
number(Family *family, PyObject *object, double *value)
{
    if (PyFloat_CheckExact(object)) {
        *value = PyFloat_AS_DOUBLE(object);
        return 1;
    }
    return number_slowly(family, object, value);
}

/* Count a rejected number: NULL with an exception, or None. */
PyObject *reject_number(Family *family, double value);

/* Return 1 if a call has one positional argument or, with `least` 0, none; else 0 with an exception. */
int takes_one(const char *method, Py_ssize_t nargs, Py_ssize_t least);

void instrument_dealloc(PyObject *op);

/* Return 1 if a series of a gauge that expires was moved by inc() or dec(), and is not back at 0. */
int gauge_is_in_use(const Cell *cells);

extern PyType_Spec instrument_spec, counter_spec, gauge_spec, expiring_gauge_spec, undecided_gauge_spec, histogram_spec, timer_spec;

#define INSTRUMENT_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE)

#endif
