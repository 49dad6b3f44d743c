/* Values of Python classes that never change (tallymark/frozen.py). */
#ifndef TALLYMARK_FROZEN_H
#define TALLYMARK_FROZEN_H

#include "state.h"

/* Return a value of a class with these fields, in the order of its `__match_args__`: a new reference, or NULL with an
 * exception. */
PyObject *frozen_make(const State *state, PyObject *cls, PyObject *const *fields, Py_ssize_t n);

/* The function of the module. */
PyObject *frozen(PyObject *module, PyObject *const *args, Py_ssize_t n);

#endif
