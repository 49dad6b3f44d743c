/* Reads a family as columns. */
#include "columns.h"

#include "column.h"
#include "exemplar.h"
#include "instrument.h"
#include "shared_family.h"

static PyObject *
read_numbers(Family *self)
{
    Rows *rows = has_shares(self) ? totals_read(self) : NULL;
    if (rows == NULL && !PyErr_Occurred()) {
        rows = rows_of_table(self);
    }
    return columns_of(self->state, rows);
}

/* Numbers first: an exemplar may be of a record that came after them. */
static PyObject *
with_exemplars(Family *self, PyObject *columns_steal)
{
    PyObject *found = columns_steal == NULL ? NULL : exemplars_read(self), *result = NULL;
    if (found == NULL && !PyErr_Occurred()) {
        return columns_steal;
    }
    PyObject *make = found == NULL ? NULL : borrowed(self->state, WITH_EXEMPLARS);
    if (make != NULL) {
        result = PyObject_CallFunctionObjArgs(make, columns_steal, found, NULL);
    }
    Py_XDECREF(columns_steal);
    Py_XDECREF(found);
    return result;
}

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
    return with_exemplars(self, read_numbers(self));
}
