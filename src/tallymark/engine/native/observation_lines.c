#define PY_SSIZE_T_CLEAN
#include "observation_lines.h"

#include "column.h"
#include "plain_number.h"

#define ENOUGH 32768 /* bytes: so many are written in a fraction of a millisecond */
#define MOST_TEXT 65536 /* bytes: no datagram holds a longer name or longer tags */

typedef struct {
    const char *text;
    Py_ssize_t length;
} Text;

enum { ALONE, OF_TYPE, OF_NAME }; /* what observations that are in one line share */

/* How a dialect tells observations. */
typedef struct {
    Text name, kind; /* borrowed */
    int packs, tags_last, takes_negative;
    double factor;
    Py_ssize_t most; /* bytes of a line, if it has more than one value */
} Form;

typedef struct {
    PyObject *bytes; /* owned; longer than what is written */
    char *at, *end;
} Page;

/* One line, or several, while they are written. */
typedef struct {
    const Form *form;
    Text tags;
    char *start, *at; /* of the page; where the next text goes */
    Py_ssize_t room, size; /* for values in a line; what is taken of it, 0 before the first */
} Writer;

static inline char *
copy(char *at, Text text)
{
    memcpy(at, text.text, (size_t)text.length);
    return at + text.length;
}

static void
open_line(Writer *writer)
{
    char *at = writer->at;
    if (at != writer->start) {
        *at++ = '\n';
    }
    at = copy(at, writer->form->name);
    if (!writer->form->tags_last) {
        at = copy(at, writer->tags);
    }
    *at++ = ':';
    writer->at = at;
    writer->size = 0;
}

static void
close_line(Writer *writer, Text end)
{
    writer->at = copy(writer->at, end);
    if (writer->form->tags_last) {
        writer->at = copy(writer->at, writer->tags);
    }
}

/* Begin lines that all have this end. */
static void
begin_lines(Writer *writer, Text end)
{
    writer->room = writer->form->most - writer->form->name.length - writer->tags.length - end.length - 1;
    writer->size = 0;
}

/* Write a value to the line, or to a new one if there is no room: but at least one is in each. */
static void
add_value(Writer *writer, Text value, Text end)
{
    if (writer->size > 0 && writer->size + value.length > writer->room) {
        close_line(writer, end);
        writer->size = 0;
    }
    if (writer->size == 0) {
        open_line(writer);
    }
    else {
        *writer->at++ = ':';
    }
    writer->at = copy(writer->at, value);
    writer->size += value.length + 1;
}

/* Return `|`, the type and the rate of a count, which are written to `space`. */
static Text
type_and_rate(const Form *form, uint64_t count, char *space)
{
    char *at = space;
    *at++ = '|';
    at = write_rate(copy(at, form->kind), count);
    return (Text){space, at - space};
}

#define MOST_KIND 16
#define MOST_END (1 + MOST_KIND + LONGEST_RATE)

static void
write_alone(Writer *writer, const Observations *found)
{
    for (uint32_t i = 0; i < found->n; i++) {
        char space[MOST_END];
        open_line(writer);
        writer->at = write_plain(writer->at, found->low[i]);
        close_line(writer, type_and_rate(writer->form, found->counts[i], space));
    }
}

/* Values of one count share lines: in the order in which each count comes first. */
static void
write_of_type(Writer *writer, Observations *found)
{
    for (uint32_t i = 0; i < found->n; i++) {
        char space[MOST_END], number[LONGEST_PLAIN];
        uint64_t count = found->counts[i];
        if (count == 0) { /* it was written */
            continue;
        }
        Text end = type_and_rate(writer->form, count, space);
        begin_lines(writer, end);
        for (uint32_t j = i; j < found->n; j++) {
            if (found->counts[j] == count) {
                add_value(writer, (Text){number, write_plain(number, found->low[j]) - number}, end);
                found->counts[j] = 0;
            }
        }
        close_line(writer, end);
    }
}

