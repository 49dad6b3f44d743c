#include "buckets.h"

#define MOST_ROUNDS 10000 /* to make room: dozens are needed. In damaged memory, it might never end */

static uint64_t
make_header(uint32_t stamp, uint32_t first, uint32_t size)
{
    return (uint64_t)first << 32 | (uint64_t)size << 8 | stamp;
}

static uint64_t
make_cell(uint32_t stamp, uint64_t count)
{
    return (uint64_t)stamp << COUNT_BITS | COUNT_OF(count);
}

/* Return 1 if a stamp is of the same life as another, and not of a later epoch. */
static int
is_up_to(uint32_t stamp, uint32_t other)
{
    return stamp / NEXT_LIFE == other / NEXT_LIFE && stamp <= other;
}

/* Return 0 for a header that is damaged: no arithmetic on what is sound overflows. */
static int
is_sound(uint64_t header)
{
    return EPOCH_OF(header) <= MOST_EPOCH && SIZE_OF(header) <= MOST_BUCKETS && FIRST_OF(header) < 2 * INDEX_ZERO;
}

/* The header first: from then on, cells of the life before hold nothing. Who is late cannot change those of this one. */
void
buckets_clear(Cell *buckets, int is_shared)
{
    uint32_t life = is_shared ? STAMP_OF(atomic_load(&buckets[0])) / NEXT_LIFE + 1 : 0;
    uint32_t stamp = STAMP_OF(life * NEXT_LIFE), n = is_shared ? SHARED_CELLS : PRIVATE_CELLS;
    atomic_store(&buckets[0], make_header(stamp, 0, 0));
    for (uint32_t i = 1; i < n; i++) {
        atomic_store(&buckets[i], make_cell(stamp, 0));
    }
}

/* Return the header of the next epoch, for the window of this one. */
static uint64_t
halved(uint64_t header)
{
    uint32_t first = FIRST_OF(header) >> 1, last = (FIRST_OF(header) + SIZE_OF(header) - 1) >> 1;
    return make_header(STAMP_OF(header) + 1, first, last - first + 1);
}

/* Return a header whose window has a bucket more; or this one, MOVING, if that does not fit. */
static uint64_t
grown(uint64_t header, uint32_t bucket)
{
    uint32_t first = FIRST_OF(header), size = SIZE_OF(header);
    if (size == 0) {
        return make_header(STAMP_OF(header), bucket, 1);
    }
    uint32_t least = bucket < first ? bucket : first, most = bucket < first ? first + size - 1 : bucket;
    return most - least < MOST_BUCKETS ? make_header(STAMP_OF(header), least, most - least + 1) : header | MOVING;
}

/* Private memory: nobody else sees what is between, and there is one life, so that a stamp is an epoch. */
static void
halve_in_place(Cell *buckets, uint64_t header)
{
    uint64_t next = halved(header), counts[MOST_BUCKETS] = {0};
    uint32_t epoch = EPOCH_OF(header), first = FIRST_OF(header);
    for (uint32_t i = 0; i < SIZE_OF(header); i++) {
        uint64_t cell = cell_count(bucket_cell(buckets, epoch, first + i, 0));
        counts[((first + i) >> 1) - (first >> 1)] += CELL_STAMP(cell) == epoch ? COUNT_OF(cell) : 0;
    }
    for (uint32_t i = 0; i < SIZE_OF(next); i++) {
        atomic_store(bucket_cell(buckets, epoch + 1, FIRST_OF(next) + i, 0), make_cell(epoch + 1, counts[i]));
    }
    atomic_store(&buckets[0], next);
}

/* Freeze a cell: 1, or 0 if its epoch is over. One of an older epoch was never recorded to in this one. */
static int
freeze(Shared *shared, Cell *cell, uint32_t stamp)
{
    uint64_t old = atomic_load(cell), frozen;
    do {
        if (CELL_STAMP(old) == stamp && (old & FROZEN) != 0) {
            return 1;
        }
        if (!is_up_to(CELL_STAMP(old), stamp)) {
            return 0;
        }
        frozen = (CELL_STAMP(old) == stamp ? old : make_cell(stamp, 0)) | FROZEN;
    } while (!atomic_compare_exchange_weak(cell, &old, frozen));
    step(shared);
    return 1;
}

/* Add the count of a frozen cell to that of its bucket in the next epoch, once: 1, or 0 if its epoch is over. */
static int
move(Shared *shared, Cell *buckets, uint32_t stamp, uint32_t bucket)
{
    uint32_t next = stamp + 1; /* the last epoch of a life has none */
    Cell *target = bucket_cell(buckets, EPOCH_OF(next), bucket >> 1, 1);
    uint64_t source = atomic_load(bucket_cell(buckets, EPOCH_OF(stamp), bucket, 1)), old = atomic_load(target), moved;
    do {
        if (CELL_STAMP(source) != stamp || !is_up_to(CELL_STAMP(old), next)) {
            return 0;
        }
        uint64_t present = CELL_STAMP(old) == next ? old : make_cell(next, 0);
        if ((present & SOURCE_BIT(bucket)) != 0) {
            return 1;
        }
        moved = (present & ~COUNT_OF(UINT64_MAX)) | COUNT_OF(present + COUNT_OF(source)) | SOURCE_BIT(bucket);
    } while (!atomic_compare_exchange_weak(target, &old, moved));
    step(shared);
    return 1;
}

