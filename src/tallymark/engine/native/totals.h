/* Totals: the series of a gauge of which each process has a value of its own, as all of them together have it.
 *
 * A process reads the values of the others, its shares, from their slots, and holds none of those. So it notes the hash of
 * a slot's tags: if that is the same when the slot was read, and the slot lives, so was what was read. */
#ifndef TALLYMARK_TOTALS_H
#define TALLYMARK_TOTALS_H

#include "tagset.h"

#include "slot.h"

struct Family;
struct Rows;

typedef struct {
    TagSet *tags; /* owned */
    uint32_t n_shares, n_read; /* the second of those that lived at the last reading */
    double created, value, rest; /* as read last; `rest` is what the sum in `value` lost to rounding */
    uint64_t mark, last_mark;    /* of all shares together: as read last, and when it last differed */
    int is_in_use;               /* of any: as read last */
    double since;                /* with a ttl: since when it holds */
} Total;

typedef struct {
    uint64_t offset, hash; /* of a slot */
    Total *total;          /* NULL where its text is damaged */
} Share;

typedef struct {
    Pointers index; /* totals by their tags */
    Total **rows;   /* all of them, in the order of their first shares */
    Share *shares;  /* ascending */
    size_t n_rows, capacity, n_shares;
    uint64_t seen_born, seen_ended; /* the counts of the entry that this was last synced to */
    uint64_t syncs;
} Totals;

static inline SlotRecord *
share_record(const Shared *shared, const Share *share)
{
    return (SlotRecord *)(shared->base + share->offset);
}

/* Make sure that the next sync looks at all slots. */
void totals_invalidate(Totals *totals);
void totals_clear(Totals *totals);

/* Find all shares: 0, or -1 with an exception. */
int totals_sync(struct Family *family);

/* Read all shares. Then return the rows of the totals; NULL without an exception where there is no series. */
struct Rows *totals_read(struct Family *family);

/* End the series of which no share changed for the family's ttl: how many, or -1 with an exception. */
long totals_expire(struct Family *family, double now);

#endif
