/* What was recorded between two readings of a family with buckets. It is worked out row by row when somebody asks for it, so that
 * it takes no memory of its own: it holds both readings. As `tallymark.metric.delta_buckets`, which tells the rules. */
#ifndef TALLYMARK_DIFFERENCE_H
#define TALLYMARK_DIFFERENCE_H

#include "cell.h"
#include "exponential_rows.h"
#include "matching.h"

typedef struct Difference {
    uint32_t references;
    Rows *earlier, *later; /* owned; of the same family, or of one as it */
    uint32_t *matches;     /* owned: see rows_match() */
    double bounds[];       /* of explicit buckets */
} Difference;

/* What a row tells of its observations; the extremes are NaN where there is none. */
typedef struct {
    double sum, least, most;
} Summed;

/* A row with explicit bounds. */
typedef struct {
    const uint64_t *now, *then; /* of the buckets; `then` is NULL where nothing was before, `now` where nothing was observed since */
    Summed summed;
} Bounded;

/* A row with exponential buckets. */
typedef struct {
    uint32_t epoch;
    uint64_t zeros;
    Side above, below;
    Summed summed;
} Spread;

/* Read a row of a portion, or what was added to it since the earlier reading if there is a difference. */
void bounded_read(const Rows *rows, const Difference *difference, const Portion *portion, uint32_t row, Bounded *found);
void spread_read(const Rows *rows, const Difference *difference, const Portion *portion, uint32_t row, Space *space, Spread *found);

static inline uint64_t
bounded_count(const Bounded *found, uint32_t bucket)
{
    return found->now[bucket] - (found->then == NULL ? 0 : found->then[bucket]);
}

/* Return how far a number moved: not at all, from an infinity to the same one. To add 0 makes 0 of -0. */
static inline double
moved(double now, double then)
{
    double by = now - then;
    return by == by ? by + 0.0 : now == then || (now != now && then != then) ? 0.0 : by;
}

/* Return the words that the series of a row had in the earlier reading, and the portion that they are in; NULL if it was not there. */
const uint64_t *words_before(const Difference *difference, const Portion *portion, uint32_t row, const Portion **before);

/* Read what follows the buckets among the words of a row. */
Summed summed_of(const Rows *rows, const uint64_t *words);

static inline Difference *
difference_retain(Difference *difference)
{
    if (difference != NULL) {
        difference->references++;
    }
    return difference;
}

/* NULL is none. This lets other threads run, if there are many rows. */
void difference_release(Difference *difference, State *state);

/* Return 1 if both are of the same readings. */
int differences_are_same(const Difference *a, const Difference *b);

/* Read the bounds of explicit buckets, a tuple: 1; 0 if they are no floats. */
int bounds_read(PyObject *bounds, double *found);

/* What `tallymark.engine.reference.difference` describes. */
PyObject *difference(PyObject *module, PyObject *args);

#endif
