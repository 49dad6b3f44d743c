/* Tags as the lines of some format have them: text that is made when it is needed, and kept by nobody. */
#ifndef TALLYMARK_TAG_TEXTS_H
#define TALLYMARK_TAG_TEXTS_H

#include <Python.h>

/* The module's function `tag_texts`: as the reference engine documents it. */
PyObject *tag_texts(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
