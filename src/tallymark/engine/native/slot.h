/* A slot: a series in shared memory. Its offset never changes; its tags may, once it is dead and nobody holds it. */
#ifndef TALLYMARK_SLOT_H
#define TALLYMARK_SLOT_H

#include "entry.h"

#include <stddef.h>

#include "cell.h"
#include "shape.h"

#define NOBODY 0xffffffffu  /* the owner of a slot that all processes record to */
#define RETIRED 0xfffffffeu /* the owner of what dead processes leave to a maximum or minimum */
#define ANYONE 0xfffffffdu  /* no owner: finds a live slot of any owner */

/* As it lies in the file. */
typedef struct SlotRecord {
    _Atomic uint64_t next, chain; /* the next of its entry; the next of its hash, which all slots with its text share */
    _Atomic uint64_t holders[PLACE_WORDS];
    _Atomic uint32_t owner;
    uint32_t mark, length, space;
    uint64_t hash, entry;
    double created;
    uint32_t kept; /* of a root or overflow series, and so not counted */
    CellState state;
    Cell cells[]; /* then the entry's extra bytes, then the text of the tags */
} SlotRecord;

/* As this process sees it: what tells where its parts are was read once, and checked. */
typedef struct {
    SlotRecord *record; /* NULL: there is none */
    uint64_t offset, hash;
    uint32_t length, space;
} Slot;

/* Slots of an entry one after the other: none at the end, and at a damaged one. */
Slot slot_first(const Entry *entry);
Slot slot_next(const Entry *entry, const Slot *slot);

/* Read a slot again, whose text may have changed since. */
Slot slot_again(const Entry *entry, SlotRecord *record);

/* Find a slot by its tags' text. All from here on need the lock. */
Slot slot_find(const Entry *entry, uint32_t owner, const char *text, uint32_t length);

/* Make a dead slot: reuse a free one, or append one; none if there is no space. */
Slot slot_make(const Entry *entry, uint32_t owner, const char *text, uint32_t length);

/* Return 1 if it is worth looking at all slots for a free one: not again while none has become free since. */
int slot_may_be_free(const Entry *entry);

/* The same as slot_make(), by looking at all slots, once the dead are buried. */
Slot slot_make_from_any(const Entry *entry, uint32_t owner, const char *text, uint32_t length);

/* Make a dead slot live and hold it. Its cells must be those of an empty series. */
void slot_enliven(const Entry *entry, const Slot *slot, uint32_t kept, double created);

/* Make a dead slot live, whose cells are as they shall be. */
void slot_revive(const Entry *entry, const Slot *slot);

/* End a live slot, for all processes. */
void slot_end(const Entry *entry, const Slot *slot);

/* Update the entry, once a slot's state is DEAD. */
void slot_ended(const Entry *entry, const Slot *slot);

/* End all slots with these tags, of any owner. */
void slots_end(const Entry *entry, const char *text, uint32_t length);

/* Return the sum of slot_mark() of all live slots with these tags. */
uint64_t slots_mark(const Entry *entry, const char *text, uint32_t length);

/* Return 1 if a slot is the one by which its series is counted. */
int slot_counts(const Entry *entry, const Slot *slot);

/* Under the lock: copy the text to where there is space: its length, or -1 if it is longer, or damaged. */
int64_t slot_read_text(const Entry *entry, const Slot *slot, char *text, uint32_t space);

/* Without the lock: copy the text as bytes; None if it is damaged, or being written; NULL with an exception. */
PyObject *slot_copy_text(const Entry *entry, const Slot *slot);

static inline char *
slot_text(const Entry *entry, const Slot *slot)
{
    return (char *)&slot->record->cells[entry->words] + entry->extra;
}

/* Return a number that differs once a slot was recorded to, and from that of other slots, and of its other lives. */
static inline uint64_t
slot_mark(const Entry *entry, const SlotRecord *slot, uint64_t offset)
{
    return mixed(mixed(offset ^ bits_of(slot->created)) + cell_count(&slot->cells[entry->words - 1]));
}

static inline int
slot_is_live(const Slot *slot)
{
    return atomic_load(&slot->record->state) == LIVE;
}

static inline void
slot_hold(SlotRecord *slot, uint32_t index)
{
    atomic_fetch_or(&slot->holders[index / 64], PLACE_BIT(index));
}

static inline void
slot_release(SlotRecord *slot, uint32_t index)
{
    atomic_fetch_and(&slot->holders[index / 64], ~PLACE_BIT(index));
}

static inline int
slot_is_held(const SlotRecord *slot, uint32_t index)
{
    return (atomic_load(&slot->holders[index / 64]) & PLACE_BIT(index)) != 0;
}

static inline SlotRecord *
slot_of_cells(Cell *cells)
{
    return (SlotRecord *)((char *)cells - offsetof(SlotRecord, cells));
}

#endif
