/* Series with exponential buckets: their cells, and how they are read. */
#ifndef TALLYMARK_EXPONENTIAL_H
#define TALLYMARK_EXPONENTIAL_H

#include "family.h"

/* The cells of a series: observations that are 0; buckets of those above 0; where buckets of those below 0 are; then, as with
 * explicit bounds, sum, least and greatest value. Return how many there are before SUM, less one: as if they were bounds. */
uint32_t exponential_bounds_of(int is_shared);

/* Count an observation. One below 0 needs a series that has buckets for it: see negatives.h. */
void exponential_count(const Family *family, Cell *cells, double value);

/* Empty all cells before SUM, but for where buckets of those below 0 are. */
void exponential_clear(const Family *family, Cell *cells);

/* Return the number of observations. */
uint64_t exponential_total(const Family *family, const Cell *cells);

/* Return scale, zero count, positives and negatives, a tuple; or NULL with an exception. */
PyObject *exponential_read(const Family *family, const Cell *cells);

/* The snapshot of one series; NULL with an exception. */
PyObject *exponential_snapshot(const Family *family, const Cell *cells);

/* Read a family as columns: the live series or, if there never was one, the root alone. NULL with an exception. Other threads may
 * run meanwhile. */
PyObject *exponential_columns(Family *family);

#endif
