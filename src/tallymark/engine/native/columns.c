/* Reads a family as columns: no object is made for a series. Each row is copied at once. */
#include "columns.h"

#include "exemplar.h"
#include "instrument.h"
#include "shared_family.h"

static int
has_lived(const Family *self)
{
    return self->has_lived || (self->entry.record != NULL && atomic_load(&self->entry.record->born) != 0);
}

/* Write the series of a reading to `rows`, and return how many: the live ones or, if there never was one, the root alone. */
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
    if (n == 0 && !has_lived(self)) {
        rows[n++] = self->root;
    }
    return n;
}

typedef PyObject *(*Part)(const Family *self, const Series *series);

/* The columns of a kind, in the order in which a row's parts are read. */
typedef struct {
    Part part;
    int column;
} Reading;

static PyObject *
part_tags(const Family *Py_UNUSED(self), const Series *series)
{
    return Py_NewRef((PyObject *)series->tags);
}

static PyObject *
part_created(const Family *Py_UNUSED(self), const Series *series)
{
    return PyFloat_FromDouble(series->created);
}

static PyObject *
cell_as_float(const Series *series, uint32_t i)
{
    return PyFloat_FromDouble(cell_get(&series->cells[i]));
}

static PyObject *
part_value(const Family *Py_UNUSED(self), const Series *series)
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
part_bucket_counts(const Family *self, const Series *series)
{
    atomic_thread_fence(memory_order_acquire);
    return bucket_counts_of(self, series->cells);
}

static PyObject *
part_sum(const Family *self, const Series *series)
{
    return cell_as_float(series, SUM(self));
}

double
extreme_of(const Family *self, const Cell *cells, uint32_t which)
{
    return cell_get(&cells[MIN(self)]) > cell_get(&cells[MAX(self)]) ? Py_NAN : cell_get(&cells[which]);
}

static PyObject *
part_min(const Family *self, const Series *series)
{
    return PyFloat_FromDouble(extreme_of(self, series->cells, MIN(self)));
}

static PyObject *
part_max(const Family *self, const Series *series)
{
    return PyFloat_FromDouble(extreme_of(self, series->cells, MAX(self)));
}

/* Copy one row whole, before the next: other processes go on to record. 0, or -1 with an exception. */
static int
read_row(const Family *self, const Series *series, PyObject *columns, Py_ssize_t row, const Reading *readings, int n)
{
    for (int i = 0; i < n; i++) {
        PyObject *value = readings[i].part(self, series);
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

/* Read the rows of the table: columns, or NULL with an exception; `*exemplars` is NULL where there are none. */
static PyObject *
read_table(const Family *self, PyObject **exemplars)
{
    static const Reading numbers[] = {{part_value, 2}, {part_tags, 0}, {part_created, 1}};
    static const Reading histograms[] = {{part_sum, 4}, {part_min, 5}, {part_max, 6}, {part_bucket_counts, 3},
                                         {part_tags, 0}, {part_created, 1}};
    const Reading *readings = self->has_buckets ? histograms : numbers;
    int n_readings = self->has_buckets ? 6 : 3;
    const Series **rows = PyMem_Malloc((self->table.n_rows + 1) * sizeof *rows);
    if (rows == NULL) {
        return PyErr_NoMemory();
    }
    Py_ssize_t n = rows_of(self, rows);
    PyObject *columns = make_columns(self->has_buckets ? 7 : 3, n, readings, n_readings);
    for (Py_ssize_t i = 0; columns != NULL && i < n; i++) {
        if (read_row(self, rows[i], columns, i, readings, n_readings) < 0) {
            Py_CLEAR(columns);
        }
    }
    if (columns != NULL && (*exemplars = exemplars_read(self, rows, n)) == NULL && PyErr_Occurred()) {
        Py_CLEAR(columns);
    }
    PyMem_Free(rows);
    return columns;
}

/* Make the object from columns, and exemplars if there are any. */
static PyObject *
make_object(const Family *self, PyObject *columns, PyObject *exemplars)
{
    PyObject *make = borrowed(self->state, COLUMNS), *named = NULL, *result = NULL;
    if (make != NULL && exemplars != NULL) {
        PyObject *read = borrowed(self->state, EXEMPLARS_OF);
        PyObject *checked = read == NULL ? NULL : PyObject_CallOneArg(read, exemplars);
        named = checked == NULL ? NULL : Py_BuildValue("{s:N}", "exemplars", checked);
    }
    if (make != NULL && (exemplars == NULL) == (named == NULL)) {
        result = PyObject_Call(make, columns, named);
    }
    Py_XDECREF(named);
    return result;
}

/* Rows may come and go only while Python code runs. None runs before the columns are complete: tuples of floats, ints and tag
 * sets are made, which only a garbage collection that they trigger can interrupt. So the collector is off meanwhile. */
PyObject *
family_read(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Family *self = (Family *)op;
    PyObject *columns = NULL, *exemplars = NULL, *expired = PyObject_CallMethod(op, "expire", NULL);
    if (expired == NULL || (has_shares(self) && totals_sync(self) < 0)) {
        Py_XDECREF(expired);
        return NULL;
    }
    Py_DECREF(expired);
    int collecting = PyGC_Disable();
    if (has_shares(self)) {
        columns = totals_read(self);
    }
    if (columns == NULL && !PyErr_Occurred()) {
        columns = read_table(self, &exemplars);
    }
    if (collecting) { /* before any Python code runs, which may turn it off itself */
        PyGC_Enable();
    }
    PyObject *result = columns == NULL ? NULL : make_object(self, columns, exemplars);
    Py_XDECREF(columns);
    Py_XDECREF(exemplars);
    return result;
}
