/* Rows of histograms as lines of an exposition: for each row its buckets, cumulative, and what follows them. */
#include "exposition.h"

#include "cell.h"
#include "lines.h"
#include "notes.h"

typedef struct {
    Word start;  /* of a line, before its labels */
    Word *edges; /* owned: of the buckets, with all that is between the labels and the number */
    uint32_t n;
    size_t most;
    Lines lines; /* that follow */
    Notes notes;
    int only_positive;
    Words words;
} Buckets;

static inline char *
write_buckets(char *at, Buckets *buckets, const char *labels, size_t length, const uint64_t *words, uint32_t row,
              uint64_t *count)
{
    const char *first = at;
    at = copy_word(at, buckets->start);
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
        *count += words[i];
        at = copy_word(at, buckets->edges[i]);
        at = write_count(at, *count);
        if (has_note(&buckets->notes, row)) {
            at = notes_write(at, &buckets->notes, row, i);
        }
        *at++ = '\n';
    }
    return at;
}

static char *
write_row(char *at, Buckets *buckets, const char *labels, size_t length, const uint64_t *words, uint32_t row, double created)
{
    uint64_t count = 0;
    double sum = double_of(words[buckets->n]);
    at = write_buckets(at, buckets, labels, length, words, row, &count);
    int has_sum = sum >= 0.0 || !buckets->only_positive;
    return lines_write(at, &buckets->lines, labels, length, &(Told){created, sum, count, has_sum});
}

/* About how many bytes the buckets of all rows take, beside their labels: as if all counts of a row were as long as the last. */
static size_t
buckets_expected(const Buckets *buckets, const Rows *rows)
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
    return digits + rows->n * (buckets->most - buckets->n * LONGEST_NUMBER);
}

static int
write_rows(Writing *writing, Buckets *buckets)
{
    const Rows *rows = writing->rows;
    size_t most = buckets->most + buckets->lines.most;
    if (!writing_expect(writing, buckets_expected(buckets, rows) + lines_expected(&buckets->lines, rows))) {
        return -1;
    }
    for (uint32_t i = 0; i < rows->n_portions; i++) {
        const Portion *portion = rows->portions[i];
        const char *labels = writing->labels[i]->text;
        for (uint32_t row = 0; row < portion->block->n; row++) {
            size_t length = label_next(&labels);
            size_t noted = notes_size(&buckets->notes, portion->start + row);
            if (!writing_reserve(writing, most + (buckets->n + buckets->lines.n) * length + noted)) {
                return -1;
            }
            const uint64_t *words = portion->words + (size_t)row * rows->width;
            double created = portion->block->created[row];
            writing->at = write_row(writing->at, buckets, labels, length, words, portion->start + row, created);
            labels += length;
        }
    }
    return 1;
}

/* Read the texts of the buckets: 1; -1 with an exception. */
static int
read_edges(PyObject *start, PyObject *edges, Buckets *buckets)
{
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(start, &length);
    size_t space = SPACE_OF(length);
    buckets->n = (uint32_t)PyTuple_GET_SIZE(edges);
    for (uint32_t i = 0; text != NULL && i < buckets->n; i++) {
        Py_ssize_t more;
        if (PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(edges, i), &more) == NULL) {
            return -1;
        }
        space += SPACE_OF(more);
    }
    if (text == NULL || words_init(&buckets->words, space) < 0) {
        return -1;
    }
    if ((buckets->edges = PyMem_Malloc((buckets->n + 1) * sizeof *buckets->edges)) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    buckets->start = words_add(&buckets->words, text, (size_t)length);
    for (uint32_t i = 0; i < buckets->n; i++) {
        const char *edge = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(edges, i), &length);
        buckets->edges[i] = words_add(&buckets->words, edge, (size_t)length);
        buckets->most += buckets->start.length + (size_t)length + LONGEST_NUMBER + 2; /* a comma and a newline */
    }
    return 1;
}

PyObject *
exposition_write_buckets(PyObject *op, PyObject *args)
{
    const State *state = state_of_type(Py_TYPE(op));
    PyObject *tags, *counts, *start, *edges, *triples, *tuples = NULL;
    const char *scheme;
    Buckets buckets = {0};
    if (!PyArg_ParseTuple(args, "OOUO!O!sp|O!:write_buckets", &tags, &counts, &start, &PyTuple_Type, &edges, &PyTuple_Type,
                          &triples, &scheme, &buckets.only_positive, &PyTuple_Type, &tuples)) {
        return NULL;
    }
    Writing writing;
    const Rows *rows = rows_of_column(state, tags, TAGS);
    int is_known = rows != NULL && rows_of_column(state, counts, BUCKET_COUNTS) == rows
                   && PyTuple_GET_SIZE(edges) == (Py_ssize_t)rows->n_bounds + 1;
    int result = is_known ? lines_read(state, rows, triples, &buckets.lines) : 0;
    result = result > 0 ? notes_read(tuples, &buckets.notes) : result;
    result = result > 0 ? read_edges(start, edges, &buckets) : result;
    if (result > 0) {
        result = writing_begin(&writing, (Exposition *)op, rows, buckets.n + buckets.lines.n, scheme);
        if (result > 0) {
            result = writing_has_le(&writing) ? 0 : write_rows(&writing, &buckets);
        }
        result = writing_end(&writing, result);
    }
    words_clear(&buckets.words);
    words_clear(&buckets.lines.words);
    notes_clear(&buckets.notes);
    PyMem_Free(buckets.edges);
    return result < 0 ? NULL : PyBool_FromLong(result);
}
