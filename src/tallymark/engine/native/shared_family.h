/* A family whose series live in memory that processes share. Each process has its own table of them, kept true to the memory. */
#ifndef TALLYMARK_SHARED_FAMILY_H
#define TALLYMARK_SHARED_FAMILY_H

#include "family.h"

enum { ATTACHED, CROWDED, NO_SPACE };

/* Find or make the slot of a dormant series, and make it live: one of the above, or -1 with an exception. */
int family_attach(Family *family, Series *series, double now, double uptime);

/* Make a live series dormant here; with `kill`, in all processes. */
void family_detach(Family *family, Series *series, int kill);

/* Make series dormant that other processes have removed. What is recorded from here on goes to no slot that is dead by now. */
void family_refresh(Family *family);

/* Learn of series that other processes have made: 0, or -1 with an exception. */
int family_sync(Family *family);

/* Before a series is read: learn what other processes did to it: 0, or -1 with an exception. */
static inline int
family_look(Family *family, const Series *series)
{
    return family->shared == NULL || (series->live && is_current(family)) ? 0 : family_sync(family);
}

#endif
