/* A family: all series that share one metric name and kind; the rules for which series may enter its table. */
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
    Arena series, cells; /* records are taken and given back in pairs, so a series and its cells have the same number */
    Series *root;
    TagSet *overflow_tags;
    double *bounds;
    uint32_t n_bounds; /* 0 if the kind has no buckets */
    uint32_t max_series, taken; /* taken: live series that count towards the limit */
    double ttl; /* 0 for none */
    Py_ssize_t max_value_length, max_key_length, max_tags;
    Shared *shared;      /* owned; NULL for private memory */
    struct Slot *reserved; /* of the overflow series, held there; NULL where it is not (yet) */
    SharedFamily *entry; /* in it; NULL until there was space for it */
    uint64_t seen;       /* the version of the entry that the table was last synced to */
    User user;           /* of the shared memory */
    char registered, has_buckets;
    PyObject *options, *policy, *hooks, *description;
    PyObject *name, *kind, *unit, *bounds_tuple;
    PyObject *tag_keys, *disallowed_keys; /* tuples; tag_keys is None if no keys are declared */
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

/* Return a number that differs after any record. */
double family_mark(const Family *family, const Series *series);

/* Whether nothing was recorded between two marks. NaN is not equal to itself. */
static inline int
is_same_mark(double mark, double other)
{
    return mark == other || (Py_IS_NAN(mark) && Py_IS_NAN(other));
}

/* Read a clock of the registry, "now" or "uptime": 0, or -1 with an exception. */
int family_now(Family *family, const char *clock, double *now);

/* Make a series dormant in this process alone, and forget it if nobody holds it. */
void family_lose(Family *family, Series *series);

/* The same, in shared memory too: 1 if it went. In shared memory, it stays if another process changed it meanwhile. */
int family_drop(Family *family, Series *series);

/* Make cells those of an empty series. */
void family_init_cells(const Family *family, Cell *cells);

/* Called when the holder of a series is freed. */
void family_let_go(Family *family, Series *series);

extern PyType_Spec family_spec;

#endif
