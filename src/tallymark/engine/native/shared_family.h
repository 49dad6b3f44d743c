/* A family whose series are in memory that processes share. Each process has its own table of them, synced to the memory. */
#ifndef TALLYMARK_SHARED_FAMILY_H
#define TALLYMARK_SHARED_FAMILY_H

#include "family.h"

enum { ATTACHED, CROWDED, NO_SPACE, TAKEN, UNREACHABLE, AGAIN };

/* Keep the series of a new family in shared memory, once it has an entry there: 0, or -1 with an exception. */
int family_share(Family *family, PyObject *shared);

/* Use the entry at an offset there: 0, or -1 with an exception. Space for the overflow series is reserved, so that it can take
 * records when the memory is full. */
int family_bind(Family *family, unsigned long long offset);

/* The reverse, for a family that is freed. */
void family_unshare(Family *family);

/* Find or make the slot of a dormant series, and make it live: one of the above, or -1 with an exception. AGAIN: what was
 * true before may not be any more, since other threads ran meanwhile. */
int family_attach(Family *family, Series *series, double now, double uptime);

/* Release the slot of a series. */
void family_detach(Family *family, Series *series);

/* End the series that did not change for the family's ttl: how many, or -1 with an exception. */
long family_end_unchanged(Family *family, double uptime);

/* End a series in all processes, even one that is not in this one's table: 0, or -1 with an exception. */
int family_remove(Family *family, Series *series);

/* Sync the table: enter series that other processes have made, lose those that they ended. 0, or -1 with an exception. */
int family_sync(Family *family);

/* Lose the series that were ended. */
void family_refresh(Family *family);

/* Whether what the family holds is held by this process alone: else it is its parent's hold, or others' too. */
int family_is_ours(const Family *family);

/* Have a series be the one of a live slot, which is held. */
struct SlotRecord;
void family_enter_slot(Family *family, Series *series, struct SlotRecord *slot, double uptime);

/* Return how many slots of the entry were made live, of which none is being made now. If it is not `seen`, that takes the
 * lock. A number that never comes where that cannot be had, with an exception if it is of a signal handler. */
uint64_t family_births(Family *family, uint64_t seen);

/* Before a series is read: sync, if another process may have made it live. 0, or -1 with an exception. */
static inline int
family_look(Family *family, const Series *series)
{
    return family->shared == NULL || is_live(series) ? 0 : family_sync(family);
}

/* Return 1 if each process has series of its own, which readers combine. */
static inline int
has_shares(const Family *family)
{
    return family->entry.record != NULL && family->entry.aggregate != LAST;
}

#endif
