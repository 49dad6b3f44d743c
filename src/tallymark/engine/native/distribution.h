/* What histograms and timers have in common: a series that holds buckets. */
#ifndef TALLYMARK_DISTRIBUTION_H
#define TALLYMARK_DISTRIBUTION_H

#include "exponential.h"
#include "instrument.h"

/* Return the number of bounds below a value, which is the bucket with the first bound that is not below it. Up to a few cache
 * lines, counting them all has no branch to mispredict; beyond that, a binary search has one that compiles to a conditional
 * move. */
#define FEW_BOUNDS 24

static inline uint32_t
bucket_of(const double *bounds, uint32_t n, double value)
{
    uint32_t below = 0;
    if (n <= FEW_BOUNDS) {
        for (uint32_t i = 0; i < n; i++) {
            below += bounds[i] < value;
        }
        return below;
    }
    while (n > 0) {
        uint32_t half = (n + 1) / 2;
        below += bounds[below + half - 1] < value ? half : 0;
        n -= half;
    }
    return below;
}

static inline void
distribution_observe(const Family *family, Cell *cells, double value)
{
    if (family->n_bounds > FEW_BOUNDS && family->is_exponential) { /* in this order: few bounds are found as fast as ever */
        exponential_count(family, cells, value);
    }
    else {
        cell_count_one(&cells[bucket_of(family->bounds, family->n_bounds, value)]);
    }
    atomic_thread_fence(memory_order_release); /* a reader that sees it in the sum sees it counted; who is killed here leaves a
                                                  count whose value is in no sum */
    cell_add(&cells[SUM(family)], value);
    cell_lower(&cells[MIN(family)], value);
    cell_raise(&cells[MAX(family)], value);
}

/* The least or greatest value (MIN, MAX); NaN where nothing was observed. */
static inline double
extreme_of(const Family *self, const Cell *cells, uint32_t which)
{
    return cell_get(&cells[MIN(self)]) > cell_get(&cells[MAX(self)]) ? Py_NAN : cell_get(&cells[which]);
}

PyObject *distribution_snapshot(PyObject *op, PyObject *ignored);
PyObject *distribution_get_bounds(PyObject *op, void *closure);

#endif
