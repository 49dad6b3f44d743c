/* This process, as one of those that share: it joins after a fork, and takes the lock. */
#ifndef TALLYMARK_MEMBER_H
#define TALLYMARK_MEMBER_H

#include <unistd.h>

#include "lock.h"

/* Take the lock, as lock_take(), as the process that we are now: a forked child joins first. */
int shared_lock(Shared *shared, int64_t patience);

static inline void
shared_unlock(Shared *shared)
{
    lock_release(shared);
}

/* With the lock: have a place of our own. */
void member_enter(Shared *shared);

/* Return 1 if this process has joined, as it has not between a fork and its first use of the memory. */
static inline int
is_joined(const Shared *shared)
{
    return shared->pid == getpid();
}

#endif