static void
write_of_name(Writer *writer, const Observations *found)
{
    static const Text none = {"", 0};
    begin_lines(writer, none);
    for (uint32_t i = 0; i < found->n; i++) {
        char space[MOST_END], value[LONGEST_PLAIN + MOST_END];
        char *at = write_plain(value, found->low[i]);
        at = copy(at, type_and_rate(writer->form, found->counts[i], space));
        add_value(writer, (Text){value, at - value}, none);
    }
    close_line(writer, none);
}

/* Scale the values: 1; 0 if a server cannot be told one as it is, or not how often it was observed. */
static int
scale(const Form *form, Observations *found)
{
    int is_told = 1;
    for (uint32_t i = 0; i < found->n; i++) {
        double value = found->low[i] *= form->factor;
        int is_finite = value - value == 0.0;
        is_told = is_told && is_finite && (value >= 0.0 || form->takes_negative) && found->counts[i] <= MOST_RATED;
    }
    return is_told;
}

/* Have space for so many bytes: 0, or -1 with an exception. */
static int
reserve(Page *page, size_t bytes)
{
    size_t size = page->bytes == NULL ? 0 : (size_t)(page->at - PyBytes_AS_STRING(page->bytes));
    if (page->bytes != NULL && (size_t)(page->end - page->at) >= bytes) {
        return 0;
    }
    if (page->bytes == NULL) {
        page->bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(ENOUGH + bytes));
    }
    else {
        _PyBytes_Resize(&page->bytes, (Py_ssize_t)(size + ENOUGH + bytes));
    }
    if (page->bytes == NULL) {
        return -1;
    }
    page->at = PyBytes_AS_STRING(page->bytes) + size;
    page->end = PyBytes_AS_STRING(page->bytes) + PyBytes_GET_SIZE(page->bytes);
    return 0;
}

/* Write the lines of a row: 1; 0 if only Python can write them; -1 with an exception. */
static int
write_row(Page *page, const Form *form, PyObject *text, Observations *found)
{
    Text tags;
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "the text of a series must be str, not %s", Py_TYPE(text)->tp_name);
        return -1;
    }
    if ((tags.text = PyUnicode_AsUTF8AndSize(text, &tags.length)) == NULL) {
        return -1;
    }
    if (tags.length > MOST_TEXT || !scale(form, found)) {
        return 0;
    }
    size_t line = (size_t)(form->name.length + tags.length) + 2 + LONGEST_PLAIN + MOST_END;
    if (reserve(page, found->n * line) < 0) {
        return -1;
    }
    Writer writer = {.form = form, .tags = tags, .start = PyBytes_AS_STRING(page->bytes), .at = page->at};
    switch (form->packs) {
    case OF_TYPE:
        write_of_type(&writer, found);
        break;
    case OF_NAME:
        write_of_name(&writer, found);
        break;
    default:
        write_alone(&writer, found);
        break;
    }
    page->at = writer.at;
    return 1;
}

/* What is written, of which rows. */
typedef struct {
    const Rows *rows;
    const Difference *difference;
    const double *bounds;
    Py_ssize_t first; /* row of the first text */
    PyObject *texts;
} Told;

/* Write the rows of the texts from `*at` on, and move it behind the last that was written: 0, or -1 with an exception. Here no
 * Python code runs, so that neither the texts nor the rows change. */
static int
write_rows(Page *page, const Form *form, const Told *told, Py_ssize_t *at)
{
    Observations found;
    for (; *at < PyList_GET_SIZE(told->texts); ++*at) {
        uint32_t row;
        const Portion *portion = rows_find(told->rows, (uint32_t)(told->first + *at), &row);
        if (page->bytes != NULL && page->at - PyBytes_AS_STRING(page->bytes) >= ENOUGH) {
            return 0;
        }
        int is_known = observations_of(told->rows, told->difference, told->bounds, portion, row, &found);
        int result = is_known && found.n > 0 ? write_row(page, form, PyList_GET_ITEM(told->texts, *at), &found) : is_known;
        if (result <= 0) {
            return result;
        }
    }
    return 0;
}

