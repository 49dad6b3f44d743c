/* A cell: one 64-bit word that holds a number, an IEEE double or a count, updated atomically.
 *
 * Relaxed order is enough: a reader of one cell needs nothing of another. One code path serves threads, and memory that
 * several processes map; an uncontended compare-and-swap costs a few nanoseconds over a plain store. */
#ifndef TALLYMARK_CELL_H
#define TALLYMARK_CELL_H

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

typedef _Atomic(uint64_t) Cell;

/* LIVE: the cells belong to a series that is recorded to. ASKING, in this process alone: each record to such a series takes a
 * longer way, on which the registry may be asked for an exemplar. */
typedef _Atomic(uint32_t) CellState;
enum { DEAD, LIVE, ASKING };

/* The second cell of a gauge whose series expire: twice the number of records, so that each is seen, whatever it sets; and 1 if the
 * last of them moved the value, so that what is in progress does not expire. */
#define MOVED UINT64_C(1)
#define ONE_RECORD UINT64_C(2)

static inline double
double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint64_t
bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline double
cell_get(const Cell *cell)
{
    return double_of(atomic_load_explicit(cell, memory_order_relaxed));
}

static inline void
cell_set(Cell *cell, double value)
{
    atomic_store_explicit(cell, bits_of(value), memory_order_relaxed);
}

static inline void
cell_add(Cell *cell, double amount)
{
    uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
        cell, &old, bits_of(double_of(old) + amount), memory_order_relaxed, memory_order_relaxed)) {
    }
}

static inline void
cell_lower(Cell *cell, double value)
{
    uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);
    while (value < double_of(old) && !atomic_compare_exchange_weak_explicit(
                                         cell, &old, bits_of(value), memory_order_relaxed, memory_order_relaxed)) {
    }
}

static inline void
cell_raise(Cell *cell, double value)
{
    uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);
    while (value > double_of(old) && !atomic_compare_exchange_weak_explicit(
                                         cell, &old, bits_of(value), memory_order_relaxed, memory_order_relaxed)) {
    }
}

static inline uint64_t
cell_count(const Cell *cell)
{
    return atomic_load_explicit(cell, memory_order_relaxed);
}

static inline void
cell_count_one(Cell *cell)
{
    atomic_fetch_add_explicit(cell, 1, memory_order_relaxed);
}

#endif
