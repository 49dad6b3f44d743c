/* Rows as JSON: a list for each row, of its place and its numbers. Of a histogram's row that changed, only the buckets that did. */
#include "exposition.h"

#include "cell.h"
#include "column.h"
#include "number_text.h"

#define AROUND 2 /* bytes of a row beside all numbers and commas: brackets */
#define AT_ONCE 8192 /* bytes that are asked for first: to grow row by row costs more than small families take to write */

/* Which rows are told, and what is written before the first and after the last. */
typedef struct {
    const Rows *before; /* NULL: all */
    uint32_t most;
    Utf8 start, end;
} Told;

/* The numbers of a row that are told, and that come first among its words: counts and sum, or the value. */
static uint32_t
told_words(const Rows *rows)
{
    return rows->has_buckets ? rows->n_bounds + 2 : 1;
}

static char *
write_json_double(char *at, double value)
{
    if (value != value) {
        memcpy(at, "null", 4);
        return at + 4;
    }
    int is_infinite = value - value != 0.0;
    if (is_infinite) {
        *at++ = '"';
    }
    at = write_double(at, value);
    if (is_infinite) {
        *at++ = '"';
    }
    return at;
}

/* Write the count and the sum of a histogram's row. */
static char *
write_count_and_sum(char *at, const Rows *rows, const uint64_t *words)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i <= rows->n_bounds; i++) {
        count += words[i];
    }
    at = write_count(at, count);
    *at++ = ',';
    return write_json_double(at, double_of(words[SUM_WORD(rows)]));
}

/* Write what follows the place of a row: where it ends. */
static char *
write_numbers(char *at, const Rows *rows, const uint64_t *words)
{
    if (!rows->has_buckets) {
        return write_json_double(at, double_of(words[0]));
    }
    at = write_count_and_sum(at, rows, words);
    for (uint32_t i = 0; i <= rows->n_bounds; i++) {
        *at++ = ',';
        at = write_count(at, words[i]);
    }
    return at;
}

/* Write what follows the place of a row that was another: where it ends. Of buckets, those that changed: index and count. */
static char *
write_change(char *at, const Rows *rows, const uint64_t *words, const uint64_t *before)
{
    if (!rows->has_buckets) {
        return write_json_double(at, double_of(words[0]));
    }
    at = write_count_and_sum(at, rows, words);
    for (uint32_t i = 0; i <= rows->n_bounds; i++) {
        if (words[i] != before[i]) {
            *at++ = ',';
            at = write_count(at, i);
            *at++ = ',';
            at = write_count(at, words[i]);
        }
    }
    return at;
}

/* True for two numbers that read alike although their bits differ: the zeros, and those that are none. */
static int
is_same_number(const Rows *rows, const uint64_t *words, const uint64_t *before)
{
    double now = double_of(words[0]), was = double_of(before[0]);
    return !rows->has_buckets && (now == was || (now != now && was != was));
}

/* What a row takes at most: its place, its numbers, each with an index before it, a count, and a comma after each. */
static size_t
most_bytes(const Rows *rows)
{
    return (2 * (size_t)told_words(rows) + 2) * (LONGEST_NUMBER + 3) + AROUND + LONGEST_NUMBER;
}

static const uint64_t *
words_of(const Portion *portion, const Rows *rows, uint32_t row)
{
    return portion->words + (size_t)row * rows->width;
}

/* Return the words that a row had before, as long as rows are asked for in their order. */
static const uint64_t *
words_before(const Rows *before, uint32_t *portion, uint32_t i)
{
    while (i >= before->portions[*portion]->start + before->portions[*portion]->block->n) {
        ++*portion;
    }
    return words_of(before->portions[*portion], before, i - before->portions[*portion]->start);
}

/* Write a text: 1; 0 with an exception. */
static int
write_text(Writing *writing, const Utf8 *text)
{
    if (!writing_reserve(writing, text->size)) {
        return 0;
    }
    memcpy(writing->at, text->bytes, text->size);
    writing->at += text->size;
    return 1;
}

/* Have space for a row, and for more of them each time there is none: 1; 0 with an exception. */
static int
reserve_row(Writing *writing, size_t most, size_t *at_once)
{
    if ((size_t)(writing->end - writing->at) >= most + SLACK) {
        return 1;
    }
    size_t bytes = most + *at_once;
    *at_once *= 2;
    return writing_grow(writing, bytes);
}

static void
write_row(Writing *writing, uint32_t place, const uint64_t *words, const uint64_t *was)
{
    char *at = writing->at;
    *at++ = '[';
    at = write_count(at, place);
    *at++ = ',';
    at = was == NULL ? write_numbers(at, writing->rows, words) : write_change(at, writing->rows, words, was);
    *at++ = ']';
    *at++ = ',';
    writing->at = at;
}

