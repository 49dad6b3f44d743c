/* Which rows of two readings of a family are of the same series. */
#ifndef TALLYMARK_MATCHING_H
#define TALLYMARK_MATCHING_H

#include "rows.h"

#define NO_ROW UINT32_MAX

/* Return 1 if rows are of the same series because they share their blocks, as two readings between which no series came or went. */
int have_same_blocks(const Rows *a, const Rows *b);

/* Find, for each later row, the earlier row of the same series, or NO_ROW: 0, or -1 with an exception. `*matches` is owned; NULL
 * if each row has the same place in both. A series that was removed and came back has another creation time, and so is another.
 * This lets other threads run, if there are many rows. */
int rows_match(const Rows *earlier, const Rows *later, uint32_t **matches);

#endif
