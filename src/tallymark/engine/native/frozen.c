#include "frozen.h"

/* Return the names of the fields of a class, which must be so many; a new reference, or NULL with an exception. */
static PyObject *
names_of(const State *state, PyObject *cls, Py_ssize_t n)
{
    if (!PyType_Check(cls) || ((PyTypeObject *)cls)->tp_new == NULL) {
        PyErr_Format(PyExc_TypeError, "frozen() takes a class, not a %.200s", Py_TYPE(cls)->tp_name);
        return NULL;
    }
    PyObject *names = PyObject_GetAttr(cls, state->match_args);
    if (names != NULL && (!PyTuple_Check(names) || PyTuple_GET_SIZE(names) != n)) {
        PyErr_Format(PyExc_TypeError, "%.200s takes other fields than these %zd: %R", ((PyTypeObject *)cls)->tp_name, n, names);
        Py_CLEAR(names);
    }
    return names;
}

/* Set the fields of a new value, as object.__setattr__() does: 0, or -1 with an exception. */
static int
set_fields(PyObject *value, PyObject *names, PyObject *const *fields)
{
    if (PyType_Check(value)) { /* a class must know of what is set in it */
        PyErr_SetString(PyExc_TypeError, "frozen() sets the fields of a value, not those of a class");
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        if (PyObject_GenericSetAttr(value, PyTuple_GET_ITEM(names, i), fields[i]) < 0) {
            return -1;
        }
    }
    return 0;
}

PyObject *
frozen_make(const State *state, PyObject *cls, PyObject *const *fields, Py_ssize_t n)
{
    PyObject *names = names_of(state, cls, n), *none = names == NULL ? NULL : PyTuple_New(0);
    PyObject *value = none == NULL ? NULL : ((PyTypeObject *)cls)->tp_new((PyTypeObject *)cls, none, NULL);
    if (value != NULL && set_fields(value, names, fields) < 0) {
        Py_CLEAR(value);
    }
    Py_XDECREF(names);
    Py_XDECREF(none);
    return value;
}

PyObject *
frozen(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    if (n == 0) {
        PyErr_SetString(PyExc_TypeError, "frozen() takes a class and its fields");
        return NULL;
    }
    return frozen_make(PyModule_GetState(module), args[0], args + 1, n - 1);
}
