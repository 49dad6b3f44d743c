#include "exponential.h"

#include "buckets.h"
#include "column.h"
#include "distribution.h"
#include "hold.h"
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

/* Append to a column: 0, or -1 with an exception. Steals; NULL passes on. */
static int
append(PyObject *columns, int column, PyObject *value_steal)
{
    int result = value_steal == NULL ? -1 : PyList_Append(PyTuple_GET_ITEM(columns, column), value_steal);
    Py_XDECREF(value_steal);
    return result;
}

/* Copy one row whole: 0, or -1 with an exception. The buckets last, as in `columns.c`. */
static int
read_row(const Family *family, const Series *series, PyObject *columns)
{
    const Cell *cells = series->cells;
    double numbers[] = {cell_get(&cells[SUM(family)]), extreme_of(family, cells, MIN(family)), extreme_of(family, cells, MAX(family)),
                        series->created};
    static const int places[] = {SUMS, MINS, MAXS, CREATED};
    atomic_thread_fence(memory_order_acquire);
    PyObject *read = exponential_read(family, cells);
    int result = read == NULL ? -1 : append(columns, TAGS, Py_NewRef((PyObject *)series->tags));
    for (int i = 0; result == 0 && i < 4; i++) {
        result = append(columns, places[i], PyFloat_FromDouble(numbers[i])) < 0
                         || append(columns, SCALES + i, Py_NewRef(PyTuple_GET_ITEM(read, i))) < 0
                     ? -1
                     : 0;
    }
    Py_XDECREF(read);
    return result;
}

/* Return a list of instruments, which hold the series that are to be read; NULL with an exception. */
static PyObject *
hold_rows(Family *family)
{
    PyObject *held = PyList_New(0);
    for (uint32_t i = 0; held != NULL && i < family->table.n_rows; i++) {
        Series *series = family->table.rows[i];
        PyObject *one = series != NULL && is_live(series) ? (PyObject *)instrument_of(family, series) : NULL;
        if ((one != NULL && PyList_Append(held, one) < 0) || PyErr_Occurred()) {
            Py_CLEAR(held);
        }
        Py_XDECREF(one);
    }
    return held;
}

/* Read a row, while no finaliser can run that moves rows or records: 0, or -1 with an exception. */
static int
read_alone(const Family *family, const Series *series, PyObject *columns)
{
    int collecting = PyGC_Disable();
    int result = read_row(family, series, columns);
    if (collecting) {
        PyGC_Enable();
    }
    return result;
}

#define AT_ONCE 128 /* rows that are read before other threads may run: a millisecond */

/* Read rows, and let other threads run now and then: 0, or -1 with an exception. What ended meanwhile is left out. */
static int
read_held(Family *family, PyObject *held, PyObject *columns)
{
    Hold hold;
    hold_begin(&hold);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(held); i++) {
        const Series *series = ((Instrument *)PyList_GET_ITEM(held, i))->series;
        if (is_live(series) && read_alone(family, series, columns) < 0) {
            return -1;
        }
        if (i % AT_ONCE == AT_ONCE - 1) {
            hold_pause(&hold);
        }
    }
    int is_none = PyList_GET_SIZE(held) == 0 && !family_has_lived(family);
    return is_none ? read_alone(family, family->root, columns) : 0;
}

/* Return a list for each column, in a tuple; NULL with an exception. */
static PyObject *
make_columns(void)
{
    PyObject *columns = PyTuple_New(ALL_COLUMNS);
    for (int i = 0; columns != NULL && i < ALL_COLUMNS; i++) {
        PyObject *column = PyList_New(0);
        if (column == NULL) {
            Py_CLEAR(columns);
            break;
        }
        PyTuple_SET_ITEM(columns, i, column);
    }
    return columns;
}

/* Turn each column into a tuple. Steals; NULL with an exception, which it passes on. */
static PyObject *
as_tuples(PyObject *columns_steal)
{
    PyObject *tuples = columns_steal == NULL ? NULL : PyTuple_New(ALL_COLUMNS);
    for (int i = 0; tuples != NULL && i < ALL_COLUMNS; i++) {
        PyObject *column = PyList_AsTuple(PyTuple_GET_ITEM(columns_steal, i));
        if (column == NULL) {
            Py_CLEAR(tuples);
            break;
        }
        PyTuple_SET_ITEM(tuples, i, column);
    }
    Py_XDECREF(columns_steal);
    return tuples;
}

PyObject *
exponential_columns(Family *family)
{
    PyObject *held = hold_rows(family), *columns = held == NULL ? NULL : make_columns(), *result = NULL;
    if (columns != NULL && read_held(family, held, columns) < 0) {
        Py_CLEAR(columns);
    }
    Py_XDECREF(held);
    columns = as_tuples(columns);
    PyObject *make = columns == NULL ? NULL : borrowed(family->state, COLUMNS);
    if (make != NULL) {
        result = PyObject_CallObject(make, columns);
    }
    Py_XDECREF(columns);
    return result;
}
