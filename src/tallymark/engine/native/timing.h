/* A timing: a `with` block under a timer; and what makes such a block cost no allocation. */
#ifndef TALLYMARK_TIMING_H
#define TALLYMARK_TIMING_H

#include "instrument.h"

/* Return a timing for a timer, which is stolen; NULL passes on. */
PyObject *timing_of(Instrument *timer_steal);

PyObject *timer_record_seconds(
    Instrument *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, double seconds); /* timer.c */

/* Read seconds from a number or a timedelta, as number() does. */
int timer_seconds_of(Family *family, PyObject *duration, double *seconds); /* timer.c */

/* Put __enter__ and __exit__ into the type of timings: 0, or -1 with an exception. */
int timing_add_moments(State *state);

extern PyType_Spec timing_spec, moment_spec, timed_spec;

#endif
