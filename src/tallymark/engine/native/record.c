/* A record that does not go straight to the cells of a live series: the series is made or woken first, or an exemplar is kept. */
#include "exemplar.h"
#include "instrument.h"
#include "negatives.h"

/* Have the live instrument that a record to one belongs to, with all cells that it needs: 1; 0 if the record is rejected; -1 with
 * an exception. Each is done once, unless other code ends the series meanwhile. */
static int
wake(Instrument **target, double value)
{
    Family *family = (*target)->family;
    while (!is_live((*target)->series) || lacks_negatives(family, (*target)->series, value)) {
        if (is_live((*target)->series)) {
            int made = negatives_make(family, (*target)->series);
            if (made <= 0) {
                return made;
            }
            continue;
        }
        Py_SETREF(*target, family_wake(family, *target));
        if (*target == NULL) {
            return PyErr_Occurred() ? -1 : 0;
        }
    }
    return 1;
}

/* Update the series of an instrument that may be dormant, and keep an exemplar: 0, or -1 with an exception. Labels are borrowed:
 * NULL if the registry may be asked for some, a tuple that may be empty, or None for none. Steals; NULL passes on. */
static int
record_to(Instrument *target_steal, double value, Update update, PyObject *labels)
{
    Instrument *target = target_steal;
    if (target == NULL) {
        return -1;
    }
    Family *family = target->family;
    int result = wake(&target, value);
    if (result <= 0) {
        Py_XDECREF(target);
        return result;
    }
    update(family, target->cells, value);
    result = 0;
    if (labels == NULL && family->asks) {
        result = exemplar_consider(family, target->series, value);
    }
    else if (labels != NULL && labels != Py_None && PyTuple_GET_SIZE(labels) > 0) {
        result = exemplar_offer(family, target->series, value, labels);
    }
    Py_DECREF(target);
    return result;
}

static PyObject *
none_or_error(int result)
{
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

PyObject *
record_no_exemplar(Instrument *self, double value, Update update)
{
    return none_or_error(record_to((Instrument *)Py_NewRef((PyObject *)self), value, update, Py_None));
}

#define NOT_LIVE 1

/* Update a live series of a family that asks, and ask for an exemplar if that is due: 0; -1 with an exception; NOT_LIVE. With
 * tags, family_find_open() has just found it. */
static int
record_asking(Instrument *self, Py_ssize_t n_tags, double value, Update update)
{
    Family *family = self->family;
    Series *series = n_tags > 0 ? family->closed : self->series;
    if (!family->asks || series == NULL || !is_live(series) || lacks_negatives(family, series, value)) {
        return NOT_LIVE;
    }
    update(family, series->cells, value);
    return exemplar_consider(family, series, value);
}

/* Find or make the series first. */
static int
record_found(Instrument *self, Tags tags, double value, Update update)
{
    Instrument *found = tags.size > 0 ? family_find_given(self->family, self->series, tags)
                                      : (Instrument *)Py_NewRef((PyObject *)self);
    return record_to(found, value, update, NULL);
}

int
record_given_slowly(Instrument *self, Tags tags, double value, Update update)
{
    int result = record_asking(self, tags.size, value, update);
    return result != NOT_LIVE ? result : record_found(self, tags, value, update);
}

/* Return the instrument that a record call with these keywords records to; NULL with an exception, as for a wrong keyword.
 * `*labels` is those of the exemplar, owned; NULL if none was given. */
static Instrument *
find_without_them(Instrument *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, PyObject **labels)
{
    PyObject *keywords = keywords_of_call(args, nargs, kwnames);
    PyObject *parts = keywords == NULL ? NULL : PyObject_CallMethod(self->family->policy, "record_tags", "O", keywords);
    Instrument *found = NULL;
    if (parts != NULL) {
        PyObject *tags = PyTuple_GET_ITEM(parts, 0), *given = PyTuple_GET_ITEM(parts, 1);
        *labels = given == Py_None ? NULL : Py_NewRef(given);
        found = PyDict_GET_SIZE(tags) == 0 ? (Instrument *)Py_NewRef((PyObject *)self)
                                           : family_find(self->family, self->series, tags);
    }
    Py_XDECREF(keywords);
    Py_XDECREF(parts);
    return found;
}

PyObject *
record_slowly(Instrument *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, double value, Update update)
{
    Tags tags = has_tags(kwnames) ? tags_of_call(args, nargs, kwnames) : (Tags){NULL, NULL, 0};
    int asked = record_asking(self, tags.size, value, update);
    if (asked != NOT_LIVE) {
        return none_or_error(asked);
    }
    if (tags.size == 0 || !has_no_tag(tags.keys, tags.size)) {
        return none_or_error(record_found(self, tags, value, update));
    }
    PyObject *labels = NULL;
    Instrument *target = find_without_them(self, args, nargs, kwnames, &labels);
    PyObject *result = none_or_error(record_to(target, value, update, labels));
    Py_XDECREF(labels);
    return result;
}
