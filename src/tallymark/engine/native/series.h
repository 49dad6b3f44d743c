/* A series: one family and one tag set, and the cells that hold its numbers.
 *
 * It is a record in its family's arena, with its cells, not a Python object: a family with 100,000 series gives the garbage
 * collector nothing to do, and there is no cycle to break. An instrument holds its family. While a series is live, its
 * family's table keeps it; while it is dormant, its instrument does. */
#ifndef TALLYMARK_SERIES_H
#define TALLYMARK_SERIES_H

#include "tagset.h" /* Python.h comes first, always */

#include "cell.h"

struct Instrument;

typedef struct Series {
    TagSet *tags;              /* owned */
    struct Instrument *holder; /* borrowed: the one object that stands for the series, NULL while nobody holds it */
    double created;            /* seconds since the epoch */
    double mark, since;        /* with a ttl: family_mark() when last checked, and since when it holds */
    Cell *cells;               /* its own; or those in shared memory, or while it is dormant there, its family's empty ones */
    const CellState *state;    /* of the cells: series_dormant, series_live, series_asking, or that in shared memory */
    uint32_t row;              /* in its family's table */
    uint32_t number : 31;      /* in its family's arena */
    uint32_t kept : 1;         /* the root or the overflow series: never forgotten, and not limited */
    Cell own[];                /* none where processes share */
} Series;

extern const CellState series_dormant, series_live, series_asking;

/* Return 1 if records go straight to the cells of a series. */
static inline int
is_open(const Series *series)
{
    return atomic_load_explicit(series->state, memory_order_relaxed) == LIVE;
}

/* As is_live(), of a series whose own state is ASKING. */
int is_asking_live(const Series *series);

/* Return 1 if a series is exported, and recorded to. In shared memory, another process may end that. */
static inline int
is_live(const Series *series)
{
    return is_open(series) || (series->state == &series_asking && is_asking_live(series));
}

/* Return 1 if a series is live as far as this process knows. */
static inline int
is_entered(const Series *series)
{
    return series->state != &series_dormant;
}

#endif
