/* Tags as fields of protobuf messages, for exporters. */
#ifndef TALLYMARK_TAG_FIELDS_H
#define TALLYMARK_TAG_FIELDS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* What `tallymark.engine.reference.tag_fields` describes: a pair, or NULL with an exception. */
PyObject *tag_fields(PyObject *module, PyObject *const *args, Py_ssize_t nargs);

#endif
