#include "difference.h"

#include "column.h"

/* Differences */

void
difference_release(Difference *difference, State *state)
{
    if (difference == NULL || --difference->references > 0) {
        return;
    }
    rows_release(difference->earlier, state);
    rows_release(difference->later, state);
    PyMem_Free(difference->matches);
    PyMem_Free(difference);
}

int
differences_are_same(const Difference *a, const Difference *b)
{
    return a == b || (a != NULL && b != NULL && a->earlier == b->earlier && a->later == b->later
                      && (a->later->is_exponential
                          || memcmp(a->bounds, b->bounds, a->later->n_bounds * sizeof *a->bounds) == 0));
}

/* A new one, without matches; NULL with an exception. */
static Difference *
difference_new(Rows *earlier, Rows *later, const double *bounds, size_t n_bounds)
{
    Difference *self = PyMem_Malloc(sizeof *self + n_bounds * sizeof *bounds);
    if (self == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    *self = (Difference){.references = 1, .earlier = rows_retain(earlier), .later = rows_retain(later)};
    memcpy(self->bounds, bounds, n_bounds * sizeof *bounds);
    return self;
}

/* Rows */

Summed
summed_of(const Rows *rows, const uint64_t *words)
{
    double least = double_of(words[MIN_WORD(rows)]), most = double_of(words[MAX_WORD(rows)]);
    int is_empty = least > most;
    return (Summed){double_of(words[SUM_WORD(rows)]), is_empty ? Py_NAN : least, is_empty ? Py_NAN : most};
}

const uint64_t *
words_before(const Difference *difference, const Portion *portion, uint32_t row, const Portion **before)
{
    const Rows *earlier = difference->earlier;
    uint32_t at = portion->start + row;
    if (difference->matches != NULL) {
        at = difference->matches[at];
    }
    if (at == NO_ROW) {
        return NULL;
    }
    *before = rows_find(earlier, at, &row);
    return (*before)->words + (size_t)row * earlier->width;
}

/* Return 1 if no bucket lost observations, with the first and the last that got some. */
static int
has_grown(const uint64_t *now, const uint64_t *then, uint32_t n, uint32_t *first, uint32_t *last)
{
    *first = n;
    *last = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (now[i] < then[i]) {
            return 0;
        }
        if (now[i] > then[i]) {
            *first = *first == n ? i : *first;
            *last = i;
        }
    }
    return 1;
}

void
bounded_read(const Rows *rows, const Difference *difference, const Portion *portion, uint32_t row, Bounded *found)
{
    const Portion *before;
    const uint64_t *now = portion->words + (size_t)row * rows->width;
    const uint64_t *then = difference == NULL ? NULL : words_before(difference, portion, row, &before);
    uint32_t n = rows->n_bounds + 1, first, last;
    if (then == NULL || !has_grown(now, then, n, &first, &last)) {
        *found = (Bounded){now, NULL, summed_of(rows, now)};
        return;
    }
    if (first == n) {
        *found = (Bounded){NULL, NULL, {0.0, Py_NAN, Py_NAN}};
        return;
    }
    *found = (Bounded){now, then, summed_of(rows, now)};
    Summed *summed = &found->summed;
    double low = first == 0 ? -HUGE_VAL : difference->bounds[first - 1];
    double high = last == n - 1 ? HUGE_VAL : difference->bounds[last];
    summed->sum = moved(summed->sum, double_of(then[SUM_WORD(rows)]));
    summed->least = summed->least > low ? summed->least : low;
    summed->most = summed->most < high ? summed->most : high;
}

/* From Python */

/* Return the rows of columns, if all are of one reading and none is a difference; NULL, without an exception, if not. */
static Rows *
rows_of_columns(const State *state, PyObject *columns, const int *kinds)
{
    Rows *rows = rows_of_column(state, PyTuple_GET_ITEM(columns, 0), kinds[0]);
    for (Py_ssize_t i = 1; rows != NULL && i < PyTuple_GET_SIZE(columns); i++) {
        rows = rows_of_column(state, PyTuple_GET_ITEM(columns, i), kinds[i]) == rows ? rows : NULL;
    }
    return rows;
}

/* Return columns of all that is read of a difference, in a tuple; NULL with an exception. */
static PyObject *
columns_of_difference(State *state, Difference *difference, const int *kinds, Py_ssize_t n)
{
    PyObject *columns = PyTuple_New(n);
    for (Py_ssize_t i = 0; columns != NULL && i < n; i++) {
        PyObject *column = column_of(state, difference->later, difference, kinds[i]);
        if (column == NULL) {
            Py_CLEAR(columns);
            break;
        }
        PyTuple_SET_ITEM(columns, i, column);
    }
    return columns;
}

int
bounds_read(PyObject *bounds, double *found)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(bounds); i++) {
        if (!PyFloat_Check(PyTuple_GET_ITEM(bounds, i))) {
            return 0;
        }
        found[i] = PyFloat_AS_DOUBLE(PyTuple_GET_ITEM(bounds, i));
    }
    return 1;
}

#define BESIDES 2 /* columns that are not of numbers: tags and times of creation, the first two */

PyObject *
difference(PyObject *module, PyObject *args)
{
    static const int explicit[] = {TAGS, CREATED, BUCKET_COUNTS, SUMS, MINS, MAXS};
    static const int exponential[] = {TAGS, CREATED, SCALES, ZERO_COUNTS, POSITIVES, NEGATIVES, SUMS, MINS, MAXS};
    State *state = PyModule_GetState(module);
    PyObject *before, *after, *bounds, *result = NULL;
    if (!PyArg_ParseTuple(args, "O!O!O!:difference", &PyTuple_Type, &before, &PyTuple_Type, &after, &PyTuple_Type, &bounds)) {
        return NULL;
    }
    int is_exponential = PyTuple_GET_SIZE(after) == Py_ARRAY_LENGTH(exponential);
    const int *kinds = is_exponential ? exponential : explicit;
    Py_ssize_t n = is_exponential ? Py_ARRAY_LENGTH(exponential) : Py_ARRAY_LENGTH(explicit);
    if (PyTuple_GET_SIZE(before) != n || PyTuple_GET_SIZE(after) != n) {
        Py_RETURN_NONE;
    }
    Rows *earlier = rows_of_columns(state, before, kinds), *later = rows_of_columns(state, after, kinds);
    size_t n_bounds = (size_t)PyTuple_GET_SIZE(bounds);
    if (earlier == NULL || later == NULL || earlier->n_bounds != later->n_bounds
        || n_bounds != (is_exponential ? 0 : later->n_bounds)) {
        Py_RETURN_NONE;
    }
    Difference *self = NULL;
    double *edges = PyMem_Malloc((n_bounds + 1) * sizeof *edges);
    if (edges == NULL) {
        return PyErr_NoMemory();
    }
    if (!bounds_read(bounds, edges)) {
        result = Py_NewRef(Py_None);
    }
    else if ((self = difference_new(earlier, later, edges, n_bounds)) != NULL
             && rows_match(earlier, later, &self->matches) == 0) {
        result = columns_of_difference(state, self, kinds + BESIDES, n - BESIDES);
    }
    PyMem_Free(edges);
    difference_release(self, state);
    return result;
}
