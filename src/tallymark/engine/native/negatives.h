/* Buckets of observations below 0. Few series have any, so they are made on first use: on the heap, or as a record in shared
 * memory, which then belongs to the slot for ever. */
#ifndef TALLYMARK_NEGATIVES_H
#define TALLYMARK_NEGATIVES_H

#include "instrument.h"

/* Return the buckets of a series with these cells; NULL if it has none. */
Cell *negatives_of(const Family *family, const Cell *cells);

/* Return 1 if a live series needs such buckets for a record of this value, and has none. */
static inline int
lacks_negatives(const Family *family, const Series *series, double value)
{
    return value < 0.0 && family->is_exponential && negatives_of(family, series->cells) == NULL;
}

/* Make them: 1; 0 if the record is rejected; -1 with an exception. Other threads may run, and end the series. */
int negatives_make(Family *family, Series *series);

/* Empty them, of cells that are to be those of an empty series. */
void negatives_clear(const Family *family, Cell *cells);

#endif
