#include "exponential.h"

#include "buckets.h"
#include "column.h"
#include "distribution.h"
#include "negatives.h"

static Cell *
positives_of(Cell *cells)
{
    return &cells[1];
}

uint32_t
exponential_bounds_of(int is_shared)
{
    return 1 + (is_shared ? SHARED_CELLS : PRIVATE_CELLS);
}

void
exponential_count(const Family *family, Cell *cells, double value)
{
    Cell *buckets = value > 0.0 ? positives_of(cells) : value < 0.0 ? negatives_of(family, cells) : NULL;
    if (buckets == NULL) { /* 0; or below it, where another process ended the series since its buckets were looked for */
        cell_count_one(&cells[0]);
        return;
    }
    uint32_t index = exponential_index(value > 0.0 ? value : -value);
    if (!buckets_count(buckets, index, family->shared != NULL)) {
        buckets_count_slowly(buckets, index, family->shared);
    }
}

void
exponential_clear(const Family *family, Cell *cells)
{
    cell_set(&cells[0], 0.0);
    buckets_clear(positives_of(cells), family->shared != NULL);
    negatives_clear(family, cells);
}

uint64_t
exponential_total(const Family *family, const Cell *cells)
{
    int is_shared = family->shared != NULL;
    const Cell *negatives = negatives_of(family, cells);
    uint64_t below = negatives == NULL ? 0 : buckets_total(negatives, is_shared);
    return cell_count(&cells[0]) + buckets_total(positives_of((Cell *)cells), is_shared) + below;
}

/* The index of the first bucket, and the counts; NULL with an exception. */
static PyObject *
tuple_of_buckets(const Buckets *read)
{
    PyObject *counts = PyTuple_New(read->size);
    for (uint32_t i = 0; counts != NULL && i < read->size; i++) {
        PyObject *count = PyLong_FromUnsignedLongLong(read->counts[i]);
        if (count == NULL) {
            Py_CLEAR(counts);
            break;
        }
        PyTuple_SET_ITEM(counts, i, count);
    }
    long first = read->size == 0 ? 0 : (long)read->first - (long)(INDEX_ZERO >> read->epoch);
    return counts == NULL ? NULL : Py_BuildValue("lN", first, counts);
}

PyObject *
exponential_read(const Family *family, const Cell *cells)
{
    Buckets above, below = {.epoch = 0};
    int is_shared = family->shared != NULL;
    buckets_read(positives_of((Cell *)cells), is_shared, &above);
    const Cell *made = negatives_of(family, cells);
    if (made != NULL) {
        buckets_read(made, is_shared, &below);
    }
    uint64_t zeros = cell_count(&cells[0]);
    buckets_coarsen(&above, below.epoch); /* each of the two is as fine as it can be; they are shown at one scale */
    buckets_coarsen(&below, above.epoch);
    PyObject *positives = tuple_of_buckets(&above), *negatives = positives == NULL ? NULL : tuple_of_buckets(&below);
    if (negatives == NULL) {
        Py_XDECREF(positives);
        return NULL;
    }
    return Py_BuildValue("iKNN", TOP_SCALE - (int)above.epoch, (unsigned long long)zeros, positives, negatives);
}

PyObject *
exponential_snapshot(const Family *family, const Cell *cells)
{
    double sum = cell_get(&cells[SUM(family)]);
    double smallest = extreme_of(family, cells, MIN(family)), largest = extreme_of(family, cells, MAX(family));
    int collecting = PyGC_Disable(); /* as distribution_snapshot */
    atomic_thread_fence(memory_order_acquire);
    PyObject *read = exponential_read(family, cells);
    if (collecting) {
        PyGC_Enable();
    }
    PyObject *make = read == NULL ? NULL : borrowed(family->state, EXPONENTIAL_SNAPSHOT);
    PyObject *snapshot = make == NULL ? NULL
                                      : PyObject_CallFunction(make, "OOOOddd", PyTuple_GET_ITEM(read, 0), PyTuple_GET_ITEM(read, 1),
                                                              PyTuple_GET_ITEM(read, 2), PyTuple_GET_ITEM(read, 3), sum, smallest, largest);
    Py_XDECREF(read);
    return snapshot;
}

