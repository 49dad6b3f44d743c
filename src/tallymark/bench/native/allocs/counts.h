/* What one thread asked of CPython's allocators: what the hooks count, and what all other files here read. */
#ifndef TALLYMARK_BENCH_COUNTS_H
#define TALLYMARK_BENCH_COUNTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdatomic.h>
#include <stdint.h>

#define CAN_TRACE_OBJECTS (PY_VERSION_HEX >= 0x030D0000)

enum { N_DOMAINS = 3, N_SLOTS = 64 };

typedef struct {
    uint64_t requests[N_DOMAINS];
    uint64_t bytes, reallocs, frees, arenas;
} Counts;

typedef struct {
    int made;
    uint64_t total;
    Counts counts;
} Mark;

/* One struct, as each thread-local variable of a shared library costs a call to find. */
typedef struct {
    int depth;
    unsigned reached; /* the domains whose hook a probe came through, as bits */
    uint64_t traced;  /* the number of the tracing of objects that this thread started last */
    uint64_t charged; /* the number of the recording of stacks that this thread started last; see stacks.h */
    Counts counts;
    Mark marks[N_SLOTS];
} Thread;

extern _Thread_local Thread thread;
extern _Atomic uint64_t total; /* requests of all threads */
extern int installed;          /* how often the hooks were asked for; the GIL guards it */

#define ABSENT "allocations are not being counted"

#endif
