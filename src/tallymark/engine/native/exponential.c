#include "exponential.h"

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

void
exponential_read(const Family *family, const Cell *cells, Exponential *read)
{
    int is_shared = family->shared != NULL;
    const Cell *negatives = negatives_of(family, cells);
    buckets_read(positives_of((Cell *)cells), is_shared, &read->above);
    read->below = (Buckets){.epoch = 0};
    if (negatives != NULL) {
        buckets_read(negatives, is_shared, &read->below);
    }
    read->zeros = cell_count(&cells[0]);
    buckets_coarsen(&read->above, read->below.epoch); /* each of the two is as fine as it can be; they are shown at one scale */
    buckets_coarsen(&read->below, read->above.epoch);
}

PyObject *
exponential_tuple(int64_t first, const uint64_t *counts, uint32_t size)
{
    PyObject *tuple = PyTuple_New(size);
    for (uint32_t i = 0; tuple != NULL && i < size; i++) {
        PyObject *count = PyLong_FromUnsignedLongLong(counts[i]);
        if (count == NULL) {
            Py_CLEAR(tuple);
            break;
        }
        PyTuple_SET_ITEM(tuple, i, count);
    }
    return tuple == NULL ? NULL : Py_BuildValue("LN", (long long)first, tuple);
}

static PyObject *
tuple_of_buckets(const Buckets *read)
{
    int64_t first = (int64_t)read->first - (int64_t)(INDEX_ZERO >> read->epoch);
    return exponential_tuple(read->size == 0 ? 0 : first, read->counts, read->size);
}

PyObject *
exponential_snapshot(const Family *family, const Cell *cells)
{
    Exponential read;
    double sum = cell_get(&cells[SUM(family)]);
    double smallest = extreme_of(family, cells, MIN(family)), largest = extreme_of(family, cells, MAX(family));
    atomic_thread_fence(memory_order_acquire);
    exponential_read(family, cells, &read);
    PyObject *make = borrowed(family->state, EXPONENTIAL_SNAPSHOT);
    PyObject *positives = make == NULL ? NULL : tuple_of_buckets(&read.above);
    PyObject *negatives = positives == NULL ? NULL : tuple_of_buckets(&read.below);
    if (negatives == NULL) {
        Py_XDECREF(positives);
        return NULL;
    }
    return PyObject_CallFunction(make, "iKNNddd", TOP_SCALE - (int)read.above.epoch, (unsigned long long)read.zeros, positives,
                                 negatives, sum, smallest, largest);
}
