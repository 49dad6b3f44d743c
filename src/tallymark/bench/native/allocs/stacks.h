/* Charges what is requested, and the objects that are created, to the stacks of Python calls that ask for them. */
#ifndef TALLYMARK_BENCH_STACKS_H
#define TALLYMARK_BENCH_STACKS_H

#include "counts.h"
#include "frames.h"

#if CAN_READ_STACKS

/* For a thread that has started a recording: `thread.charged` is not 0. These allocate nothing, and need no GIL. */
void charge_request(const Thread *t, int realloc, size_t size);
void charge_object(const Thread *t, PyTypeObject *type);

PyObject *start_stacks(PyObject *, PyObject *most);
PyObject *charge_stacks(PyObject *, PyObject *phase);
PyObject *read_stacks(PyObject *, PyObject *);
PyObject *stop_stacks(PyObject *, PyObject *);

#else

#define charge_request(t, realloc, size) ((void)0)
#define charge_object(t, type) ((void)0)

#endif
#endif
