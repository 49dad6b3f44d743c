/* Samples a thread's stack of Python calls by a timer. */
#ifndef TALLYMARK_BENCH_SAMPLES_H
#define TALLYMARK_BENCH_SAMPLES_H

#include "frames.h"

#if CAN_READ_STACKS
PyObject *start_samples(PyObject *, PyObject *seconds);
PyObject *stop_samples(PyObject *, PyObject *);
#endif

#endif
