/* Reads a family as columns: no object is made for a series. */
#include "instrument.h"

PyObject *family_read(PyObject *op, PyObject *ignored);

/* Write the series of a reading to `rows`, and return how many: the live ones, or the root alone. */
static Py_ssize_t
rows_of(const Family *self, const Series **rows)
{
    Py_ssize_t n = 0;
    for (uint32_t i = 0; i < self->table.n_rows; i++) {
        const Series *series = self->table.rows[i];
        if (series != NULL && is_live(series)) {
            rows[n++] = series;
        }
    }
    if (n == 0) {
        rows[n++] = self->root;
    }
    return n;
}

typedef PyObject *(*Entry)(const Family *self, const Series *series);

static PyObject *
column(const Family *self, const Series **rows, Py_ssize_t n, Entry entry)
{
    PyObject *tuple = PyTuple_New(n);
    for (Py_ssize_t i = 0; tuple != NULL && i < n; i++) {
        PyObject *value = entry(self, rows[i]);
        if (value == NULL) {
            Py_CLEAR(tuple);
            break;
        }
        PyTuple_SET_ITEM(tuple, i, value);
    }
    return tuple;
}

static PyObject *
entry_tags(const Family *Py_UNUSED(self), const Series *series)
{
    return Py_NewRef((PyObject *)series->tags);
}

static PyObject *
entry_created(const Family *Py_UNUSED(self), const Series *series)
{
    return PyFloat_FromDouble(series->created);
}

static PyObject *
cell_as_float(const Series *series, uint32_t i)
{
    return PyFloat_FromDouble(cell_get(&series->cells[i]));
}

static PyObject *
entry_value(const Family *Py_UNUSED(self), const Series *series)
{
    return cell_as_float(series, 0);
}

PyObject *
bucket_counts_of(const Family *self, const Cell *cells)
{
    PyObject *counts = PyTuple_New((Py_ssize_t)self->n_bounds + 1);
    for (uint32_t i = 0; counts != NULL && i <= self->n_bounds; i++) {
        PyObject *count = PyLong_FromUnsignedLongLong(cell_count(&cells[i]));
        if (count == NULL) {
            Py_CLEAR(counts);
            break;
        }
        PyTuple_SET_ITEM(counts, i, count);
    }
    return counts;
}

static PyObject *
entry_bucket_counts(const Family *self, const Series *series)
{
    return bucket_counts_of(self, series->cells);
}

static PyObject *
entry_sum(const Family *self, const Series *series)
{
    return cell_as_float(series, SUM(self));
}

double
extreme_of(const Family *self, const Cell *cells, uint32_t which)
{
    return cell_get(&cells[MIN(self)]) > cell_get(&cells[MAX(self)]) ? Py_NAN : cell_get(&cells[which]);
}

static PyObject *
entry_min(const Family *self, const Series *series)
{
    return PyFloat_FromDouble(extreme_of(self, series->cells, MIN(self)));
}

static PyObject *
entry_max(const Family *self, const Series *series)
{
    return PyFloat_FromDouble(extreme_of(self, series->cells, MAX(self)));
}

/* Rows may come and go only while Python code runs. None runs before the columns are complete: tuples of floats, ints and tag
 * sets are made, which only a garbage collection that they trigger can interrupt. So the collector is off meanwhile. */
PyObject *
family_read(PyObject *op, PyObject *ignored)
{
    Family *self = (Family *)op;
    static const Entry numbers[] = {entry_tags, entry_created, entry_value};
    static const Entry histograms[] = {entry_tags, entry_created, NULL, entry_bucket_counts, entry_sum, entry_min, entry_max};
    const Entry *entries = self->has_buckets ? histograms : numbers;
    Py_ssize_t n_columns = self->has_buckets ? 7 : 3;
    int complete = 0;

    PyObject *expired = PyObject_CallMethod(op, "expire", NULL);
    if (expired == NULL) {
        return NULL;
    }
    Py_DECREF(expired);
    int collecting = PyGC_Disable();
    PyObject *columns = PyTuple_New(n_columns);
    const Series **rows = PyMem_Malloc((self->table.n_rows + 1) * sizeof *rows);
    if (columns == NULL || rows == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    Py_ssize_t n = rows_of(self, rows);
    for (Py_ssize_t i = 0; i < n_columns; i++) {
        PyObject *made = entries[i] == NULL ? PyTuple_New(0) : column(self, rows, n, entries[i]);
        if (made == NULL) {
            goto done;
        }
        PyTuple_SET_ITEM(columns, i, made);
    }
    complete = 1;
done:
    PyMem_Free(rows);
    if (collecting) { /* before any Python code runs, which may turn it off itself */
        PyGC_Enable();
    }
    PyObject *make = complete ? borrowed(self->state, COLUMNS) : NULL;
    PyObject *result = make == NULL ? NULL : PyObject_CallObject(make, columns);
    Py_XDECREF(columns);
    (void)ignored;
    return result;
}
