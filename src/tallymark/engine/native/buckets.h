/* Exponential buckets of one sign, in cells that processes may share: a header, and one bank of 160 cells, or two.
 *
 * The header tells the scale, as the number of halvings since the finest one (the epoch), and the window: its buckets from the
 * first that holds something to the last. Within an epoch the window only grows. Bucket `i` has cell `i % 160` of its bank, so
 * nothing moves when the window grows. In shared memory the bank is that of the epoch, even or odd, and a cell tells its epoch.
 *
 * A value that does not fit into 160 buckets has them halved, two and two, before it is counted. In private memory that is done
 * in place. In shared memory any process may be killed at any instruction, and no other may wait for it, so all help:
 *
 *  1. MOVING is set in the header, by compare-and-swap. The window does not grow any more.
 *  2. Each cell of the window is frozen. A record swaps a cell only if that has the epoch of the header and is not frozen, and
 *     only by compare-and-swap; so what is frozen never changes.
 *  3. Each frozen count is added to its cell of the other bank, in one swap with the bit that tells which of its two sources
 *     was added: exactly once, however many processes help. A cell there that still has an older epoch is taken over.
 *  4. The header of the next epoch takes the place of the old one, by compare-and-swap.
 *
 * Whoever is late finds a newer epoch in a cell or the header, and begins anew. A slot that ended may be made live again while a
 * process is still amid this: so each word also tells the life of its slot, modulo 16, and no word comes back. Readers take the
 * bank of the header's epoch, which is whole until the next epoch's is.
 *
 * tests/processes/test_buckets_model.py holds this against every interleaving of a few processes, and
 * test_exponential_kill.py kills processes amid it. Nothing read here is trusted: whatever a header or a cell tells, no
 * other memory is touched, and nothing waits for ever. */
#ifndef TALLYMARK_BUCKETS_H
#define TALLYMARK_BUCKETS_H

#include "shared.h"

#include "exponential_index.h"

#define MOST_BUCKETS 160u
#define MOST_EPOCH 12u /* scale -4, at which all doubles fit */

/* A header: the stamp, the size of the window, MOVING, its first bucket. A stamp is the epoch and, above it, the life. */
#define STAMP_OF(word) ((uint32_t)(word) & 0xffu)
#define EPOCH_OF(word) ((uint32_t)(word) & 15u)
#define NEXT_LIFE 16u
#define SIZE_OF(header) ((uint32_t)((header) >> 8) & 0xffu)
#define MOVING (UINT64_C(1) << 16)
#define FIRST_OF(header) ((uint32_t)((header) >> 32))

/* A cell: its count, its stamp, two bits for the sources that were added to it, FROZEN. */
#define COUNT_BITS 53
#define COUNT_OF(cell) ((cell) & ((UINT64_C(1) << COUNT_BITS) - 1))
#define CELL_STAMP(cell) STAMP_OF((cell) >> COUNT_BITS)
#define SOURCE_BIT(bucket) (UINT64_C(1) << (COUNT_BITS + 8 + ((bucket) & 1)))
#define FROZEN (UINT64_C(1) << 63)

/* The cells of one sign, in private and in shared memory. */
#define PRIVATE_CELLS (1 + MOST_BUCKETS)
#define SHARED_CELLS (1 + 2 * MOST_BUCKETS)

/* As they were read: `first` has INDEX_ZERO >> `epoch` added. */
typedef struct {
    uint32_t epoch, first, size;
    uint64_t counts[MOST_BUCKETS];
} Buckets;

static inline Cell *
bucket_cell(Cell *buckets, uint32_t epoch, uint32_t bucket, int is_shared)
{
    uint32_t bank = is_shared ? (epoch & 1) * MOST_BUCKETS : 0;
    return &buckets[1 + bank + bucket % MOST_BUCKETS];
}

/* Count one in a bucket, if there is room for it now: 1, or 0. */
static inline int
buckets_count(Cell *buckets, uint32_t index, int is_shared)
{
    uint64_t header = cell_count(&buckets[0]);
    uint32_t epoch = EPOCH_OF(header), bucket = index >> epoch;
    if (bucket - FIRST_OF(header) >= SIZE_OF(header)) {
        return 0;
    }
    Cell *cell = bucket_cell(buckets, epoch, bucket, is_shared);
    uint64_t old = cell_count(cell);
    while ((old & FROZEN) == 0 && CELL_STAMP(old) == STAMP_OF(header)) {
        if (atomic_compare_exchange_weak_explicit(cell, &old, old + 1, memory_order_relaxed, memory_order_relaxed)) {
            return 1;
        }
    }
    return 0;
}

/* The same, once room was made. `shared` is NULL for private memory. Does nothing where the memory is damaged. */
void buckets_count_slowly(Cell *buckets, uint32_t index, Shared *shared);

/* Empty them, for a new life of their series. In shared memory, under the lock; others may still record to the last one. */
void buckets_clear(Cell *buckets, int is_shared);

/* Read all. In shared memory, others may record meanwhile; what is read is of one epoch. */
void buckets_read(const Cell *buckets, int is_shared, Buckets *read);

/* Return how many observations there are. */
uint64_t buckets_total(const Cell *buckets, int is_shared);

/* Make the scale of what was read coarser, up to an epoch. */
void buckets_coarsen(Buckets *read, uint32_t epoch);

#endif
