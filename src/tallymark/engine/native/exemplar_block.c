#include "exemplar_block.h"

#define BLOCK_MARK 0x4d455845u
#define TRIES 4 /* to read a place that is written meanwhile: each is written once a second, or by hand */

/* As they lie in the file. */
typedef struct {
    _Atomic uint64_t sequence;
    double value, time;
    uint32_t length, unused;
    char text[];
} PlaceRecord;

typedef struct {
    uint32_t mark, n, space, unused; /* n: places; space: bytes for the text of each */
    uint64_t slot;
    char places[];
} BlockRecord;

/* As this process sees it: what must not change was read once, and checked. */
typedef struct {
    BlockRecord *record; /* NULL: there is none */
    uint32_t n, space;
} Block;

static const Block none;

static uint64_t
place_size(uint32_t space)
{
    return sizeof(PlaceRecord) + space;
}

static uint64_t
block_size(uint32_t n, uint32_t space)
{
    return sizeof(BlockRecord) + n * place_size(space);
}

static PlaceRecord *
place_at(const Block *block, uint32_t place)
{
    return (PlaceRecord *)(block->record->places + place * place_size(block->space));
}

/* The word of a slot with the offset of its block; NULL where the file has no such words. */
static _Atomic uint64_t *
word_of(const Entry *entry, const Slot *slot)
{
    return entry->extra < sizeof(uint64_t) ? NULL : (_Atomic uint64_t *)&slot->record->cells[entry->words];
}

/* Return the block of a slot with `n` places; none where there is none yet, and where it is damaged. */
static Block
block_of(const Entry *entry, const Slot *slot, uint32_t n)
{
    const _Atomic uint64_t *word = word_of(entry, slot);
    uint64_t offset = word == NULL ? 0 : atomic_load_explicit(word, memory_order_acquire);
    BlockRecord *record = offset == 0 ? NULL : shared_at(entry->shared, offset, sizeof *record);
    if (record == NULL || record->mark != BLOCK_MARK || record->slot != slot->offset || record->n != n) {
        return none;
    }
    Block block = {record, n, record->space};
    int fits = block.space == SHORT_TEXT || block.space == LONGEST_TEXT;
    return fits && shared_at(entry->shared, offset, block_size(n, block.space)) != NULL ? block : none;
}

/* Reading */

static int
read_once(const Block *block, uint32_t at, KeptExemplar *kept)
{
    PlaceRecord *place = place_at(block, at);
    uint64_t sequence = atomic_load_explicit(&place->sequence, memory_order_acquire);
    kept->value = place->value;
    kept->time = place->time;
    kept->length = place->length;
    if (sequence % 2 != 0 || kept->length == 0 || kept->length > block->space) {
        return 0;
    }
    memcpy(kept->text, place->text, kept->length);
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&place->sequence, memory_order_relaxed) == sequence;
}

static int
read_place(const Block *block, uint32_t at, KeptExemplar *kept)
{
    int found = 0;
    for (int i = 0; !found && i < TRIES; i++) {
        found = read_once(block, at, kept);
    }
    return found;
}

int
block_read(const Entry *entry, const Slot *slot, uint32_t n, uint32_t place, KeptExemplar *kept)
{
    Block block = block_of(entry, slot, n);
    return block.record != NULL && place < n && read_place(&block, place, kept);
}

/* Writing: all from here on needs the lock */

static void
write_place(Shared *shared, const Block *block, uint32_t at, const KeptExemplar *kept)
{
    PlaceRecord *place = place_at(block, at);
    uint64_t sequence = atomic_load_explicit(&place->sequence, memory_order_relaxed) | 1; /* odd already where one was killed */
    atomic_store_explicit(&place->sequence, sequence, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    step(shared);
    place->value = kept->value;
    place->time = kept->time;
    step(shared);
    memcpy(place->text, kept->text, kept->length);
    step(shared);
    place->length = kept->length;
    step(shared);
    atomic_store_explicit(&place->sequence, sequence + 1, memory_order_release);
    step(shared);
}

/* Make the block of a slot, with what is in the present one; none if there is no space. */
static Block
block_make(const Entry *entry, const Slot *slot, uint32_t n, uint32_t space, const Block *present)
{
    Shared *shared = entry->shared;
    KeptExemplar kept;
    _Atomic uint64_t *word = word_of(entry, slot);
    if (word == NULL) {
        shared->lack = "its file was made without space for exemplars: end its processes, and start again with fresh=True";
        return none;
    }
    uint64_t offset = shared_take(shared, block_size(n, space));
    if (offset == 0) {
        return none;
    }
    Block block = {(BlockRecord *)(shared->base + offset), n, space};
    block.record->mark = BLOCK_MARK;
    block.record->n = n;
    block.record->space = space;
    block.record->slot = slot->offset;
    atomic_store(&entry->record->has_blocks, 1); /* before a reader can find the block */
    step(shared);
    for (uint32_t i = 0; present->record != NULL && i < n; i++) {
        if (read_place(present, i, &kept)) {
            write_place(shared, &block, i, &kept);
        }
    }
    atomic_store_explicit(word, offset, memory_order_release); /* last: at worst, its space is lost */
    step(shared);
    return block;
}

int
block_keep(const Entry *entry, const Slot *slot, uint32_t n, uint32_t place, const KeptExemplar *kept)
{
    Block block = block_of(entry, slot, n);
    if (block.record == NULL || kept->length > block.space) {
        block = block_make(entry, slot, n, kept->length > SHORT_TEXT ? LONGEST_TEXT : SHORT_TEXT, &block);
    }
    if (block.record != NULL) {
        write_place(entry->shared, &block, place, kept);
    }
    return block.record != NULL;
}

void
block_empty(const Entry *entry, const Slot *slot, uint32_t n)
{
    Block block = block_of(entry, slot, n);
    for (uint32_t i = 0; block.record != NULL && i < n; i++) {
        write_place(entry->shared, &block, i, &(KeptExemplar){.length = 0});
    }
}
