/* The methods of a Shared that are in other files than shared.c. */
#ifndef TALLYMARK_SHARED_METHODS_H
#define TALLYMARK_SHARED_METHODS_H

#include <Python.h>

#include "cell.h"

/* lock.c, places.c, member.c */
PyObject *shared_claim(PyObject *type, PyObject *fd);
PyObject *shared_processes(PyObject *op, PyObject *ignored);
PyObject *shared_in_child(PyObject *op, PyObject *ignored);
PyObject *shared_open_again(PyObject *op, PyObject *ignored);
PyObject *shared_bury(PyObject *op, PyObject *ignored);

/* shared_methods.c */
PyObject *shared_families(PyObject *op, PyObject *ignored);
PyObject *shared_text(PyObject *op, PyObject *args);
PyObject *shared_series(PyObject *op, PyObject *args);
PyObject *shared_wait(PyObject *op, PyObject *ignored);
PyObject *shared_add_family(PyObject *op, PyObject *args);
PyObject *shared_register(PyObject *op, PyObject *args);
PyObject *shared_unregister(PyObject *op, PyObject *args);

/* negatives.c */
PyObject *shared_negatives(PyObject *op, PyObject *args);

/* Return cells as a tuple of ints, or NULL with an exception. */
PyObject *tuple_of_cells(const Cell *from, uint32_t n);

#endif
