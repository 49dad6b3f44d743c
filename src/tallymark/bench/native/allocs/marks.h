/* A thread's marks. */
#ifndef TALLYMARK_BENCH_MARKS_H
#define TALLYMARK_BENCH_MARKS_H

#include "counts.h"

PyObject *mark(PyObject *, PyObject *slot);
PyObject *between(PyObject *, PyObject *const *args, Py_ssize_t n_args);

#endif
