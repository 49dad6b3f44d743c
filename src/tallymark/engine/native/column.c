#include "column.h"

#include "difference.h"
#include "frozen.h"

static PyObject *
bucket_counts(const Rows *rows, const Bounded *row)
{
    PyObject *counts = PyTuple_New((Py_ssize_t)rows->n_bounds + 1);
    for (uint32_t i = 0; counts != NULL && i <= rows->n_bounds; i++) {
        PyObject *count = PyLong_FromUnsignedLongLong(row->now == NULL ? 0 : bounded_count(row, i));
        if (count == NULL) {
            Py_CLEAR(counts);
            break;
        }
        PyTuple_SET_ITEM(counts, i, count);
    }
    return counts;
}

/* Return a float; of extremes that there are not, always the same one, as Python code has it: two NaN are else not equal. */
static PyObject *
summed_item(const Column *self, const Summed *summed)
{
    double value = self->which == SUMS ? summed->sum : self->which == MINS ? summed->least : summed->most;
    if (value != value && self->which != SUMS) {
        return Py_XNewRef(borrowed(state_of_type(Py_TYPE(self)), NOT_A_NUMBER));
    }
    return PyFloat_FromDouble(value);
}

static PyObject *
bounded_item(const Column *self, const Portion *portion, uint32_t row)
{
    Bounded found;
    bounded_read(self->rows, self->difference, portion, row, &found);
    return self->which == BUCKET_COUNTS ? bucket_counts(self->rows, &found) : summed_item(self, &found.summed);
}

static PyObject *
spread_item(const Column *self, const Portion *portion, uint32_t row)
{
    Spread found;
    Space space;
    spread_read(self->rows, self->difference, portion, row, &space, &found);
    switch (self->which) {
    case SCALES:
        return PyLong_FromLong(TOP_SCALE - (long)found.epoch);
    case ZERO_COUNTS:
        return PyLong_FromUnsignedLongLong(found.zeros);
    case POSITIVES:
        return exponential_tuple(found.above.first, found.above.counts, found.above.size);
    case NEGATIVES:
        return exponential_tuple(found.below.first, found.below.counts, found.below.size);
    default:
        return summed_item(self, &found.summed);
    }
}

/* Return what a column has in a row of a portion; a new reference, or NULL with an exception. */
static PyObject *
item(const Column *self, const Portion *portion, uint32_t row)
{
    switch (self->which) {
    case TAGS:
        return Py_NewRef((PyObject *)portion->block->tags[row]);
    case CREATED:
        return PyFloat_FromDouble(portion->block->created[row]);
    case VALUES:
        return PyFloat_FromDouble(double_of(portion->words[(size_t)row * self->rows->width]));
    default:
        return (self->rows->is_exponential ? spread_item : bounded_item)(self, portion, row);
    }
}

static PyObject *
as_tuple(const Column *self)
{
    const Rows *rows = self->rows;
    PyObject *tuple = PyTuple_New(rows->n);
    for (uint32_t i = 0; tuple != NULL && i < rows->n_portions; i++) {
        const Portion *portion = rows->portions[i];
        for (uint32_t row = 0; row < portion->block->n; row++) {
            PyObject *one = item(self, portion, row);
            if (one == NULL) {
                Py_DECREF(tuple);
                return NULL;
            }
            PyTuple_SET_ITEM(tuple, portion->start + row, one);
        }
    }
    return tuple;
}

static void
column_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    difference_release(((Column *)op)->difference, state_of_type(type));
    rows_release(((Column *)op)->rows, state_of_type(type));
    type->tp_free(op);
    Py_DECREF(type);
}

static Py_ssize_t
column_length(PyObject *op)
{
    return ((Column *)op)->rows->n;
}

static PyObject *
column_item(PyObject *op, Py_ssize_t i)
{
    const Column *self = (Column *)op;
    uint32_t row;
    if (i < 0 || i >= self->rows->n) {
        PyErr_SetString(PyExc_IndexError, "a column has no row of this index");
        return NULL;
    }
    const Portion *portion = rows_find(self->rows, (uint32_t)i, &row);
    return item(self, portion, row);
}

static PyObject *
column_slice(const Column *self, PyObject *slice)
{
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(slice, &start, &stop, &step) < 0) {
        return NULL;
    }
    Py_ssize_t n = PySlice_AdjustIndices(self->rows->n, &start, &stop, step);
    PyObject *tuple = PyTuple_New(n);
    for (Py_ssize_t i = 0; tuple != NULL && i < n; i++) {
        PyObject *one = column_item((PyObject *)self, start + i * step);
        if (one == NULL) {
            Py_CLEAR(tuple);
            break;
        }
        PyTuple_SET_ITEM(tuple, i, one);
    }
    return tuple;
}

