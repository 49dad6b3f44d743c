/* A series: one family and one tag set, and the cells that hold its numbers.
 *
 * It is a record of its family's arena, no Python object: a family with 100,000 series gives the garbage collector nothing to
 * do, and there is no cycle to break. Whoever holds an instrument holds the family; while a series is live, its family's table
 * keeps it; while it is not, the instrument does. */
#ifndef TALLYMARK_SERIES_H
#define TALLYMARK_SERIES_H

#include "tagset.h" /* Python.h comes first, always */

#include "cell.h"

struct Instrument;

typedef struct Series {
    TagSet *tags;              /* owned */
    struct Instrument *holder; /* borrowed: the one object that stands for the series, NULL while nobody holds it */
    double created;            /* seconds since the epoch */
    double mark, since;        /* with a ttl: what the series was like, and since when */
    Cell *cells;               /* its own, or, of a live series in shared memory, those there */
    uint32_t number;           /* of its own record */
    uint32_t own;              /* the number of its own cells' record */
    uint32_t row;              /* in its family's table */
    uint8_t live;              /* exported, and recorded to without asking */
    uint8_t kept;              /* the root or the overflow series: stays known, and needs no room */
} Series;

#endif
