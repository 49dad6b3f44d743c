/* What the two types of gauges have in common: those of which the series expire count their records. */
#ifndef TALLYMARK_GAUGE_H
#define TALLYMARK_GAUGE_H

#include "scalar.h"

static inline PyObject *
gauge_set_with(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, Update update)
{
    Instrument *self = (Instrument *)op;
    double value;
    if (!takes_one("set", nargs, 1)) {
        return NULL;
    }
    int is_number = number(self->family, args[0], &value);
    if (is_number != 1) {
        return is_number < 0 ? NULL : Py_NewRef(Py_None);
    }
    return record(self, args, nargs, kwnames, value, update);
}

static inline PyObject *
gauge_move_with(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, double sign, Update update)
{
    Instrument *self = (Instrument *)op;
    double amount = 1.0;
    int is_number = nargs == 0 ? 1 : number(self->family, args[0], &amount);
    if (is_number != 1) {
        return is_number < 0 ? NULL : Py_NewRef(Py_None);
    }
    if (!Py_IS_FINITE(amount)) {
        return reject_number(self->family, sign * amount);
    }
    return record(self, args, nargs, kwnames, sign * amount, update);
}

/* Once the first series of a family is moved: tell the policy: 0, or -1 with an exception. */
int family_decide(Family *family);

PyObject *gauge_track_in_progress(PyObject *op, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);

#endif