/* Columns: those of column.h, then those of exemplars and of exponential buckets. */
enum { NO_EXEMPLARS = N_COLUMNS, SCALES, ALL_COLUMNS = SCALES + 4 };

static void
set(PyObject *columns, int column, Py_ssize_t row, PyObject *value_steal)
{
    PyTuple_SET_ITEM(PyTuple_GET_ITEM(columns, column), row, value_steal);
}

/* Copy one row whole: 0, or -1 with an exception. The buckets last, as in `columns.c`. */
static int
read_row(const Family *family, const Series *series, PyObject *columns, Py_ssize_t row)
{
    const Cell *cells = series->cells;
    double numbers[] = {cell_get(&cells[SUM(family)]), extreme_of(family, cells, MIN(family)), extreme_of(family, cells, MAX(family)),
                        series->created};
    static const int places[] = {SUMS, MINS, MAXS, CREATED};
    atomic_thread_fence(memory_order_acquire);
    PyObject *read = exponential_read(family, cells);
    for (int i = 0; read != NULL && i < 4; i++) {
        PyObject *number = PyFloat_FromDouble(numbers[i]);
        if (number == NULL) {
            Py_CLEAR(read);
            break;
        }
        set(columns, places[i], row, number);
        set(columns, SCALES + i, row, Py_NewRef(PyTuple_GET_ITEM(read, i)));
    }
    if (read == NULL) {
        return -1;
    }
    set(columns, TAGS, row, Py_NewRef((PyObject *)series->tags));
    Py_DECREF(read);
    return 0;
}

static int
is_read(int column)
{
    return column != VALUES && column != BUCKET_COUNTS && column != NO_EXEMPLARS;
}

/* Read rows into a tuple of tuples; NULL with an exception. */
static PyObject *
read_rows(const Family *family, const Series *const *rows, Py_ssize_t n)
{
    PyObject *columns = PyTuple_New(ALL_COLUMNS);
    for (int i = 0; columns != NULL && i < ALL_COLUMNS; i++) {
        PyObject *column = PyTuple_New(is_read(i) ? n : 0);
        if (column == NULL) {
            Py_CLEAR(columns);
            break;
        }
        PyTuple_SET_ITEM(columns, i, column);
    }
    for (Py_ssize_t i = 0; columns != NULL && i < n; i++) {
        if (read_row(family, rows[i], columns, i) < 0) {
            Py_CLEAR(columns);
        }
    }
    return columns;
}

/* Rows may come and go only while Python code runs. None runs before the columns are complete: tuples of floats, ints and tag
 * sets are made, which only a garbage collection that they trigger can interrupt. So the collector is off meanwhile. */
static PyObject *
read_table(const Family *family)
{
    const Series **rows = PyMem_Malloc((family->table.n_rows + 1) * sizeof *rows);
    if (rows == NULL) {
        return PyErr_NoMemory();
    }
    Py_ssize_t n = 0;
    for (uint32_t i = 0; i < family->table.n_rows; i++) {
        const Series *series = family->table.rows[i];
        if (series != NULL && is_live(series)) {
            rows[n++] = series;
        }
    }
    if (n == 0 && !family_has_lived(family)) {
        rows[n++] = family->root;
    }
    int collecting = PyGC_Disable();
    PyObject *columns = read_rows(family, rows, n);
    if (collecting) { /* before any Python code runs, which may turn it off itself */
        PyGC_Enable();
    }
    PyMem_Free(rows);
    return columns;
}

PyObject *
exponential_columns(const Family *family)
{
    PyObject *columns = read_table(family);
    PyObject *make = columns == NULL ? NULL : borrowed(family->state, COLUMNS);
    PyObject *result = make == NULL ? NULL : PyObject_CallObject(make, columns);
    Py_XDECREF(columns);
    return result;
}
