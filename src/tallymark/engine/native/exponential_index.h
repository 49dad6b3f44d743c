/* Which exponential bucket a value falls in. As `tallymark.engine.exponential`, which tells what the buckets are.
 *
 * Exact, and without a logarithm: the mantissa is compared with the bound, of those between 1 and 2, that is near it. */
#ifndef TALLYMARK_EXPONENTIAL_INDEX_H
#define TALLYMARK_EXPONENTIAL_INDEX_H

#include "cell.h"

#include <math.h>

#define TOP_SCALE 8 /* the finest scale */
#define MANTISSA 52 /* bits of a double's */

/* Indexes are kept with this added, so that none is negative at any scale; after a shift to a coarser scale, with its shift. */
#define INDEX_ZERO (UINT32_C(1) << 19)

/* 2 ** (k / 256), for k from 1, rounded down, in units of 2 ** -52 above 1; then one that nothing reaches. */
extern const uint64_t exponential_bounds[1 << TOP_SCALE];

/* Of each 512th of the mantissas: how many bounds are not above its first. No more than one lies within it. */
extern const uint8_t exponential_first[512];

/* Return the bucket, at the finest scale, of a number above 0. */
static inline uint32_t
exponential_index(double magnitude)
{
    int64_t bits = (int64_t)bits_of(magnitude), one = INT64_C(1) << MANTISSA;
    if (bits < one) { /* subnormal: shift its first bit to where that of others is left out */
        int shift = __builtin_clzll((unsigned long long)bits) - (63 - MANTISSA);
        bits = (bits << shift) - one + (1 - shift) * one;
    }
    bits--; /* upper bounds are inclusive: of the double just below, they are not */
    uint64_t mantissa = (uint64_t)bits & (uint64_t)(one - 1);
    uint32_t below = exponential_first[mantissa >> (MANTISSA - 9)];
    below += exponential_bounds[below] <= mantissa;
    int32_t exponent = (int32_t)(bits >> MANTISSA) - 1023;
    return (uint32_t)(exponent * (1 << TOP_SCALE)) + below + INDEX_ZERO;
}

/* Return the upper bound of a bucket, rounded down, as upper_bound() of `tallymark.engine.exponential`. The epoch tells how much
 * coarser than the finest the scale is. */
static inline double
exponential_bound(uint32_t epoch, int64_t index)
{
    int64_t at = (index + 1) * (INT64_C(1) << epoch), exponent = at >> TOP_SCALE;
    uint32_t part = (uint32_t)at & ((1u << TOP_SCALE) - 1);
    uint64_t mantissa = part == 0 ? 0 : exponential_bounds[part - 1];
    if (exponent > 1023) {
        return HUGE_VAL;
    }
    if (exponent >= -1022) {
        return double_of((uint64_t)(exponent + 1023) << MANTISSA | mantissa);
    }
    int64_t lost = -1022 - exponent; /* bits that a subnormal number does not have */
    return lost > MANTISSA ? 0.0 : double_of((mantissa | UINT64_C(1) << MANTISSA) >> lost);
}

#endif
