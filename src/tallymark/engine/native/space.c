/* The space in the file: what is mapped of it, what is taken, how it grows. */
#define _GNU_SOURCE
#include "lock.h"
#include "places.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define ENTRY_CHAINS (PLACES + MAX_PROCESSES * sizeof(Place))
#define N_ENTRY_CHAINS UINT64_C(1024)
#define SLOT_CHAINS (ENTRY_CHAINS + N_ENTRY_CHAINS * sizeof(uint64_t))
#define STEP (UINT64_C(1) << 20) /* bytes by which the file grows */

/* Enough chains that each is short even if the memory is full. */
static uint64_t
n_slot_chains(uint64_t limit)
{
    return limit / 4096;
}

uint64_t
data_offset(uint64_t limit)
{
    return SLOT_CHAINS + n_slot_chains(limit) * sizeof(uint64_t);
}

_Atomic uint64_t *
entry_chain(Shared *shared, uint64_t hash)
{
    return (_Atomic uint64_t *)(shared->base + ENTRY_CHAINS) + hash % N_ENTRY_CHAINS;
}

_Atomic uint64_t *
slot_chain(Shared *shared, uint64_t hash)
{
    return (_Atomic uint64_t *)(shared->base + SLOT_CHAINS) + hash % n_slot_chains(shared->limit);
}

uint64_t
text_hash(const char *text, size_t length) /* FNV-1a, as in draft-eastlake-fnv */
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* Return how much of the file may be read. The size in the header counts only as far as the file goes: beyond is SIGBUS. */
static uint64_t
known_size(Shared *shared, uint64_t wanted)
{
    if (wanted > shared->known && shared->writable) {
        struct stat status;
        uint64_t size = atomic_load(&shared->header->size);
        if (size > shared->known && size <= shared->limit && lock_is_ours(shared) && fstat(shared->fd, &status) == 0
            && size <= (uint64_t)status.st_size) {
            shared->known = size;
        }
    }
    return shared->known;
}

void *
shared_at(Shared *shared, uint64_t offset, uint64_t size)
{
    if (offset < data_offset(shared->limit) || offset % 8 != 0 || offset > shared->limit || size > shared->limit - offset
        || offset + size > known_size(shared, offset + size)) {
        return NULL;
    }
    return shared->base + offset;
}

/* Not posix_fallocate(): where the file system cannot do it, that writes zeros over what is there, cells of others among it. */
int
shared_allocate(int fd, uint64_t from, uint64_t to)
{
#ifdef __linux__
    while (fallocate(fd, 0, (off_t)from, (off_t)(to - from)) < 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
#else
    (void)fd, (void)from, (void)to;
    return EOPNOTSUPP; /* open_to_share() says so */
#endif
}

static const char *
reason_of(int error)
{
    switch (error) {
    case ENOSPC:
        return "its disk is full: make space on it";
    case EDQUOT:
        return "its user's disk quota is used up: raise it";
    case EFBIG:
        return "its file may not grow further (RLIMIT_FSIZE, or the file system): raise that limit";
    default:
        return "its file system reports an error: look into the system's log";
    }
}

uint64_t
shared_take(Shared *shared, uint64_t size)
{
    Header *header = shared->header;
    uint64_t used = atomic_load(&header->used), end = atomic_load(&header->size);
    size = (size + 7) / 8 * 8;
    shared->lack = "its header is damaged: end its processes, and start again with fresh=True";
    if (used < data_offset(shared->limit) || used % 8 != 0 || used > end || end > shared->limit) {
        goto full;
    }
    if (size > shared->limit - used) {
        shared->lack = "it is full: raise Registry(shared_limit=), which holds from Registry(fresh=True) on, or lower TagLimits.max_series";
        goto full;
    }
    if (used + size > end) {
        uint64_t grown = used + size + STEP < shared->limit ? used + size + STEP : shared->limit;
        int error = shared_allocate(shared->fd, end, grown);
        if (error != 0) {
            shared->lack = reason_of(error);
            goto full;
        }
        step(shared);
        atomic_store(&header->size, grown);
    }
    if (known_size(shared, used + size) < used + size) {
        shared->lack = "its file was truncated: end its processes, and start again with fresh=True";
        goto full;
    }
    step(shared);
    atomic_store(&header->used, used + size);
    step(shared);
    memset(shared->base + used, 0, size); /* a process that was killed may have written there */
    return used;
full:
    atomic_fetch_add(&header->failed, 1);
    return 0;
}
