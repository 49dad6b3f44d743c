#define _GNU_SOURCE
#include "exposition.h"

#include <sys/mman.h>

#include "docs.h"

#define MANY_LINES 1024 /* from here on, they are written without the GIL */
#define LARGE (2 << 20) /* bytes: from here on, it is worth while to ask for pages */
#define STEP ((uintptr_t)1 << 20) /* bytes: the system makes other threads that map memory wait for so many */

/* The bytes */

/* Have space for `capacity` bytes: 0, or -1 with an exception. */
static int
resize(Exposition *self, size_t capacity)
{
    if (capacity > PY_SSIZE_T_MAX) {
        PyErr_NoMemory();
        return -1;
    }
    if (self->bytes == NULL) {
        self->size = 0;
        self->bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)capacity);
    }
    else {
        _PyBytes_Resize(&self->bytes, (Py_ssize_t)capacity);
    }
    if (self->bytes == NULL) {
        return -1;
    }
    return 0;
}

static size_t
capacity_of(const Exposition *self)
{
    return self->bytes == NULL ? 0 : (size_t)PyBytes_GET_SIZE(self->bytes);
}

/* Return 1 if no thread is writing; 0 with an exception. */
static int
is_free(const Exposition *self)
{
    if (self->is_busy) {
        PyErr_SetString(PyExc_RuntimeError, "another thread is writing to this exposition: have one for each thread");
    }
    return !self->is_busy;
}

/* Writing */

static void
release_gil(Writing *writing)
{
    writing->thread = PyEval_SaveThread();
}

static void
take_gil(Writing *writing)
{
    if (writing->thread != NULL) {
        PyEval_RestoreThread(writing->thread);
        writing->thread = NULL;
    }
}

/* Get memory from the system before it is written to: in large pages where it has them, and else many pages at once. To get each
 * when it is written to costs more than what is written there. All of this is a wish: its failure is no error. */
static void
get_pages(char *start, char *end)
{
    uintptr_t page = 4096, at = (uintptr_t)start & ~(page - 1), last = ((uintptr_t)end + page - 1) & ~(page - 1);
#ifdef MADV_HUGEPAGE
    madvise((void *)at, last - at, MADV_HUGEPAGE);
#endif
#ifdef MADV_POPULATE_WRITE
    for (; at < last && madvise((void *)at, last - at < STEP ? last - at : STEP, MADV_POPULATE_WRITE) == 0; at += STEP) {
    }
#endif
    (void)at, (void)last;
}

int
writing_grow(Writing *writing, size_t bytes)
{
    Exposition *to = writing->to;
    int was_released = writing->thread != NULL;
    size_t size = to->bytes == NULL ? 0 : (size_t)(writing->at - PyBytes_AS_STRING(to->bytes));
    take_gil(writing);
    if (resize(to, size + bytes + size / 8 + SLACK) < 0) {
        return 0;
    }
    writing->at = PyBytes_AS_STRING(to->bytes) + size;
    writing->end = PyBytes_AS_STRING(to->bytes) + capacity_of(to);
    if (was_released) {
        release_gil(writing);
        if (writing->end - writing->at >= LARGE) {
            get_pages(writing->at, writing->end);
        }
    }
    return 1;
}

int
writing_expect(Writing *writing, size_t bytes)
{
    for (uint32_t i = 0; i < writing->rows->n_portions; i++) {
        bytes += writing->lines * writing->labels[i]->size;
    }
    return writing_reserve(writing, bytes);
}

/* Find the labels of all portions: 1; 0 if some may be the same; -1 without memory. */
static int
find_labels(Writing *writing, Scheme scheme)
{
    uint32_t n = writing->rows->n_portions;
    for (uint32_t i = 0; i < n; i++) {
        if ((writing->labels[i] = labels_of(writing->rows->portions[i]->block, scheme)) == NULL) {
            return -1;
        }
    }
    return are_distinct(writing->labels, n, scheme);
}

/* Have the exposition, in which nobody else is writing now; without the GIL, if there are many rows. */
static void
begin(Writing *writing)
{
    Exposition *to = writing->to;
    writing->is_begun = 1;
    to->is_busy = 1;
    if (to->bytes != NULL) {
        writing->at = PyBytes_AS_STRING(to->bytes) + to->size;
        writing->end = PyBytes_AS_STRING(to->bytes) + capacity_of(to);
    }
    if (writing->rows->n >= MANY_LINES / writing->lines) {
        release_gil(writing);
    }
}

int
writing_begin(Writing *writing, Exposition *to, const Rows *rows, uint32_t lines, const char *scheme)
{
    *writing = (Writing){.to = to, .rows = rows, .lines = lines};
    static const char *const schemes[] = {[UNDERSCORES] = "underscores", [UTF_8] = "allow-utf-8", [AS_VALUES] = "values"};
    int which = 0;
    while (which <= AS_VALUES && strcmp(scheme, schemes[which]) != 0) {
        which++;
    }
    if (which > AS_VALUES) {
        return 0;
    }
    writing->labels = is_free(to) ? PyMem_Malloc((rows->n_portions + 1) * sizeof *writing->labels) : NULL;
    if (writing->labels == NULL) {
        return PyErr_Occurred() ? -1 : (PyErr_NoMemory(), -1);
    }
    begin(writing);
    int result = find_labels(writing, (Scheme)which);
    if (result < 0) {
        take_gil(writing);
        PyErr_NoMemory();
    }
    return result;
}

