/* What the module keeps for one interpreter: its types, what it borrows from Python, and its tables. */
#ifndef TALLYMARK_STATE_H
#define TALLYMARK_STATE_H

#include "shape.h"

#ifndef MAX_SPARES
#define MAX_SPARES 64 /* 1 for sanitizers, which cannot see a use of an object that is kept for later */
#endif

/* What slow paths use from Python, imported on first use: importing all of it would double the cost of `import tallymark`. */
enum {
    POLICY, COLUMNS, WITH_EXEMPLARS, LABELS_TEXT, HISTOGRAM_SNAPSHOT, EXPONENTIAL_SNAPSHOT, CHECKED_TAGS, TEXT_TAGS, DESCRIBE, TIMED,
    IN_PROGRESS, EXCEPTION_COUNT, TAG_FIELDS, UPDATE_WRAPPER, TIMEDELTA, NOT_A_NUMBER, MAPPING, SEQUENCE, KEYS_VIEW,
    VALUES_VIEW, ITEMS_VIEW, N_BORROWED
};

typedef struct State {
    PyTypeObject *tagset_type, *family_type, *instrument_type, *timing_type, *moment_type, *timed_type;
    PyTypeObject *counter_type, *gauge_type, *histogram_type, *timer_type, *operation_recorder_type, *shared_type;
    PyTypeObject *column_type, *exposition_type;
    PyTypeObject *expiring_gauge_type, *undecided_gauge_type; /* subtypes: of gauges with a ttl; of those in shared memory at first */
    PyObject *borrowed[N_BORROWED]; /* NULL until it is first used */
    PyObject *match_args;           /* the name of that attribute */
    Shapes shapes;
    struct TagSet *last_root_tags, *last_overflow_tags; /* of the family made last: borrowed, NULL when one of them is freed */
    Pointers tagsets; /* all tag sets that exist: borrowed, each removes itself */
    struct TagSet **unsettled; /* owned: see tagset_release() */
    size_t n_unsettled, unsettled_capacity;
    /* Objects kept for the next one of their size, so that a bound series or a `with` block costs no allocation. */
    PyObject *spare_instruments[MAX_SPARES];
    PyObject *spare_timings[MAX_SPARES];
    int n_spare_instruments, n_spare_timings;
} State;

State *state_of_type(PyTypeObject *type);

/* Return one of them, imported on first use; a borrowed reference, or NULL with an exception. */
PyObject *state_import(State *state, int which);

static inline PyObject *
borrowed(State *state, int which)
{
    return state->borrowed[which] != NULL ? state->borrowed[which] : state_import(state, which);
}

#endif
