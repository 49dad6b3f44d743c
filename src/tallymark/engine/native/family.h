/* A family: all series that share one metric name and kind; the rules for which series may enter its table.
 *
 * How a series ends, in five words. They mean the same everywhere:
 *
 *   end      for all processes: its slots in shared memory are dead. slot_end(), slots_end(), by remove, unregister, expiry
 *   lose     in this process: it is dormant, and its numbers are gone. family_lose(), once removed, ended, unregistered
 *   release  a hold is given up: of an instrument on its series (family_release()), of a process on a slot (slot_release())
 *   forget   its record is freed, once it is dormant and no instrument holds it. family_forget(), after a lose or a release
 *   bury     what a dead process held is released, and its shares of gauges are ended (burial.h), by whoever reads
 * /
 */
#ifndef TALLYMARK_FAMILY_H
#define TALLYMARK_FAMILY_H

#include "table.h"

#include "arena.h"
#include "entry.h"
#include "totals.h"

typedef struct Family {
    PyObject_HEAD
    State *state; /* borrowed: the type keeps the module */
    PyTypeObject *instrument_type;
    Table table;
    Arena series;
    uint32_t words; /* cells of a series */
    Series *root;
    TagSet *overflow_tags;
    double *bounds;
    uint32_t n_bounds; /* 0 if the kind has no buckets; of exponential ones, as many as their cells would need */
    uint32_t max_series, taken; /* taken: live series that count towards the limit */
    double ttl; /* 0 for none */
    Py_ssize_t max_value_length, max_key_length, max_tags;
    Shared *shared;      /* owned; NULL for private memory */
    Entry entry;         /* in it; none until there was space for it */
    struct SlotRecord *reserved; /* of the overflow series, held there; NULL where it is not (yet) */
    Cell *empty;         /* the cells of all its dormant series; NULL for private memory */
    uint64_t seen_born, seen_ended; /* the counts of the entry that the table was last synced to */
    Totals totals;       /* where each process has a value of its own */
    User user;           /* of the shared memory */
    Pointers exemplars;  /* of its series (exemplar.h) */
    Series *closed;      /* what family_find_open() found last, and did not return; or NULL */
    char asks;           /* 1 if its registry is asked for exemplars: each series is then ASKING where it would be LIVE */
    char has_system_clock; /* 1 if the registry's clock is time.time(), which is read without a call */
    char registered, has_buckets, is_exponential;
    char is_undecided; /* 1 for a gauge in shared memory, until it is moved */
    char has_lived; /* 1 once a series was live: from then on, a family without any is exported as nothing, not as 0 */
    PyObject *options, *policy, *hooks, *description;
    PyObject *name, *kind, *unit, *bounds_tuple;
    PyObject *tag_keys, *disallowed_keys; /* tuples; tag_keys is None if no keys are declared */
    PyObject *leaving;                    /* a list: whom to tell of a series that is removed by hand */
    PyObject *weaklist;
} Family;

/* The cells of a series with buckets: a count for each, and these. */
#define SUM(family) ((family)->n_bounds + 1)
#define MIN(family) ((family)->n_bounds + 2)
#define MAX(family) ((family)->n_bounds + 3)

/* Tags as they were given in a call. */
typedef struct {
    PyObject *const *keys;
    PyObject *const *values;
    Py_ssize_t size;
} Tags;

/* Return the live series with these tags added to those of `base` if there is one, without running any Python code.
 * NULL, without an exception, if there is none or only the slow path can find it. Borrowed.
 * (The tags are separate arguments: as a struct they would go through memory, which costs more than the lookup.) */
Series *family_find_live(Family *family, const Series *base, PyObject *const *keys, PyObject *const *values, Py_ssize_t size);

/* The same, for a record that goes straight to the cells: NULL where is_open() is 0. What was found then is `family->closed`, which
 * is valid until other code runs. */
Series *family_find_open(Family *family, const Series *base, PyObject *const *keys, PyObject *const *values, Py_ssize_t size);

/* Return 1 for the overflow series: it takes no more tags, and gets every record that no other series can take. */
static inline int
is_overflow(const Family *family, const Series *series)
{
    return series->tags == family->overflow_tags && series != family->root;
}

/* Return the instrument for the series with the tags of `base` and those in a dict. A new one is dormant. */
struct Instrument *family_find(Family *family, const Series *base, PyObject *tags);

/* The same, for tags as they were given. */
struct Instrument *family_find_given(Family *family, const Series *base, Tags tags);

/* Wake the series of an instrument that a user names, and return the live one's; or the instrument itself where its series may
 * not live. Steals; NULL passes on. */
struct Instrument *family_named(Family *family, struct Instrument *instrument_steal);

/* Return the instrument that a record to `instrument` belongs to, whose series is live: itself, or that of the overflow series.
 * NULL without an exception if the record is rejected. A new reference. */
struct Instrument *family_wake(Family *family, struct Instrument *instrument);

/* Return the series with these tags, in the table from now on; NULL with an exception. A new one is dormant, and nobody holds
 * it: the caller makes its instrument before anything else can run. */
Series *family_series(Family *family, TagSet *tags);

/* A mark that no series has: it is taken for changed when it is looked at next. */
#define UNMARKED (-1.0)

/* Return a number that differs after any record; of a gauge without a ttl, after any change. */
double family_mark(const Family *family, const Series *series);

/* Return 1 if the series of a family are gauges that expire, and so have a second cell. */
static inline int
has_gauges_that_expire(const Family *family)
{
    return family->instrument_type == family->state->expiring_gauge_type;
}

/* Whether nothing was recorded between two marks. NaN is not equal to itself. */
static inline int
is_same_mark(double mark, double other)
{
    return mark == other || (Py_IS_NAN(mark) && Py_IS_NAN(other));
}

/* Read a clock of the registry, "now" or "uptime": 0, or -1 with an exception. */
int family_now(Family *family, const char *clock, double *now);

/* Make a series dormant in this process alone. */
void family_leave(Family *family, Series *series);

/* The same, and forget it if nobody holds it. */
void family_lose(Family *family, Series *series);

/* Make cells those of an empty series. */
void family_init_cells(const Family *family, Cell *cells);

/* Free what cells of private memory keep elsewhere. */
void family_free_cells(const Family *family, Series *series);

/* Make a new or lost series one with empty cells. */
void family_empty(const Family *family, Series *series);

/* Have a series, and the instrument that holds it, use these cells. */
void family_point_to(Series *series, Cell *cells);

/* Called when the holder of a series is freed. */
void family_release(Family *family, Series *series);

extern PyType_Spec family_spec;

#endif
