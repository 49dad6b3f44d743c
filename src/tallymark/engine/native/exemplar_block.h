/* Exemplars in shared memory: a block for a series, with a place for one in each of its buckets. A slot has the offset of its
 * block in the word after its cells, 0 until the first exemplar, and keeps the block when it is used again.
 *
 * A place has a sequence number, odd while the place is written. Whoever writes has the lock, so an odd one was left by a process
 * that was killed in the midst: the next writer goes on from it. Readers have no lock: what they read counts if the number was even,
 * and is the same afterwards. So nobody reads half of one, and what a killed process left is read as none. */
#ifndef TALLYMARK_EXEMPLAR_BLOCK_H
#define TALLYMARK_EXEMPLAR_BLOCK_H

#include "slot.h"

/* Space for the text of an exemplar: for the ids of a trace and a span; and the longest, as labels_text() of engine/exemplar.py says.
 * A block has the first until a text needs the second. */
#define SHORT_TEXT 96u
#define LONGEST_TEXT 512u

/* What is kept in a place. */
typedef struct {
    double value, time;
    uint32_t length; /* 0: there is none */
    char text[LONGEST_TEXT];
} KeptExemplar;

/* Under the lock: keep an exemplar in one of the `n` places of a live slot: 1, or 0 if there is no space. */
int block_keep(const Entry *entry, const Slot *slot, uint32_t n, uint32_t place, const KeptExemplar *kept);

/* Under the lock: empty the places of a dead slot. */
void block_empty(const Entry *entry, const Slot *slot, uint32_t n);

/* Return 1 if a slot has a block, which may be damaged. */
static inline int
has_block(const Entry *entry, const SlotRecord *slot)
{
    return entry->extra >= sizeof(uint64_t) && atomic_load_explicit(&slot->cells[entry->words], memory_order_relaxed) != 0;
}

/* Copy what is in a place: 1, or 0 if there is none. The text and the numbers are to be checked. */
int block_read(const Entry *entry, const Slot *slot, uint32_t n, uint32_t place, KeptExemplar *kept);

#endif
