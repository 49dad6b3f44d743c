/* Lines of a text and a number. */
#ifndef TALLYMARK_NUMBER_LINES_H
#define TALLYMARK_NUMBER_LINES_H

#include <Python.h>

/* The module's function `number_lines`: as the reference engine documents it. */
PyObject *number_lines(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
