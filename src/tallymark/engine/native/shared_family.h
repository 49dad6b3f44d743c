/* A family whose series live in memory that processes share. Each process has its own table of them, kept true to the memory. */
#ifndef TALLYMARK_SHARED_FAMILY_H
#define TALLYMARK_SHARED_FAMILY_H

#include "family.h"

enum { ATTACHED, CROWDED, NO_SPACE, TAKEN, UNREACHABLE };

/* Keep the series of a new family in shared memory, once it has a place there: 0, or -1 with an exception. */
int family_share(Family *family, PyObject *shared);

/* Give it the place of a family there: 0, or -1 with an exception. Room for the overflow series is set aside, so that records
 * have somewhere to go when there is no room any more. */
int family_bind(Family *family, unsigned long long place);

/* The reverse, of a family that goes. */
void family_unshare(Family *family);

/* Find or make the slot of a dormant series, and make it live: one of the above, or -1 with an exception. */
int family_attach(Family *family, Series *series, double now, double uptime);

/* Let the slot of a series go. */
void family_detach(Family *family, Series *series);

/* Kill the slot of a live series: whether it was as it was last looked at, and nothing kept us from it. */
int family_kill(Family *family, Series *series);

/* End a series in all processes, whether this one knows of it or not: 0, or -1 with an exception. */
int family_remove(Family *family, Series *series);

/* Learn which series other processes have made and removed: 0, or -1 with an exception. */
int family_sync(Family *family);

/* Before a series is read: learn what other processes did to it: 0, or -1 with an exception. */
static inline int
family_look(Family *family, const Series *series)
{
    return family->shared == NULL || is_live(series) ? 0 : family_sync(family);
}

/* Whether each process has series of its own, which readers combine. */
static inline int
has_shares(const Family *family)
{
    return family->place != NULL && family->place->aggregate != LAST;
}

#endif
