/* The clock of time.perf_counter(), in nanoseconds, and a coarse one of time.time(), without a call into Python. */
#ifndef TALLYMARK_CLOCK_H
#define TALLYMARK_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Seconds since the epoch, at most a few milliseconds ago: for a few nanoseconds, where the system has such a clock. */
static inline double
clock_epoch(void)
{
    struct timespec now;
#if defined(CLOCK_REALTIME_COARSE)
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
#else
    clock_gettime(CLOCK_REALTIME, &now);
#endif
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

#if defined(__linux__)
static inline int64_t
clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
#elif defined(__APPLE__)
static inline int64_t
clock_now(void)
{
    return (int64_t)clock_gettime_nsec_np(CLOCK_UPTIME_RAW);
}
#else
#error "the clock of time.perf_counter() is not known on this platform; use the reference engine"
#endif

#endif
