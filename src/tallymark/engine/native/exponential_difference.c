/* What was added to rows with exponential buckets. */
#include "difference.h"

#include "exponential_index.h"

/* Take earlier counts, of a scale that was finer by so many steps, from later ones: 1; 0 if there are fewer than there were. */
static int
subtract(Side now, Side then, uint32_t by, uint64_t *counts, Side *found)
{
    uint32_t first = 0, size = now.size;
    for (uint32_t i = 0; i < then.size; i++) {
        int64_t place = ((then.first + i) >> by) - now.first;
        if (then.counts[i] == 0) {
            continue;
        }
        if (place < 0 || place >= now.size || counts[place] < then.counts[i]) {
            return 0;
        }
        counts[place] -= then.counts[i];
    }
    while (size > 0 && counts[size - 1] == 0) {
        size--;
    }
    while (first < size && counts[first] == 0) {
        first++;
    }
    *found = size == 0 ? (Side){0, 0, counts} : (Side){now.first + first, size - first, counts + first};
    return 1;
}

/* Take what was before from a row, whose counts are in the space: 1; 0 if it has begun anew. */
static int
subtract_row(const Spread *now, const Spread *then, Space *space, Spread *found)
{
    if (then->epoch > now->epoch || then->zeros > now->zeros) {
        return 0;
    }
    uint32_t by = now->epoch - then->epoch;
    found->zeros = now->zeros - then->zeros;
    return subtract(now->above, then->above, by, space->above, &found->above)
           && subtract(now->below, then->below, by, space->below, &found->below);
}

/* The lower edge of the lowest bucket that is not empty. */
static double
lowest_edge(const Spread *row)
{
    if (row->below.size > 0) {
        return -exponential_bound(row->epoch, row->below.first + row->below.size - 1);
    }
    return row->zeros > 0 ? 0.0 : exponential_bound(row->epoch, row->above.first - 1);
}

/* The upper edge of the highest one. */
static double
highest_edge(const Spread *row)
{
    if (row->above.size > 0) {
        return exponential_bound(row->epoch, row->above.first + row->above.size - 1);
    }
    return row->zeros > 0 ? 0.0 : -exponential_bound(row->epoch, row->below.first - 1);
}

static Spread
whole(const Rows *rows, const Portion *portion, const uint64_t *words, Space *space)
{
    Spread found = {.epoch = (uint32_t)words[EPOCH], .zeros = words[ZEROS], .summed = summed_of(rows, words)};
    exponential_sides(portion, words, space, &found.above, &found.below);
    return found;
}

void
spread_read(const Rows *rows, const Difference *difference, const Portion *portion, uint32_t row, Space *space, Spread *found)
{
    const Portion *before;
    const uint64_t *words = portion->words + (size_t)row * rows->width;
    const uint64_t *earlier = difference == NULL ? NULL : words_before(difference, portion, row, &before);
    *found = whole(rows, portion, words, space);
    if (earlier == NULL) {
        return;
    }
    Space other;
    Spread now = *found, then = whole(difference->earlier, before, earlier, &other);
    if (!subtract_row(&now, &then, space, found)) {
        *found = whole(rows, portion, words, space);
        return;
    }
    if (found->zeros == 0 && found->above.size == 0 && found->below.size == 0) {
        found->summed = (Summed){0.0, Py_NAN, Py_NAN};
        return;
    }
    double low = lowest_edge(found), high = highest_edge(found);
    found->summed.sum = moved(now.summed.sum, then.summed.sum);
    found->summed.least = now.summed.least > low ? now.summed.least : low;
    found->summed.most = now.summed.most < high ? now.summed.most : high;
}
