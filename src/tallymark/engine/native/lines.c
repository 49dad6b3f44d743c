#include "lines.h"

#include "cell.h"

#define TYPICAL_TIME 18 /* bytes of the text of a time */
#define AROUND 3        /* bytes of a line beside all texts: a brace, a space and a newline */

/* Texts as Python has them. Those that are no UTF-8 only Python can write. */
typedef struct {
    const char *text;
    Py_ssize_t length;
} Given;

/* 1; 0 for a text that is no UTF-8; -1 with an exception. */
static int
read_text(PyObject *object, Given *given)
{
    given->text = PyUnicode_AsUTF8AndSize(object, &given->length);
    if (given->text != NULL) {
        return 1;
    }
    if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        PyErr_Clear();
        return 0;
    }
    return -1;
}

/* Return which of the columns of these rows an object is; CONSTANT for a text; N_COLUMNS if it is neither. */
static int
which_of(const State *state, const Rows *rows, PyObject *numbers)
{
    static const int known[] = {CREATED, VALUES, BUCKET_COUNTS, SUMS, POSITIVES};
    if (PyUnicode_Check(numbers)) {
        return CONSTANT;
    }
    for (int i = 0; i < 5; i++) {
        if (rows_of_column(state, numbers, known[i]) == rows) {
            return known[i] == POSITIVES ? BUCKET_COUNTS : known[i];
        }
    }
    return N_COLUMNS;
}

/* Read one triple: 1; 0; -1 with an exception. */
static int
read_triple(const State *state, const Rows *rows, PyObject *triple, Line *line, Given *given)
{
    PyObject *alone, *labelled, *numbers;
    if (!PyTuple_Check(triple)) {
        PyErr_SetString(PyExc_TypeError, "a line is a tuple of two texts and numbers");
        return -1;
    }
    if (!PyArg_ParseTuple(triple, "UUO", &alone, &labelled, &numbers)) {
        return -1;
    }
    line->which = which_of(state, rows, numbers);
    given[2] = (Given){"", 0};
    int result = line->which == N_COLUMNS ? 0 : read_text(alone, &given[0]);
    result = result > 0 ? read_text(labelled, &given[1]) : result;
    return result > 0 && line->which == CONSTANT ? read_text(numbers, &given[2]) : result;
}

int
lines_read(const State *state, const Rows *rows, PyObject *triples, Lines *lines)
{
    Given given[3 * MOST_LINES];
    size_t space = 0;
    if (PyTuple_GET_SIZE(triples) > MOST_LINES) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(triples); i++) {
        int result = read_triple(state, rows, PyTuple_GET_ITEM(triples, i), &lines->lines[i], given + 3 * i);
        if (result <= 0) {
            return result;
        }
        for (Py_ssize_t j = 3 * i; j < 3 * i + 3; j++) {
            space += SPACE_OF(given[j].length);
        }
    }
    if (words_init(&lines->words, space) < 0) {
        return -1;
    }
    for (; lines->n < PyTuple_GET_SIZE(triples); lines->n++) {
        Line *line = &lines->lines[lines->n];
        Word *words[] = {&line->alone, &line->labelled, &line->constant};
        for (uint32_t j = 0; j < 3; j++) {
            const Given *one = &given[3 * lines->n + j];
            *words[j] = words_add(&lines->words, one->text, (size_t)one->length);
            lines->most += words[j]->length;
        }
        lines->most += LONGEST_NUMBER + AROUND;
    }
    return 1;
}

static size_t
numbers_expected(const Rows *rows, uint32_t word)
{
    size_t size = 0;
    for (uint32_t i = 0; i < rows->n_portions; i++) {
        const Portion *portion = rows->portions[i];
        for (uint32_t row = 0; row < portion->block->n; row++) {
            size += expected_size(double_of(portion->words[(size_t)row * rows->width + word]));
        }
    }
    return size;
}

size_t
lines_expected(const Lines *lines, const Rows *rows)
{
    size_t size = 0;
    for (uint32_t i = 0; i < lines->n; i++) {
        const Line *line = &lines->lines[i];
        size += rows->n * (line->labelled.length + line->constant.length + AROUND);
        switch (line->which) {
        case VALUES:
            size += numbers_expected(rows, 0);
            break;
        case SUMS:
            size += numbers_expected(rows, SUM_WORD(rows));
            break;
        case CREATED:
            size += rows->n * TYPICAL_TIME;
            break;
        default:
            break;
        }
    }
    return size;
}

static inline char *
write_line(char *at, const Line *line, const char *labels, size_t length, const Told *told)
{
    at = write_start(at, line, labels, length);
    switch (line->which) {
    case BUCKET_COUNTS:
        at = write_count(at, told->count);
        break;
    case CONSTANT:
        at = copy_word(at, line->constant);
        break;
    default:
        at = write_double(at, line->which == CREATED ? told->created : told->sum);
        break;
    }
    *at++ = '\n';
    return at;
}

char *
lines_write(char *at, const Lines *lines, const char *labels, size_t length, const Told *told)
{
    for (uint32_t i = 0; i < lines->n; i++) {
        const Line *line = &lines->lines[i];
        if (line->which == CREATED ? is_known_time(told->created) : told->has_sum) {
            at = write_line(at, line, labels, length, told);
        }
    }
    return at;
}
