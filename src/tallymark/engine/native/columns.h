/* The reading of a family as columns. */
#ifndef TALLYMARK_COLUMNS_H
#define TALLYMARK_COLUMNS_H

#include <Python.h>

/* The method read() of a family. */
PyObject *family_read(PyObject *op, PyObject *ignored);

#endif
