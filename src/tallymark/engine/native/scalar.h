/* What counters and gauges have in common: a series that holds one number. */
#ifndef TALLYMARK_SCALAR_H
#define TALLYMARK_SCALAR_H

#include "instrument.h"
#include "shared_family.h"

static inline void
scalar_add(const Family *Py_UNUSED(family), Cell *cells, double amount)
{
    cell_add(cells, amount);
}

static inline void
scalar_set(const Family *Py_UNUSED(family), Cell *cells, double value)
{
    cell_set(cells, value);
}

static inline PyObject *
scalar_get_value(PyObject *op, void *Py_UNUSED(closure))
{
    Instrument *self = (Instrument *)op;
    if (family_look(self->family, self->series) < 0) {
        return NULL;
    }
    return PyFloat_FromDouble(cell_get(self->cells));
}

#endif
