/* A family whose series are in memory that processes share. Each process has its own table of them, synced to the memory. */
#ifndef TALLYMARK_SHARED_FAMILY_H
#define TALLYMARK_SHARED_FAMILY_H

#include "family.h"

enum { ATTACHED, CROWDED, NO_SPACE, TAKEN, UNREACHABLE };

/* Keep the series of a new family in shared memory, once it has an entry there: 0, or -1 with an exception. */
int family_share(Family *family, PyObject *shared);

/* Use the entry at an offset there: 0, or -1 with an exception. Space for the overflow series is reserved, so that it can take
 * records when the memory is full. */
int family_bind(Family *family, unsigned long long offset);

/* The reverse, for a family that is freed. */
void family_unshare(Family *family);

/* Find or make the slot of a dormant series, and make it live: one of the above, or -1 with an exception. */
int family_attach(Family *family, Series *series, double now, double uptime);

/* Let the slot of a series go. */
void family_detach(Family *family, Series *series);

/* Kill the slot of a live series, if it still has its last mark: 1 if that was done. */
int family_kill(Family *family, Series *series);

/* End a series in all processes, even one that is not in this one's table: 0, or -1 with an exception. */
int family_remove(Family *family, Series *series);

/* Sync the table: enter series that other processes have made, lose those that they removed. 0, or -1 with an exception. */
int family_sync(Family *family);

/* What adoption needs of this. Whether what the family holds is held by this process alone. */
int family_is_ours(const Family *family);

/* Have a series be the one of a live slot, which is held. */
struct Slot;
void family_enter_slot(Family *family, Series *series, struct Slot *slot, double uptime);

/* Make series dormant that other processes have removed. */
void family_refresh(Family *family);

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
    return family->entry != NULL && family->entry->aggregate != LAST;
}

#endif
