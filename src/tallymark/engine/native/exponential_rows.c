#include "exponential_rows.h"

#define MOST_PACKED (MOST_BUCKETS * 11 + 1) /* bytes of one sign: a count has ten at most */

/* Have space for the counts of one more row: 0, or -1 with an exception. */
static int
reserve_counts(Portion *portion)
{
    if (portion->capacity - portion->n_counts >= 2 * MOST_PACKED) {
        return 0;
    }
    uint32_t capacity = 2 * portion->capacity + 2 * MOST_PACKED;
    uint8_t *grown = PyMem_Realloc(portion->counts, capacity);
    if (grown == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    portion->counts = grown;
    portion->capacity = capacity;
    return 0;
}

/* Add the counts of one sign, for which there must be space. */
static uint64_t
add_side(Portion *portion, const Buckets *read)
{
    uint8_t *at = portion->counts + portion->n_counts;
    uint32_t before = 0;
    for (uint32_t i = 1; i <= read->size; i++) {
        uint64_t count = read->counts[i - 1];
        if (count == 0) {
            continue;
        }
        *at++ = (uint8_t)(i - before);
        before = i;
        for (; count > 127; count >>= 7) {
            *at++ = (uint8_t)(count | 128);
        }
        *at++ = (uint8_t)count;
    }
    *at++ = 0;
    portion->n_counts = (uint32_t)(at - portion->counts);
    return (uint64_t)read->first << 32 | read->size;
}

/* Read the counts of one sign: where the next begin. */
static const uint8_t *
read_side(const uint8_t *at, uint64_t head, uint64_t epoch, uint64_t *counts, Side *side)
{
    uint32_t size = (uint32_t)head, place = 0;
    memset(counts, 0, size * sizeof *counts);
    while (*at != 0) {
        place += *at++;
        uint64_t count = 0;
        int shift = 0;
        for (; *at > 127; shift += 7) {
            count |= (uint64_t)(*at++ & 127) << shift;
        }
        counts[place - 1] = count | (uint64_t)*at++ << shift;
    }
    *side = (Side){size == 0 ? 0 : (int64_t)(head >> 32) - (int64_t)(INDEX_ZERO >> epoch), size, counts};
    return at + 1;
}

void
exponential_sides(const Portion *portion, const uint64_t *words, Space *space, Side *above, Side *below)
{
    const uint8_t *at = portion->counts + words[COUNTS_FROM];
    at = read_side(at, words[ABOVE], words[EPOCH], space->above, above);
    read_side(at, words[BELOW], words[EPOCH], space->below, below);
}

/* The buckets are read last, as those with bounds are: no sum that was read has more in it than the counts. */
int
exponential_copy(const Family *family, const Series *series, Portion *portion, uint64_t *words)
{
    Exponential read;
    if (reserve_counts(portion) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < 3; i++) {
        words[COUNTS_FROM + 1 + i] = cell_count(&series->cells[SUM(family) + i]);
    }
    atomic_thread_fence(memory_order_acquire);
    exponential_read(family, series->cells, &read);
    words[ZEROS] = read.zeros;
    words[EPOCH] = read.above.epoch;
    words[COUNTS_FROM] = portion->n_counts;
    words[ABOVE] = add_side(portion, &read.above);
    words[BELOW] = add_side(portion, &read.below);
    return 0;
}
