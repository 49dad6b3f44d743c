/* Series with exponential buckets: their cells, and how they are read. */
#ifndef TALLYMARK_EXPONENTIAL_H
#define TALLYMARK_EXPONENTIAL_H

#include "family.h"

/* Count an observation of a family with exponential buckets. */
void exponential_count(const Family *family, Cell *cells, double value);

/* Return how many cells a series has before SUM, less one: as if they were buckets with explicit bounds. */
uint32_t exponential_bounds_of(const Family *family, int is_shared);

/* Return the number of observations. */
uint64_t exponential_total(const Family *family, const Cell *cells);

/* Return scale, zero count, positives and negatives, a tuple; or NULL with an exception. */
PyObject *exponential_read(const Family *family, const Cell *cells);

/* The snapshot of one series; NULL with an exception. */
PyObject *exponential_snapshot(const Family *family, const Cell *cells);

/* The columns of series, as `tallymark.engine.columns` has them: a tuple of tuples; NULL with an exception. */
PyObject *exponential_columns(const Family *family, const Series *const *rows, Py_ssize_t n);

#endif
