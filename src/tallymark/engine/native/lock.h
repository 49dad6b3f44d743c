/* Locks on bytes of the shared file, far beyond its end: one that every change needs, and one for each place in the table of
 * processes. They belong to the open file, not to the process: a fork shares them until the child opens its own. */
#ifndef TALLYMARK_LOCK_H
#define TALLYMARK_LOCK_H

#include "shared.h"

/* How long to wait for the lock, in nanoseconds. Its holder needs microseconds, or milliseconds if a hundred processes
 * compete for the cores; one that is stopped, by SIGSTOP or a frozen container, may hold it for ever. */
#define PATIENT INT64_C(100000000)
#define SOON INT64_C(5000000) /* where other threads wait for this one */
#define AT_START INT64_C(5000000000) /* where a process would not start otherwise */

/* Take the lock: 1; 0 with the reason in `why`, where the wait was too long, and where a fork moved the memory meanwhile;
 * -1 with an exception of a signal handler. Other threads run, and signals are handled, while it waits. They do not run
 * while it is held. */
int lock_take(Shared *shared, int64_t patience);
void lock_release(Shared *shared);

/* Return 1 if `fd` is still our open file. Other code may have closed it, and the number may by now be another file's, or
 * another open file's of ours: there, our lock on our place is another's. (It still holds: the mapping keeps the file open.) */
int lock_is_ours(const Shared *shared);

/* Take the lock on a place, alone: 1, or 0 if another has it. */
int lock_place(const Shared *shared, uint32_t index);
void unlock_place(const Shared *shared, uint32_t index);

/* Take the lock on a place together with others: 1, or 0 if one has it alone. */
int lock_place_together(const Shared *shared, uint32_t index);

/* Return 1 if another open file has the lock on a place. */
int is_place_locked(const Shared *shared, uint32_t index);

#endif
