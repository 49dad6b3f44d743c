/* Reads a family as columns. */
#include "columns.h"

#include "column.h"
#include "exponential.h"
#include "instrument.h"
#include "shared_family.h"

PyObject *
family_read(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Family *self = (Family *)op;
    PyObject *expired = PyObject_CallMethod(op, "expire", NULL);
    if (expired == NULL || (has_shares(self) && totals_sync(self) < 0)) {
        Py_XDECREF(expired);
        return NULL;
    }
    Py_DECREF(expired);
    if (self->is_exponential) {
        return exponential_columns(self);
    }
    Rows *rows = has_shares(self) ? totals_read(self) : NULL;
    if (rows == NULL && !PyErr_Occurred()) {
        rows = rows_of_table(self);
    }
    return columns_of(self->state, rows);
}
