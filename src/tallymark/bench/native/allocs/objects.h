/* The objects that a thread creates. */
#ifndef TALLYMARK_BENCH_OBJECTS_H
#define TALLYMARK_BENCH_OBJECTS_H

#include "counts.h"

#if CAN_TRACE_OBJECTS
PyObject *start_objects(PyObject *, PyObject *);
PyObject *stop_objects(PyObject *, PyObject *);
#endif

#endif
