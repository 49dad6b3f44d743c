#include "notes.h"

/* Read one: 1; 0 for a text that is no UTF-8; -1 with an exception. */
static int
read_note(PyObject *tuple, Note *note)
{
    PyObject *text;
    Py_ssize_t length;
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "a note is a tuple of a row, a position, a rank and a text");
        return -1;
    }
    if (!PyArg_ParseTuple(tuple, "IdIU", &note->row, &note->position, &note->rank, &text)) {
        return -1;
    }
    if ((note->text = PyUnicode_AsUTF8AndSize(text, &length)) == NULL) {
        int is_other = !PyErr_ExceptionMatches(PyExc_UnicodeEncodeError);
        if (!is_other) {
            PyErr_Clear();
        }
        return -is_other;
    }
    note->length = (size_t)length;
    return 1;
}

int
notes_read(PyObject *tuples, Notes *notes)
{
    Py_ssize_t n = tuples == NULL ? 0 : PyTuple_GET_SIZE(tuples);
    int result = 1;
    if (n == 0) {
        return 1;
    }
    if (n > UINT32_MAX) {
        return 0;
    }
    if ((notes->notes = PyMem_Calloc((size_t)n, sizeof *notes->notes)) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (; result > 0 && notes->n < n; notes->n++) {
        result = read_note(PyTuple_GET_ITEM(tuples, notes->n), &notes->notes[notes->n]);
    }
    return result;
}