/* Shared memory: do, or help to do, what a header that is MOVING tells. */
static void
halve_together(Shared *shared, Cell *buckets, uint64_t header)
{
    uint32_t first = FIRST_OF(header);
    for (uint32_t i = 0; i < SIZE_OF(header); i++) {
        if (!freeze(shared, bucket_cell(buckets, EPOCH_OF(header), first + i, 1), STAMP_OF(header))) {
            return;
        }
    }
    for (uint32_t i = 0; i < SIZE_OF(header); i++) {
        if (!move(shared, buckets, STAMP_OF(header), first + i)) {
            return;
        }
    }
    atomic_compare_exchange_strong(&buckets[0], &header, halved(header));
    step(shared);
}

/* Take over a cell that the window came to include: one that still has an older epoch. */
static void
take_over(Cell *cell, uint32_t stamp)
{
    uint64_t old = atomic_load(cell);
    if (CELL_STAMP(old) != stamp && is_up_to(CELL_STAMP(old), stamp)) {
        atomic_compare_exchange_strong(cell, &old, make_cell(stamp, 0));
    }
}

/* Do one thing so that there is room for a value: 1, or 0 where the memory is damaged. */
static int
make_room(Cell *buckets, uint32_t index, Shared *shared)
{
    uint64_t header = atomic_load(&buckets[0]);
    uint32_t epoch = EPOCH_OF(header), bucket = index >> epoch;
    if (!is_sound(header)) {
        return 0;
    }
    if ((header & MOVING) != 0) {
        if (epoch == MOST_EPOCH) {
            return 0;
        }
        shared != NULL ? halve_together(shared, buckets, header) : halve_in_place(buckets, header);
        return 1;
    }
    if (bucket - FIRST_OF(header) < SIZE_OF(header)) {
        take_over(bucket_cell(buckets, epoch, bucket, shared != NULL), STAMP_OF(header));
    }
    else {
        atomic_compare_exchange_strong(&buckets[0], &header, grown(header, bucket));
    }
    if (shared != NULL) {
        step(shared);
    }
    return 1;
}

void
buckets_count_slowly(Cell *buckets, uint32_t index, Shared *shared)
{
    for (int round = 0; round < MOST_ROUNDS && make_room(buckets, index, shared); round++) {
        if (buckets_count(buckets, index, shared != NULL)) {
            return;
        }
    }
}

/* Reading */

/* Read the bank of a header: 1, or 0 if its epoch ended meanwhile. */
static int
read_bank(const Cell *buckets, uint64_t header, int is_shared, Buckets *read)
{
    *read = (Buckets){.epoch = EPOCH_OF(header), .first = FIRST_OF(header), .size = SIZE_OF(header)};
    for (uint32_t i = 0; i < read->size; i++) {
        uint64_t cell = atomic_load(bucket_cell((Cell *)buckets, read->epoch, read->first + i, is_shared));
        read->counts[i] = CELL_STAMP(cell) == STAMP_OF(header) ? COUNT_OF(cell) : 0;
    }
    return STAMP_OF(atomic_load(&buckets[0])) == STAMP_OF(header);
}

void
buckets_read(const Cell *buckets, int is_shared, Buckets *read)
{
    for (uint32_t i = 0; i <= MOST_EPOCH; i++) {
        uint64_t header = atomic_load(&buckets[0]);
        if (!is_sound(header)) {
            break;
        }
        if (read_bank(buckets, header, is_shared, read)) {
            return;
        }
    }
    *read = (Buckets){.epoch = 0}; /* damaged */
}

uint64_t
buckets_total(const Cell *buckets, int is_shared)
{
    Buckets read;
    uint64_t total = 0;
    buckets_read(buckets, is_shared, &read);
    for (uint32_t i = 0; i < read.size; i++) {
        total += read.counts[i];
    }
    return total;
}

void
buckets_coarsen(Buckets *read, uint32_t epoch)
{
    for (; read->epoch < epoch; read->epoch++) {
        uint32_t size = 0;
        for (uint32_t i = 0; i < read->size; i++) {
            uint32_t to = ((read->first + i) >> 1) - (read->first >> 1);
            uint64_t count = read->counts[i];
            read->counts[to] = to < size ? read->counts[to] + count : count;
            size = to + 1;
        }
        read->first >>= 1;
        read->size = size;
    }
}
