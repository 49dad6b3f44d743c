/* A column of a snapshot: a sequence over rows (rows.h), which makes an object of a number only when somebody asks for it. */
#ifndef TALLYMARK_COLUMN_H
#define TALLYMARK_COLUMN_H

#include "rows.h"

enum { TAGS, CREATED, VALUES, BUCKET_COUNTS, SUMS, MINS, MAXS, SCALES, ZERO_COUNTS, POSITIVES, NEGATIVES, N_COLUMNS };

typedef struct {
    PyObject_HEAD
    Rows *rows; /* owned */
    int which;
} Column;

/* Return the columns of some rows, as the class `Columns`; NULL with an exception. Steals; NULL passes on. */
PyObject *columns_of(State *state, Rows *rows_steal);

/* Return the rows of a column; NULL, without an exception, for any other object. */
static inline Rows *
rows_of_column(const State *state, PyObject *op, int which)
{
    return Py_IS_TYPE(op, state->column_type) && ((Column *)op)->which == which ? ((Column *)op)->rows : NULL;
}

extern PyType_Spec column_spec;

#endif
