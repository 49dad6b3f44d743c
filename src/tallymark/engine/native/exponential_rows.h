/* Series with exponential buckets, among the rows of a snapshot. Each has another number of buckets: so a row's words are a
 * head that is as long for all, and the counts of its buckets are in its portion, one row's after another's.
 *
 * Most buckets between the lowest and the highest are empty. So those above 0, then those below, are packed: for each that is not
 * empty a byte that tells how far it is from the one before, the first from the place before its window; then its count, seven
 * bits a byte, the lowest first, all but the last with the eighth bit set. A byte 0 ends each of the two. */
#ifndef TALLYMARK_EXPONENTIAL_ROWS_H
#define TALLYMARK_EXPONENTIAL_ROWS_H

#include "exponential.h"
#include "rows.h"

/* The head: ABOVE and BELOW have the first bucket and, in the lower half, the size of the window. What follows is as of other histograms: see SUM_WORD(). */
enum { ZEROS, EPOCH, ABOVE, BELOW, COUNTS_FROM, HEAD_WORDS = COUNTS_FROM + 4 };
#define HEAD_BOUNDS ((uint32_t)COUNTS_FROM)

/* The buckets of one sign, in a row. */
typedef struct {
    int64_t first; /* index */
    uint32_t size;
    const uint64_t *counts;
} Side;

/* Where counts are when they are not packed. */
typedef struct {
    uint64_t above[MOST_BUCKETS], below[MOST_BUCKETS];
} Space;

/* Read both signs of a row. */
void exponential_sides(const Portion *portion, const uint64_t *words, Space *space, Side *above, Side *below);

/* Copy a series to the words of a row of a portion: 0, or -1 with an exception. */
int exponential_copy(const Family *family, const Series *series, Portion *portion, uint64_t *words);

#endif
