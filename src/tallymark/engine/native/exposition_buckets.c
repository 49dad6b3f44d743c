/* Rows of histograms as lines of an exposition: for each row its buckets, cumulative, then its sum and count. */
#include "exposition.h"

#include "cell.h"
#include "column.h"
#include "number_text.h"

typedef struct {
    Word bucket, sum, count; /* the names, the first with what follows it */
    Word *edges;             /* owned: of the buckets, with what is around them */
    uint32_t n;
    size_t most;             /* bytes of a row beside its labels */
    Words words;
} Buckets;

static inline char *
write_braced(char *at, Word name, const char *labels, size_t length)
{
    at = copy_word(at, name);
    if (length > 0) {
        *at++ = '{';
        at = copy_text(at, labels, length);
        *at++ = '}';
    }
    *at++ = ' ';
    return at;
}

static char *
write_row(char *at, const Buckets *buckets, const char *labels, size_t length, const uint64_t *words)
{
    const char *first = at;
    uint64_t count = 0;
    at = copy_word(at, buckets->bucket);
    if (length > 0) {
        at = copy_text(at, labels, length);
        *at++ = ',';
    }
    size_t start = (size_t)(at - first); /* what all buckets begin with */
    for (uint32_t i = 0; i < buckets->n; i++) {
        if (i > 0) {
            memcpy(at, first, start);
            at += start;
        }
        count += words[i];
        at = copy_word(at, buckets->edges[i]);
        at = write_count(at, count);
        *at++ = '\n';
    }
    at = write_braced(at, buckets->sum, labels, length);
    at = write_double(at, double_of(words[buckets->n]));
    *at++ = '\n';
    at = write_braced(at, buckets->count, labels, length);
    at = write_count(at, count);
    *at++ = '\n';
    return at;
}

/* About how many bytes all rows take, beside their labels: as if all counts of a row were as long as the last. */
static size_t
expected_bytes(const Rows *rows, const Buckets *buckets)
{
    size_t digits = 0;
    for (uint32_t i = 0; i < rows->n_portions; i++) {
        for (uint32_t row = 0; row < rows->portions[i]->block->n; row++) {
            const uint64_t *words = rows->portions[i]->words + (size_t)row * rows->width;
            uint64_t count = 0;
            for (uint32_t j = 0; j < buckets->n; j++) {
                count += words[j];
            }
            digits += (buckets->n + 1) * count_digits(count);
        }
    }
    return digits + rows->n * (buckets->most - (buckets->n + 1) * LONGEST_NUMBER);
}

static int
write_rows(Writing *writing, const Buckets *buckets)
{
    const Rows *rows = writing->rows;
    if (!writing_expect(writing, expected_bytes(rows, buckets))) {
        return -1;
    }
    for (uint32_t i = 0; i < rows->n_portions; i++) {
        const Portion *portion = rows->portions[i];
        const char *labels = writing->labels[i]->text;
        for (uint32_t row = 0; row < portion->block->n; row++) {
            size_t length = label_next(&labels);
            if (!writing_reserve(writing, buckets->most + (buckets->n + 2) * (length + 1))) {
                return -1;
            }
            writing->at = write_row(writing->at, buckets, labels, length, portion->words + (size_t)row * rows->width);
            labels += length;
        }
    }
    return 1;
}

/* Histograms have a label of their own, so Python code gives a tag of that name another one. */
static int
has_le(const Writing *writing)
{
    int found = 0;
    for (uint32_t i = 0; i < writing->rows->n_portions; i++) {
        found = found || writing->labels[i]->has_le;
    }
    return found;
}

/* Read the texts that all rows have: 1; -1 with an exception. `edges` are of as many buckets as there are. */
static int
read_texts(PyObject *name, PyObject *edges, Buckets *buckets)
{
    Py_ssize_t length, more;
    const char *text = PyUnicode_AsUTF8AndSize(name, &length);
    buckets->n = (uint32_t)PyTuple_GET_SIZE(edges);
    size_t space = 3 * SPACE_OF(length + 8);
    for (uint32_t i = 0; text != NULL && i < buckets->n; i++) {
        if (PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(edges, i), &more) == NULL) {
            return -1;
        }
        space += SPACE_OF(more + 8);
    }
    if (text == NULL || words_init(&buckets->words, space) < 0) {
        return -1;
    }
    if ((buckets->edges = PyMem_Malloc((buckets->n + 1) * sizeof *buckets->edges)) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    buckets->bucket = words_add(&buckets->words, text, (size_t)length, "_bucket{");
    buckets->sum = words_add(&buckets->words, text, (size_t)length, "_sum");
    buckets->count = words_add(&buckets->words, text, (size_t)length, "_count");
    for (uint32_t i = 0; i < buckets->n; i++) {
        const char *edge = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(edges, i), &more);
        buckets->edges[i] = words_add(&buckets->words, edge, (size_t)more, "");
        buckets->most += buckets->bucket.length + (size_t)more + LONGEST_NUMBER + 1;
    }
    buckets->most += buckets->sum.length + buckets->count.length + 2 * (LONGEST_NUMBER + 4);
    return 1;
}

PyObject *
exposition_write_buckets(PyObject *op, PyObject *args)
{
    const State *state = state_of_type(Py_TYPE(op));
    PyObject *tags, *counts, *sums, *name, *edges;
    if (!PyArg_ParseTuple(args, "OOOUO!:write_buckets", &tags, &counts, &sums, &name, &PyTuple_Type, &edges)
        || !exposition_is_free((Exposition *)op)) {
        return NULL;
    }
    Writing writing;
    Buckets buckets = {0};
    const Rows *rows = rows_of_column(state, tags, TAGS);
    int is_known = rows != NULL && rows_of_column(state, counts, BUCKET_COUNTS) == rows && rows_of_column(state, sums, SUMS) == rows
                   && PyTuple_GET_SIZE(edges) == (Py_ssize_t)rows->n_bounds + 1;
    int result = is_known ? read_texts(name, edges, &buckets) : 0;
    if (result > 0) {
        result = writing_begin(&writing, (Exposition *)op, rows, buckets.n + 2);
        if (result > 0) {
            result = has_le(&writing) ? 0 : write_rows(&writing, &buckets);
        }
        result = writing_end(&writing, result);
    }
    words_clear(&buckets.words);
    PyMem_Free(buckets.edges);
    return result < 0 ? NULL : PyBool_FromLong(result);
}
