/* Series with exponential buckets, among the rows of a snapshot. Each has another number of buckets: so a row's words are a
 * head that is as long for all, and the counts of its buckets are in its portion, one row's after another's. */
#ifndef TALLYMARK_EXPONENTIAL_ROWS_H
#define TALLYMARK_EXPONENTIAL_ROWS_H

#include "exponential.h"
#include "rows.h"

/* The head. What follows is as of other histograms: see SUM_WORD(). */
enum { ZEROS, EPOCH, ABOVE, BELOW, COUNTS_FROM, HEAD_WORDS = COUNTS_FROM + 4 };
#define HEAD_BOUNDS ((uint32_t)COUNTS_FROM)

/* The buckets of one sign, in a row. */
typedef struct {
    int64_t first; /* index */
    uint32_t size;
    const uint64_t *counts;
} Side;

/* Read those above or below 0 (ABOVE, BELOW). */
static inline Side
side_of(const Portion *portion, const uint64_t *words, int which)
{
    uint32_t size = (uint32_t)words[which];
    size_t from = words[COUNTS_FROM] + (which == BELOW ? (uint32_t)words[ABOVE] : 0);
    int64_t first = (int64_t)(words[which] >> 32) - (int64_t)(INDEX_ZERO >> words[EPOCH]);
    return (Side){size == 0 ? 0 : first, size, portion->counts + from};
}

/* Copy a series to the words of a row of a portion: 0, or -1 with an exception. */
int exponential_copy(const Family *family, const Series *series, Portion *portion, uint64_t *words);

#endif