int
writing_begin_without_labels(Writing *writing, Exposition *to, const Rows *rows)
{
    *writing = (Writing){.to = to, .rows = rows, .lines = 1};
    if (!is_free(to)) {
        return -1;
    }
    begin(writing);
    return 1;
}

int
writing_has_le(const Writing *writing)
{
    int found = 0;
    for (uint32_t i = 0; i < writing->rows->n_portions; i++) {
        found = found || writing->labels[i]->has_le;
    }
    return found;
}

int
writing_end(Writing *writing, int result)
{
    take_gil(writing);
    if (result > 0 && writing->to->bytes != NULL) { /* else nothing was written at all */
        writing->to->size = (size_t)(writing->at - PyBytes_AS_STRING(writing->to->bytes));
    }
    if (writing->is_begun) {
        writing->to->is_busy = 0;
    }
    PyMem_Free(writing->labels);
    return result;
}

/* The type */

/* Append bytes: 0, or -1 with an exception. */
static int
append(Exposition *self, const char *bytes, size_t size)
{
    size_t needed = (self->bytes == NULL ? 0 : self->size) + size;
    if (!is_free(self) || (needed > capacity_of(self) && resize(self, needed + needed / 4 + 1024) < 0)) {
        return -1;
    }
    if (size > 0) {
        memcpy(PyBytes_AS_STRING(self->bytes) + self->size, bytes, size);
        self->size = needed;
    }
    return 0;
}

int
utf8_of(PyObject *text, Utf8 *utf8)
{
    Py_ssize_t size;
    *utf8 = (Utf8){.bytes = PyUnicode_AsUTF8AndSize(text, &size)};
    if (utf8->bytes != NULL) {
        utf8->size = (size_t)size;
        return 0;
    }
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) { /* it is not a lone surrogate */
        return -1;
    }
    PyErr_Clear();
    utf8->replaced = PyUnicode_AsEncodedString(text, "utf-8", "replace");
    if (utf8->replaced == NULL) {
        return -1;
    }
    utf8->bytes = PyBytes_AS_STRING(utf8->replaced);
    utf8->size = (size_t)PyBytes_GET_SIZE(utf8->replaced);
    return 0;
}

static PyObject *
exposition_write(PyObject *op, PyObject *text)
{
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "an exposition is of text, not of %.200s", Py_TYPE(text)->tp_name);
        return NULL;
    }
    Utf8 utf8;
    int result = utf8_of(text, &utf8) < 0 ? -1 : append((Exposition *)op, utf8.bytes, utf8.size);
    utf8_clear(&utf8);
    return result < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
exposition_bytes(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Exposition *self = (Exposition *)op;
    if (!is_free(self)) {
        return NULL;
    }
    if (self->bytes == NULL) {
        return PyBytes_FromStringAndSize(NULL, 0);
    }
    if (_PyBytes_Resize(&self->bytes, (Py_ssize_t)self->size) < 0) {
        return NULL;
    }
    PyObject *bytes = self->bytes;
    self->bytes = NULL;
    return bytes;
}

static PyObject *
exposition_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {NULL};
    return PyArg_ParseTupleAndKeywords(args, kwargs, "", names) ? type->tp_alloc(type, 0) : NULL;
}

static void
exposition_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    Py_XDECREF(((Exposition *)op)->bytes);
    PyMem_Free(((Exposition *)op)->edges);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef exposition_methods[] = {
    {"write", exposition_write, METH_O, DOC_Exposition_write},
    {"write_numbers", exposition_write_numbers, METH_VARARGS, DOC_Exposition_write_numbers},
    {"write_buckets", exposition_write_buckets, METH_VARARGS, DOC_Exposition_write_buckets},
    {"write_exponential_buckets", exposition_write_exponential_buckets, METH_VARARGS, DOC_Exposition_write_exponential_buckets},
    {"write_json_rows", exposition_write_json_rows, METH_VARARGS, DOC_Exposition_write_json_rows},
    {"write_json_total", exposition_write_json_total, METH_O, DOC_Exposition_write_json_total},
    {"bytes", exposition_bytes, METH_NOARGS, DOC_Exposition_bytes},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot exposition_slots[] = {
    {Py_tp_doc, DOC_Exposition},
    {Py_tp_new, exposition_new},
    {Py_tp_dealloc, exposition_dealloc},
    {Py_tp_methods, exposition_methods},
    {0, NULL},
};

PyType_Spec exposition_spec = {
    .name = "tallymark.engine.native.Exposition",
    .basicsize = sizeof(Exposition),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = exposition_slots,
};