/* Return the first column, if all are of one reading, or of one difference; NULL, without an exception, if not. */
static const Column *
known_column(const State *state, PyObject *columns)
{
    static const int explicit[] = {BUCKET_COUNTS, SUMS, MINS, MAXS};
    static const int exponential[] = {SCALES, ZERO_COUNTS, POSITIVES, NEGATIVES, SUMS, MINS, MAXS};
    const Column *first = NULL;
    Py_ssize_t n = PyTuple_GET_SIZE(columns);
    const int *kinds = n == Py_ARRAY_LENGTH(explicit) ? explicit : n == Py_ARRAY_LENGTH(exponential) ? exponential : NULL;
    for (Py_ssize_t i = 0; kinds != NULL && i < n; i++) {
        const Column *column = (const Column *)PyTuple_GET_ITEM(columns, i);
        if (!Py_IS_TYPE((PyObject *)column, state->column_type) || column->which != kinds[i]) {
            return NULL;
        }
        first = first == NULL ? column : first;
        if (column->rows != first->rows || !differences_are_same(column->difference, first->difference)) {
            return NULL;
        }
    }
    return first;
}

/* Read bounds, if they are floats: owned; NULL, with an exception or without. */
static double *
bounds_of(PyObject *bounds)
{
    double *found = PyMem_Malloc(((size_t)PyTuple_GET_SIZE(bounds) + 1) * sizeof *found);
    if (found == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    if (!bounds_read(bounds, found)) {
        PyMem_Free(found);
        return NULL;
    }
    return found;
}

/* Read how a dialect tells observations: 0, or -1 with an exception. Only a tuple keeps its texts for as long as they are
 * needed. */
static int
form_read(PyObject *tuple, Form *form)
{
    const char *packs;
    if (!PyArg_ParseTuple(tuple, "s#s#sppdn;a form is two texts, what observations share, two truths, a factor and a size",
                          &form->name.text, &form->name.length, &form->kind.text, &form->kind.length, &packs,
                          &form->tags_last, &form->takes_negative, &form->factor, &form->most)) {
        return -1;
    }
    form->packs = strcmp(packs, "type") == 0 ? OF_TYPE : strcmp(packs, "name") == 0 ? OF_NAME : ALONE;
    return 0;
}

/* Write all that can be written here: a pair for Python, or NULL with an exception. */
static PyObject *
write_page(const Form *form, const Told *told, Py_ssize_t at)
{
    Page page = {0};
    int result = write_rows(&page, form, told, &at);
    if (result == 0 && page.bytes != NULL) {
        _PyBytes_Resize(&page.bytes, page.at - PyBytes_AS_STRING(page.bytes));
    }
    else if (result == 0) {
        page.bytes = PyBytes_FromStringAndSize(NULL, 0);
    }
    if (result < 0 || page.bytes == NULL) {
        Py_XDECREF(page.bytes);
        return NULL;
    }
    return Py_BuildValue("(Nn)", page.bytes, at);
}

PyObject *
observation_lines(PyObject *module, PyObject *args)
{
    const State *state = PyModule_GetState(module);
    PyObject *columns, *bounds, *tuple;
    Form form;
    Told told = {0};
    Py_ssize_t at;
    if (!PyArg_ParseTuple(args, "O!O!nO!nO!:observation_lines", &PyTuple_Type, &columns, &PyTuple_Type, &bounds, &told.first,
                          &PyList_Type, &told.texts, &at, &PyTuple_Type, &tuple)
        || form_read(tuple, &form) < 0) {
        return NULL;
    }
    const Column *column = known_column(state, columns);
    size_t n_bounds = (size_t)PyTuple_GET_SIZE(bounds);
    if (column == NULL || n_bounds != (column->rows->is_exponential ? 0 : column->rows->n_bounds) || form.kind.length > MOST_KIND
        || form.name.length > MOST_TEXT) {
        Py_RETURN_NONE;
    }
    if (at < 0 || told.first < 0 || told.first > column->rows->n || PyList_GET_SIZE(told.texts) > column->rows->n - told.first) {
        PyErr_SetString(PyExc_IndexError, "there are texts for rows that the columns do not have");
        return NULL;
    }
    double *edges = bounds_of(bounds);
    if (edges == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    told.rows = column->rows;
    told.difference = column->difference;
    told.bounds = edges;
    PyObject *result = write_page(&form, &told, at);
    PyMem_Free(edges);
    return result;
}
