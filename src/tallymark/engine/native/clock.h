/* The clock of time.perf_counter(), in nanoseconds, without a call into Python. */
#ifndef TALLYMARK_CLOCK_H
#define TALLYMARK_CLOCK_H

#include <stdint.h>
#include <time.h>

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
