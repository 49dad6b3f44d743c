/* A column of a snapshot: a sequence over rows (rows.h), which makes an object of a number only when somebody asks for it. */
#ifndef TALLYMARK_COLUMN_H
#define TALLYMARK_COLUMN_H

#include "rows.h"

enum { TAGS, CREATED, VALUES, BUCKET_COUNTS, SUMS, MINS, MAXS, SCALES, ZERO_COUNTS, POSITIVES, NEGATIVES, N_COLUMNS };

struct Difference;

typedef struct {
    PyObject_HEAD
    Rows *rows;                    /* owned */
    struct Difference *difference; /* owned: then items are what was recorded since an earlier reading; or NULL */
    int which;
} Column;

/* Return the columns of some rows, as the class `Columns`; NULL with an exception. Steals; NULL passes on. */
PyObject *columns_of(State *state, Rows *rows_steal);

/* Return one column; NULL with an exception. The difference may be NULL. */
PyObject *column_of(State *state, Rows *rows, struct Difference *difference, int which);

/* Return the rows of a column, which are what it has; NULL, without an exception, for a column of differences and any other object. */
static inline Rows *
rows_of_column(const State *state, PyObject *op, int which)
{
    const Column *column = Py_IS_TYPE(op, state->column_type) ? (Column *)op : NULL;
    return column != NULL && column->which == which && column->difference == NULL ? column->rows : NULL;
}

extern PyType_Spec column_spec;

#endif
