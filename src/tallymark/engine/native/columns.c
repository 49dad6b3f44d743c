/* Reads a family as columns. */
#include "columns.h"

#include "column.h"
#include "exemplar.h"
#include "instrument.h"
#include "shared_family.h"

static Rows *
read_rows(Family *self)
{
    Rows *rows = has_shares(self) ? totals_read(self) : NULL;
    if (rows == NULL && !PyErr_Occurred()) {
        rows = rows_of_table(self);
    }
    return rows;
}

/* Numbers first: an exemplar may be of a record that came after them. */
static PyObject *
with_exemplars(Family *self, Rows *rows_steal)
{
    PyObject *found = rows_steal == NULL ? NULL : exemplars_read(self, rows_steal), *result = NULL;
    if (PyErr_Occurred()) {
        if (rows_steal != NULL) {
            rows_release(rows_steal, self->state);
        }
        return NULL;
    }
    PyObject *columns = columns_of(self->state, rows_steal);
    if (found == NULL) {
        return columns;
    }
    PyObject *make = columns == NULL ? NULL : borrowed(self->state, WITH_EXEMPLARS);
    if (make != NULL) {
        result = PyObject_CallFunctionObjArgs(make, columns, found, NULL);
    }
    Py_XDECREF(columns);
    Py_DECREF(found);
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
    return with_exemplars(self, read_rows(self));
}
