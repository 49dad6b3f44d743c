#define PY_SSIZE_T_CLEAN
#include "number_lines.h"

#include <math.h>
#include <string.h>

#include "number_text.h"

/* Bytes that all lines have, in UTF-8: of texts that live as long as the call. */
typedef struct {
    const char *bytes;
    Py_ssize_t size;
} Part;

enum { START, BETWEEN, END, N_PARTS };

/* The most bytes that a text takes in UTF-8: as many for each character as one of its kind takes at most. */
static Py_ssize_t
most_bytes(PyObject *text)
{
    Py_ssize_t of_one = PyUnicode_IS_ASCII(text) ? 1 : (Py_ssize_t)PyUnicode_KIND(text) + (PyUnicode_KIND(text) < 4);
    return PyUnicode_GET_LENGTH(text) * of_one;
}

/* Return the most bytes that all lines take; -1 if a value is no float; -2 with an exception. */
static Py_ssize_t
most_of_all(PyObject *texts, PyObject *values, const Part *parts)
{
    Py_ssize_t n = PyTuple_GET_SIZE(texts), most = 2 * LONGEST_NUMBER; /* which to write the last number needs */
    int are_floats = 1;
    Py_ssize_t each = parts[START].size + parts[BETWEEN].size + parts[END].size + LONGEST_NUMBER;
    if (n != PyTuple_GET_SIZE(values)) {
        PyErr_Format(PyExc_ValueError, "there are %zd texts and %zd values", n, PyTuple_GET_SIZE(values));
        return -2;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *text = PyTuple_GET_ITEM(texts, i);
        if (!PyUnicode_Check(text)) {
            PyErr_Format(PyExc_TypeError, "a line has a text, not a value of type %.200s", Py_TYPE(text)->tp_name);
            return -2;
        }
        are_floats = are_floats && PyFloat_CheckExact(PyTuple_GET_ITEM(values, i));
        Py_ssize_t more = most_bytes(text);
        if (more > PY_SSIZE_T_MAX - most - each) {
            PyErr_NoMemory();
            return -2;
        }
        most += more + each;
    }
    return are_floats ? most : -1;
}

static char *
write_part(char *at, const Part *part)
{
    memcpy(at, part->bytes, (size_t)part->size);
    return at + part->size;
}

/* Where the text ends; NULL with an exception. What UTF-8 is made of a text is not kept with it. */
static char *
write_utf8(char *at, PyObject *text)
{
    if (PyUnicode_IS_ASCII(text)) {
        return write_part(at, &(Part){PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text)});
    }
    PyObject *bytes = PyUnicode_AsUTF8String(text);
    if (bytes == NULL) {
        return NULL;
    }
    at = write_part(at, &(Part){PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes)});
    Py_DECREF(bytes);
    return at;
}

/* Write the lines of all finite values, and count them: where they end, or NULL with an exception. */
static char *
write_lines(char *at, PyObject *texts, PyObject *values, const Part *parts, Py_ssize_t *n_lines)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(texts); i++) {
        double value = PyFloat_AS_DOUBLE(PyTuple_GET_ITEM(values, i));
        if (!isfinite(value)) {
            continue;
        }
        at = write_utf8(write_part(at, &parts[START]), PyTuple_GET_ITEM(texts, i));
        if (at == NULL) {
            return NULL;
        }
        at = write_part(write_double(write_part(at, &parts[BETWEEN]), value), &parts[END]);
        (*n_lines)++;
    }
    return at;
}

static PyObject *
lines_of(PyObject *texts, PyObject *values, const Part *parts)
{
    Py_ssize_t n_lines = 0, most = most_of_all(texts, values, parts);
    if (most < 0) {
        return most == -1 ? Py_NewRef(Py_None) : NULL;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, most);
    if (bytes == NULL) {
        return NULL;
    }
    char *end = write_lines(PyBytes_AS_STRING(bytes), texts, values, parts, &n_lines);
    if (end == NULL) {
        Py_DECREF(bytes);
        return NULL;
    }
    return _PyBytes_Resize(&bytes, end - PyBytes_AS_STRING(bytes)) < 0 ? NULL : Py_BuildValue("Nn", bytes, n_lines);
}

PyObject *
number_lines(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    Part parts[N_PARTS];
    if (nargs != 2 + N_PARTS) {
        PyErr_Format(PyExc_TypeError, "number_lines() takes exactly 5 arguments (%zd given)", nargs);
        return NULL;
    }
    for (int i = 0; i < N_PARTS; i++) {
        if (!PyUnicode_Check(args[2 + i])) {
            PyErr_Format(PyExc_TypeError, "a line has a text, not a value of type %.200s", Py_TYPE(args[2 + i])->tp_name);
            return NULL;
        }
        if ((parts[i].bytes = PyUnicode_AsUTF8AndSize(args[2 + i], &parts[i].size)) == NULL) {
            return NULL;
        }
    }
    PyObject *texts = PySequence_Tuple(args[0]); /* which nobody changes meanwhile */
    PyObject *values = texts == NULL ? NULL : PySequence_Tuple(args[1]);
    PyObject *result = values == NULL ? NULL : lines_of(texts, values, parts);
    Py_XDECREF(texts);
    Py_XDECREF(values);
    return result;
}
