/* Rows of numbers as lines of an exposition: for each row `name{labels} number`, once or several times. */
#include "exposition.h"

#include "cell.h"
#include "column.h"
#include "number_text.h"

#define MOST_LINES 4 /* of a row */
#define TYPICAL_TIME 18 /* bytes of the text of a time */

/* What a line of each row begins with, and where its number is: the same for all, or the row's own. */
typedef struct {
    Word name, constant; /* a constant of length 0: there is none */
    int which;           /* of the columns */
} Line;

typedef struct {
    Line lines[MOST_LINES];
    uint32_t n;
    Words words;
} Lines;

static inline char *
write_line(char *at, const Line *line, const char *labels, size_t length, const Portion *portion, uint32_t row)
{
    at = copy_word(at, line->name);
    if (length > 0) {
        *at++ = '{';
        at = copy_text(at, labels, length);
        *at++ = '}';
    }
    *at++ = ' ';
    if (line->constant.length > 0) {
        at = copy_word(at, line->constant);
    }
    else {
        at = write_double(at, line->which == CREATED ? portion->block->created[row] : double_of(portion->words[row]));
    }
    *at++ = '\n';
    return at;
}

/* Write the rows of a portion, each of which needs `most` bytes beside its labels: 1; -1 with an exception. */
static int
write_portion(Writing *writing, const Lines *lines, size_t most, const Portion *portion, const char *labels)
{
    for (uint32_t row = 0; row < portion->block->n; row++) {
        size_t length = label_next(&labels);
        if (!writing_reserve(writing, most + lines->n * length)) {
            return -1;
        }
        for (uint32_t i = 0; i < lines->n; i++) {
            writing->at = write_line(writing->at, &lines->lines[i], labels, length, portion, row);
        }
        labels += length;
    }
    return 1;
}

/* About how many bytes the numbers of a line take. */
static size_t
size_of_numbers(const Rows *rows, const Line *line)
{
    size_t size = 0;
    if (line->constant.length > 0 || line->which == CREATED) {
        return rows->n * (line->constant.length > 0 ? line->constant.length : TYPICAL_TIME);
    }
    for (uint32_t i = 0; i < rows->n_portions; i++) {
        for (uint32_t row = 0; row < rows->portions[i]->block->n; row++) {
            size += expected_size(double_of(rows->portions[i]->words[row]));
        }
    }
    return size;
}

static int
write_rows(Writing *writing, const Lines *lines)
{
    size_t most = 0, size = 0;
    for (uint32_t i = 0; i < lines->n; i++) {
        size_t start = lines->lines[i].name.length + 4;
        most += start + lines->lines[i].constant.length + LONGEST_NUMBER;
        size += start * writing->rows->n + size_of_numbers(writing->rows, &lines->lines[i]);
    }
    int result = writing_expect(writing, size) ? 1 : -1;
    for (uint32_t i = 0; result > 0 && i < writing->rows->n_portions; i++) {
        result = write_portion(writing, lines, most, writing->rows->portions[i], writing->labels[i]->text);
    }
    return result;
}

/* Read where the number of a line is: 1; 0 if it is not of these rows; -1 with an exception. */
static int
read_numbers(const State *state, const Rows *rows, PyObject *numbers, Line *line)
{
    if (PyUnicode_Check(numbers)) {
        return 1;
    }
    line->which = rows_of_column(state, numbers, CREATED) == rows ? CREATED : VALUES;
    return line->which == CREATED || (!rows->has_buckets && rows_of_column(state, numbers, VALUES) == rows);
}

/* Read the lines of a row from pairs of a name and numbers: 1; 0 if they are not of these rows; -1 with an exception. */
static int
read_lines(const State *state, const Rows *rows, PyObject *pairs, Lines *lines)
{
    const char *texts[2 * MOST_LINES];
    Py_ssize_t lengths[2 * MOST_LINES] = {0};
    size_t space = 0;
    lines->n = (uint32_t)PyTuple_GET_SIZE(pairs);
    if (lines->n == 0 || lines->n > MOST_LINES) {
        return 0;
    }
    for (uint32_t i = 0; i < lines->n; i++) {
        PyObject *name, *numbers;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(pairs, i), "UO", &name, &numbers)) {
            return -1;
        }
        int is_known = read_numbers(state, rows, numbers, &lines->lines[i]);
        if (is_known <= 0) {
            return is_known;
        }
        texts[2 * i] = PyUnicode_AsUTF8AndSize(name, &lengths[2 * i]);
        texts[2 * i + 1] = PyUnicode_Check(numbers) ? PyUnicode_AsUTF8AndSize(numbers, &lengths[2 * i + 1]) : "";
        if (texts[2 * i] == NULL || texts[2 * i + 1] == NULL) {
            return -1;
        }
        space += SPACE_OF(lengths[2 * i]) + SPACE_OF(lengths[2 * i + 1]);
    }
    if (words_init(&lines->words, space) < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < lines->n; i++) {
        lines->lines[i].name = words_add(&lines->words, texts[2 * i], (size_t)lengths[2 * i], "");
        lines->lines[i].constant = words_add(&lines->words, texts[2 * i + 1], (size_t)lengths[2 * i + 1], "");
    }
    return 1;
}

PyObject *
exposition_write_numbers(PyObject *op, PyObject *args)
{
    const State *state = state_of_type(Py_TYPE(op));
    PyObject *tags, *pairs;
    if (!PyArg_ParseTuple(args, "OO!:write_numbers", &tags, &PyTuple_Type, &pairs) || !exposition_is_free((Exposition *)op)) {
        return NULL;
    }
    Writing writing;
    Lines lines = {0};
    const Rows *rows = rows_of_column(state, tags, TAGS);
    int result = rows == NULL ? 0 : read_lines(state, rows, pairs, &lines);
    if (result > 0) {
        result = writing_begin(&writing, (Exposition *)op, rows, lines.n);
        result = writing_end(&writing, result > 0 ? write_rows(&writing, &lines) : result);
    }
    words_clear(&lines.words);
    return result < 0 ? NULL : PyBool_FromLong(result);
}
