/* A slot: a series in shared memory. Its offset never changes; its tags may, once it is dead and nobody holds it. */
#ifndef TALLYMARK_SLOT_H
#define TALLYMARK_SLOT_H

#include "directory.h"

#include <stddef.h>

#include "cell.h"

#define NOBODY 0xffffffffu  /* the owner of a slot that all processes record to */
#define RETIRED 0xfffffffeu /* the owner of what dead processes leave to a maximum or minimum */
#define ANYONE 0xfffffffdu  /* no owner: finds a live slot of any owner */

typedef struct Slot {
    _Atomic uint64_t next, chain; /* the next of its family; the next of its hash, which all slots with its text share */
    _Atomic uint64_t holders[PLACE_WORDS];
    _Atomic uint32_t owner;
    uint32_t mark, length, space;
    uint64_t hash, family;
    double created;
    uint32_t kept; /* of a root or overflow series, and so not counted */
    CellState state;
    Cell cells[]; /* then the text of the tags */
} Slot;

/* Slots of a family one after the other: NULL at the end, and at a damaged one. */
Slot *first_slot(Shared *shared, const SharedFamily *family);
Slot *next_slot(Shared *shared, const SharedFamily *family, const Slot *slot);

/* Find a slot by its tags' text. All from here on need the lock. */
Slot *slot_find(Shared *shared, SharedFamily *family, uint32_t owner, const char *text, uint32_t length);

/* Make a dead slot: reuse a free one, or append one; NULL if there is no space. */
Slot *slot_make(Shared *shared, SharedFamily *family, uint32_t owner, const char *text, uint32_t length);

/* Make a dead slot live and hold it. Its cells must be those of an empty series. */
void slot_enliven(Shared *shared, SharedFamily *family, Slot *slot, uint32_t kept, double created);

void slot_kill(Shared *shared, SharedFamily *family, Slot *slot);

/* Update the family once a slot is dead. */
void slot_died(Shared *shared, SharedFamily *family, Slot *slot);

/* Kill all slots with these tags, of any owner; return how many there were. */
uint32_t slots_kill(Shared *shared, SharedFamily *family, const char *text, uint32_t length);

/* Return the sum of the first cells of all live slots with these tags, as integers: it differs once one of them changed. */
uint64_t slots_mark(Shared *shared, SharedFamily *family, const char *text, uint32_t length);

/* End the share of a dead process: a sum loses it; a maximum or minimum keeps it. */
void slot_end_share(Shared *shared, SharedFamily *family, Slot *slot);

/* Return 1 if a slot is the one by which its series is counted. */
int slot_counts(Shared *shared, SharedFamily *family, const Slot *slot);

/* Under the lock: copy the text to where there is space: its length, or -1 if it is longer, or damaged. */
int64_t slot_read_text(const Shared *shared, const SharedFamily *family, const Slot *slot, char *text, uint32_t space);

/* Without the lock: copy the text as bytes; None if it is damaged, or being written; NULL with an exception. */
PyObject *slot_copy_text(Shared *shared, const SharedFamily *family, const Slot *slot);

static inline char *
slot_text(const SharedFamily *family, const Slot *slot)
{
    return (char *)&slot->cells[family->words];
}

static inline int
slot_is_live(const Slot *slot)
{
    return atomic_load(&slot->state) == LIVE;
}

static inline void
slot_hold(Slot *slot, uint32_t index)
{
    atomic_fetch_or(&slot->holders[index / 64], PLACE_BIT(index));
}

static inline void
slot_let_go(Slot *slot, uint32_t index)
{
    atomic_fetch_and(&slot->holders[index / 64], ~PLACE_BIT(index));
}

static inline int
slot_is_held(const Slot *slot, uint32_t index)
{
    return (atomic_load(&slot->holders[index / 64]) & PLACE_BIT(index)) != 0;
}

static inline Slot *
slot_of_cells(Cell *cells)
{
    return (Slot *)((char *)cells - offsetof(Slot, cells));
}

#endif
