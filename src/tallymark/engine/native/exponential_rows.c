#include "exponential_rows.h"

/* Have space for the counts of one more row: 0, or -1 with an exception. */
static int
reserve_counts(Portion *portion)
{
    if (portion->capacity - portion->n_counts >= 2 * MOST_BUCKETS) {
        return 0;
    }
    uint32_t capacity = 2 * portion->capacity + 2 * MOST_BUCKETS;
    uint64_t *grown = PyMem_Realloc(portion->counts, capacity * sizeof *grown);
    if (grown == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    portion->counts = grown;
    portion->capacity = capacity;
    return 0;
}

static uint64_t
add_side(Portion *portion, const Buckets *read)
{
    memcpy(portion->counts + portion->n_counts, read->counts, read->size * sizeof *read->counts);
    portion->n_counts += read->size;
    return (uint64_t)read->first << 32 | read->size;
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