/* Write the rows that are told: 1; -1 with an exception. */
static int
write_rows(Writing *writing, const Told *told)
{
    const Rows *rows = writing->rows, *before = told->before;
    const size_t most = most_bytes(rows), size = told_words(rows) * sizeof(uint64_t);
    size_t at_once = AT_ONCE;
    uint32_t at_before = 0, written = 0;
    for (uint32_t i = 0; i < rows->n_portions && rows->portions[i]->start < told->most; i++) {
        const Portion *portion = rows->portions[i];
        for (uint32_t row = 0; row < portion->block->n && portion->start + row < told->most; row++) {
            const uint64_t *words = words_of(portion, rows, row);
            uint32_t place = portion->start + row;
            const uint64_t *was = before == NULL ? NULL : words_before(before, &at_before, place);
            if (was != NULL && (memcmp(words, was, size) == 0 || is_same_number(rows, words, was))) {
                continue;
            }
            if ((written++ == 0 && !write_text(writing, &told->start)) || !reserve_row(writing, most, &at_once)) {
                return -1;
            }
            write_row(writing, place, words, was);
        }
    }
    if (written == 0) {
        return 1;
    }
    writing->at--; /* the last comma */
    return write_text(writing, &told->end) ? 1 : -1;
}

/* Return the rows of columns that can be written here, of values, or of counts and sums of one reading; NULL, without an
 * exception, for others. */
static const Rows *
known_rows(const State *state, PyObject *numbers)
{
    if (!PyTuple_Check(numbers) || PyTuple_GET_SIZE(numbers) != 2) {
        return rows_of_column(state, numbers, VALUES);
    }
    const Rows *rows = rows_of_column(state, PyTuple_GET_ITEM(numbers, 0), BUCKET_COUNTS);
    return rows_of_column(state, PyTuple_GET_ITEM(numbers, 1), SUMS) == rows ? rows : NULL;
}

/* Return 1 if the rows of a family can be compared with earlier ones. */
static int
are_alike(const Rows *rows, const Rows *before)
{
    return before != NULL && before->n == rows->n && before->width == rows->width && before->n_bounds == rows->n_bounds
           && before->has_buckets == rows->has_buckets;
}

PyObject *
exposition_write_json_rows(PyObject *op, PyObject *args)
{
    const State *state = state_of_type(Py_TYPE(op));
    PyObject *numbers, *earlier, *start = NULL, *end = NULL;
    Py_ssize_t most;
    if (!PyArg_ParseTuple(args, "OOn|UU:write_json_rows", &numbers, &earlier, &most, &start, &end)) {
        return NULL;
    }
    const Rows *rows = known_rows(state, numbers);
    Told told = {.before = known_rows(state, earlier), .start = {.bytes = ""}, .end = {.bytes = ""}};
    if (rows == NULL || (earlier != Py_None && !are_alike(rows, told.before))) {
        Py_RETURN_FALSE;
    }
    told.most = most < 0 ? 0 : (size_t)most < rows->n ? (uint32_t)most : rows->n;
    int result = -1;
    if ((start == NULL || utf8_of(start, &told.start) == 0) && (end == NULL || utf8_of(end, &told.end) == 0)) {
        Writing writing;
        result = writing_begin_without_labels(&writing, (Exposition *)op, rows);
        result = writing_end(&writing, result > 0 ? write_rows(&writing, &told) : result);
    }
    utf8_clear(&told.start);
    utf8_clear(&told.end);
    return result < 0 ? NULL : PyBool_FromLong(result);
}

/* Totals */

static void
add_words(uint64_t *total, const Rows *rows, const uint64_t *words)
{
    uint32_t last = told_words(rows) - 1;
    for (uint32_t i = 0; i < last; i++) {
        total[i] += words[i];
    }
    total[last] = bits_of(double_of(total[last]) + double_of(words[last]));
}

/* Write the total of all rows: 1; -1 with an exception. */
static int
write_total(Writing *writing, uint64_t *total)
{
    const Rows *rows = writing->rows;
    for (uint32_t i = 0; i < rows->n_portions; i++) {
        for (uint32_t row = 0; row < rows->portions[i]->block->n; row++) {
            add_words(total, rows, words_of(rows->portions[i], rows, row));
        }
    }
    if (!writing_reserve(writing, most_bytes(rows))) {
        return -1;
    }
    *writing->at++ = '[';
    writing->at = write_numbers(writing->at, rows, total);
    *writing->at++ = ']';
    return 1;
}

PyObject *
exposition_write_json_total(PyObject *op, PyObject *numbers)
{
    const Rows *rows = known_rows(state_of_type(Py_TYPE(op)), numbers);
    if (rows == NULL) {
        Py_RETURN_FALSE;
    }
    uint64_t *total = PyMem_Calloc(told_words(rows), sizeof *total); /* 0.0 has no bits set */
    if (total == NULL) {
        return PyErr_NoMemory();
    }
    Writing writing;
    int result = writing_begin_without_labels(&writing, (Exposition *)op, rows);
    result = writing_end(&writing, result > 0 ? write_total(&writing, total) : result);
    PyMem_Free(total);
    return result < 0 ? NULL : PyBool_FromLong(result);
}