static PyObject *
column_subscript(PyObject *op, PyObject *key)
{
    if (PySlice_Check(key)) {
        return column_slice((Column *)op, key);
    }
    Py_ssize_t i = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if (i == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return column_item(op, i < 0 ? i + column_length(op) : i);
}

static PyObject *
column_richcompare(PyObject *a, PyObject *b, int op)
{
    const Column *self = (Column *)a, *other = Py_IS_TYPE(b, Py_TYPE(a)) ? (Column *)b : NULL;
    if (other == NULL && !PyTuple_Check(b)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    if (other != NULL && other->rows == self->rows && other->which == self->which
        && differences_are_same(self->difference, other->difference) && (op == Py_EQ || op == Py_NE)) {
        return PyBool_FromLong(op == Py_EQ); /* a tuple too is equal to itself, though it may hold NaN */
    }
    int are_of_blocks = other != NULL && self->which == other->which && (self->which == TAGS || self->which == CREATED);
    if (are_of_blocks && (op == Py_EQ || op == Py_NE) && have_same_blocks(self->rows, other->rows)) {
        return PyBool_FromLong(op == Py_EQ);
    }
    PyObject *mine = as_tuple(self), *theirs = other != NULL ? as_tuple(other) : Py_NewRef(b);
    PyObject *result = mine == NULL || theirs == NULL ? NULL : PyObject_RichCompare(mine, theirs, op);
    Py_XDECREF(mine);
    Py_XDECREF(theirs);
    return result;
}

static Py_hash_t
column_hash(PyObject *op)
{
    PyObject *tuple = as_tuple((Column *)op);
    Py_hash_t hash = tuple == NULL ? -1 : PyObject_Hash(tuple);
    Py_XDECREF(tuple);
    return hash;
}

static PyObject *
column_repr(PyObject *op)
{
    PyObject *tuple = as_tuple((Column *)op);
    PyObject *text = tuple == NULL ? NULL : PyObject_Repr(tuple);
    Py_XDECREF(tuple);
    return text;
}

static PyObject *
column_reduce(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    PyObject *tuple = as_tuple((Column *)op);
    return tuple == NULL ? NULL : Py_BuildValue("O(N)", &PyTuple_Type, tuple);
}

static PyObject *
column_index(PyObject *op, PyObject *args)
{
    PyObject *tuple = as_tuple((Column *)op);
    PyObject *method = tuple == NULL ? NULL : PyObject_GetAttrString(tuple, "index");
    PyObject *result = method == NULL ? NULL : PyObject_Call(method, args, NULL);
    Py_XDECREF(tuple);
    Py_XDECREF(method);
    return result;
}

static PyObject *
column_count(PyObject *op, PyObject *value)
{
    PyObject *tuple = as_tuple((Column *)op);
    PyObject *result = tuple == NULL ? NULL : PyObject_CallMethod(tuple, "count", "O", value);
    Py_XDECREF(tuple);
    return result;
}

static PyMethodDef column_methods[] = {
    {"index", column_index, METH_VARARGS, "Return the first row that has a value; `ValueError` if none has."},
    {"count", column_count, METH_O, "Return how many rows have a value."},
    {"__reduce__", column_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot column_slots[] = {
    {Py_tp_doc, "A column of a snapshot. It is read as a tuple is, makes each item when it is asked for, and pickles as a tuple."},
    {Py_tp_dealloc, column_dealloc},
    {Py_tp_hash, column_hash},
    {Py_tp_richcompare, column_richcompare},
    {Py_tp_repr, column_repr},
    {Py_tp_methods, column_methods},
    {Py_sq_length, column_length},
    {Py_sq_item, column_item},
    {Py_mp_length, column_length},
    {Py_mp_subscript, column_subscript},
    {0, NULL},
};

PyType_Spec column_spec = {
    .name = "tallymark.engine.native.Column",
    .basicsize = sizeof(Column),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_SEQUENCE | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = column_slots,
};

/* Columns */

PyObject *
column_of(State *state, Rows *rows, Difference *difference, int which)
{
    Column *self = (Column *)state->column_type->tp_alloc(state->column_type, 0);
    if (self != NULL) {
        self->rows = rows_retain(rows);
        self->difference = difference_retain(difference);
        self->which = which;
    }
    return (PyObject *)self;
}

/* The fields of `Columns`, in their order; of exemplars, there are none yet. */
enum { NO_EXEMPLARS = N_COLUMNS, N_FIELDS = N_COLUMNS + 1 };
static const int fields[N_FIELDS] = {TAGS, CREATED, VALUES, BUCKET_COUNTS, SUMS, MINS, MAXS, NO_EXEMPLARS, SCALES, ZERO_COUNTS,
                                     POSITIVES, NEGATIVES};

/* Return 1 if a family's rows have a column. */
static int
has_column(const Rows *rows, int which)
{
    switch (which) {
    case TAGS:
    case CREATED:
        return 1;
    case VALUES:
        return !rows->has_buckets;
    case BUCKET_COUNTS:
        return rows->has_buckets && !rows->is_exponential;
    case SUMS:
    case MINS:
    case MAXS:
        return rows->has_buckets;
    case NO_EXEMPLARS:
        return 0;
    default:
        return rows->is_exponential;
    }
}

PyObject *
columns_of(State *state, Rows *rows_steal)
{
    if (rows_steal == NULL) {
        return NULL;
    }
    PyObject *columns[N_FIELDS], *result = NULL, *make = borrowed(state, COLUMNS);
    int n = 0, is_complete = make != NULL;
    while (is_complete && n < N_FIELDS) {
        columns[n] = has_column(rows_steal, fields[n]) ? column_of(state, rows_steal, NULL, fields[n]) : PyTuple_New(0);
        is_complete = columns[n] != NULL;
        n += is_complete;
    }
    if (is_complete) {
        result = frozen_make(state, make, columns, N_FIELDS);
    }
    while (n > 0) {
        Py_DECREF(columns[--n]);
    }
    rows_release(rows_steal, state);
    return result;
}
