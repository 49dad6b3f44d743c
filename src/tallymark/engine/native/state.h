/* What the module keeps for one interpreter: its types, what it borrows from Python, and its tables. */
#ifndef TALLYMARK_STATE_H
#define TALLYMARK_STATE_H

#include "shape.h"

#ifndef MAX_SPARES
#define MAX_SPARES 64 /* 1 for sanitizers, which cannot see a use of an object that is kept for later */
#endif

typedef struct State {
    PyTypeObject *tagset_type, *family_type, *instrument_type, *timing_type, *moment_type, *timed_type;
    PyTypeObject *counter_type, *gauge_type, *histogram_type, *timer_type, *operation_recorder_type, *shared_type;
    /* From Python: what only slow paths use. */
    PyObject *policy, *columns, *histogram_snapshot, *checked_tags, *as_tags, *timed, *text_tags;
    PyObject *update_wrapper, *timedelta, *mapping, *keys_view, *values_view, *items_view;
    Shapes shapes;
    Pointers tagsets; /* all tag sets that exist: borrowed, each takes itself out */
    /* Objects kept for the next one of their size, so that a bound series or a `with` block costs no allocation. */
    PyObject *spare_instruments[MAX_SPARES];
    PyObject *spare_timings[MAX_SPARES];
    int n_spare_instruments, n_spare_timings;
} State;

State *state_of_type(PyTypeObject *type);

#endif
