/* Reads a family as columns: no object is made for a series. Each row is copied at once. */
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

/* The columns of a kind, in the order in which a row's entries are read. */
typedef struct {
    Entry entry;
    int column;
} Reading;

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

/* Last: who observes counts first, and adds to the sum then. So no sum that was read has more in it than the counts. */
static PyObject *
entry_bucket_counts(const Family *self, const Series *series)
{
    atomic_thread_fence(memory_order_acquire);
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

/* Copy one row whole, before the next: other processes go on to record. 0, or -1 with an exception. */
static int
read_row(const Family *self, const Series *series, PyObject *columns, Py_ssize_t row, const Reading *readings, int n)
{
    for (int i = 0; i < n; i++) {
        PyObject *value = readings[i].entry(self, series);
        if (value == NULL) {
            return -1;
        }
        PyTuple_SET_ITEM(PyTuple_GET_ITEM(columns, readings[i].column), row, value);
    }
    return 0;
}

/* Columns of `n` rows, those that the kind does not have empty: a tuple of tuples, or NULL with an exception. */
static PyObject *
make_columns(Py_ssize_t n_columns, Py_ssize_t n, const Reading *readings, int n_readings)
{
    PyObject *columns = PyTuple_New(n_columns);
    for (Py_ssize_t i = 0; columns != NULL && i < n_columns; i++) {
        int is_read = 0;
        for (int j = 0; j < n_readings; j++) {
            is_read = is_read || readings[j].column == i;
        }
        PyObject *column = PyTuple_New(is_read ? n : 0);
        if (column == NULL) {
            Py_CLEAR(columns);
            break;
        }
        PyTuple_SET_ITEM(columns, i, column);
    }
    return columns;
}

/* Rows may come and go only while Python code runs. None runs before the columns are complete: tuples of floats, ints and tag
 * sets are made, which only a garbage collection that they trigger can interrupt. So the collector is off meanwhile. */
PyObject *
family_read(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    static const Reading numbers[] = {{entry_value, 2}, {entry_tags, 0}, {entry_created, 1}};
    static const Reading histograms[] = {{entry_sum, 4}, {entry_min, 5}, {entry_max, 6}, {entry_bucket_counts, 3},
                                         {entry_tags, 0}, {entry_created, 1}};
    Family *self = (Family *)op;
    const Reading *readings = self->has_buckets ? histograms : numbers;
    int n_readings = self->has_buckets ? 6 : 3, complete = 0;
    PyObject *columns = NULL;

    PyObject *expired = PyObject_CallMethod(op, "expire", NULL);
    if (expired == NULL) {
        return NULL;
    }
    Py_DECREF(expired);
    int collecting = PyGC_Disable();
    const Series **rows = PyMem_Malloc((self->table.n_rows + 1) * sizeof *rows);
    if (rows == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    Py_ssize_t n = rows_of(self, rows);
    columns = make_columns(self->has_buckets ? 7 : 3, n, readings, n_readings);
    complete = columns != NULL;
    for (Py_ssize_t i = 0; complete && i < n; i++) {
        complete = read_row(self, rows[i], columns, i, readings, n_readings) == 0;
    }
done:
    PyMem_Free(rows);
    if (collecting) { /* before any Python code runs, which may turn it off itself */
        PyGC_Enable();
    }
    PyObject *make = complete ? borrowed(self->state, COLUMNS) : NULL;
    PyObject *result = make == NULL ? NULL : PyObject_CallObject(make, columns);
    Py_XDECREF(columns);
    return result;
}
