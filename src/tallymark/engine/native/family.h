/* A family: all series that share one metric name and kind; the rules for who may enter its table. */
#ifndef TALLYMARK_FAMILY_H
#define TALLYMARK_FAMILY_H

#include "table.h"

#include "arena.h"
#include "directory.h"

typedef struct Family {
    PyObject_HEAD
    State *state; /* borrowed: the type keeps the module */
    PyTypeObject *instrument_type;
    Table table;
    Arena series, cells; /* records are taken and given back in pairs, so that both have the same number */
    Series *root;
    TagSet *overflow_tags;
    double *bounds;
    uint32_t n_bounds; /* 0 where it does not have buckets */
    uint32_t max_series, taken; /* taken: live series that count towards the limit */
    double ttl; /* 0 for none */
    Py_ssize_t max_value_length, max_key_length, max_tags;
    Shared *shared;      /* owned; NULL for private memory */
    struct Slot *reserved; /* of the overflow series, held there; NULL where it is not (yet) */
    SharedFamily *place; /* in it; NULL where there was no room yet */
    uint64_t seen;       /* the version of it that the table is true to */
    User user;           /* of it */
    char registered, has_buckets;
    PyObject *options, *policy, *hooks, *description;
    PyObject *name, *kind, *unit, *bounds_tuple;
    PyObject *tag_keys, *disallowed_keys; /* tuples; None where no keys are declared */
    PyObject *weaklist;
} Family;

/* A series' cells of a kind with buckets: a count for each, and these. */
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
 * NULL, without an exception, where there is none or it takes the slow path to tell. Borrowed.
 * (The tags come one by one: as a struct they would go through memory, which costs a record more than the lookup.) */
Series *family_find_live(Family *family, const Series *base, PyObject *const *keys, PyObject *const *values, Py_ssize_t size);

/* Whether a series takes no more tags, and every record that has no room elsewhere. */
static inline int
is_overflow(const Family *family, const Series *series)
{
    return series->tags == family->overflow_tags && series != family->root;
}

/* Return the instrument for the series with the tags of `base` and those in a dict. A new one is dormant. */
struct Instrument *family_find(Family *family, const Series *base, PyObject *tags);

/* The same from tags as they were given. */
struct Instrument *family_find_given(Family *family, const Series *base, Tags tags);

/* Return the live instrument that stands for one that a user names, or itself where it may not live. Steals; NULL passes on. */
struct Instrument *family_named(Family *family, struct Instrument *instrument_steal);

/* Return the instrument that a record to `instrument` belongs to, whose series is live: itself, or that of the overflow series.
 * NULL without an exception where the record is rejected. A new reference. */
struct Instrument *family_wake(Family *family, struct Instrument *instrument);

/* Return the series with these tags, known from now on; NULL with an exception. A new one is dormant, and nobody holds it:
 * the caller makes its instrument before anything else can run. */
Series *family_series(Family *family, TagSet *tags);

/* What differs after any record. */
double family_mark(const Family *family, const Series *series);

/* Whether nothing was recorded between two marks. NaN is not equal to itself. */
static inline int
is_same_mark(double mark, double other)
{
    return mark == other || (Py_IS_NAN(mark) && Py_IS_NAN(other));
}

/* Read a clock of the registry, "now" or "uptime": 0, or -1 with an exception. */
int family_now(Family *family, const char *clock, double *now);

/* Make a series dormant, and forget it if nobody holds it: here alone. */
void family_lose(Family *family, Series *series);

/* The same, wherever the series is: whether it went. In shared memory, it stays if another process changed it meanwhile. */
int family_drop(Family *family, Series *series);

/* Make cells those of an empty series. */
void family_init_cells(const Family *family, Cell *cells);

/* Called when the holder of a series goes. */
void family_let_go(Family *family, Series *series);

extern PyType_Spec family_spec;

#endif
