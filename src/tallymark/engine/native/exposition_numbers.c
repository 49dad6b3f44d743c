/* Rows of numbers as lines of an exposition: for each row `name{labels} number`, once or several times. */
#include "exposition.h"

#include "cell.h"
#include "lines.h"

/* Write a line; none for a time that nobody knows. */
static inline char *
write_line(char *at, const Line *line, const char *labels, size_t length, const Portion *portion, uint32_t row)
{
    if (line->which == CREATED && !is_known_time(portion->block->created[row])) {
        return at;
    }
    at = write_start(at, line, labels, length);
    if (line->which == CONSTANT) {
        at = copy_word(at, line->constant);
    }
    else {
        at = write_double(at, line->which == CREATED ? portion->block->created[row] : double_of(portion->words[row]));
    }
    *at++ = '\n';
    return at;
}

/* Write the rows of a portion: 1; -1 with an exception. */
static int
write_portion(Writing *writing, const Lines *lines, const Portion *portion, const char *labels)
{
    for (uint32_t row = 0; row < portion->block->n; row++) {
        size_t length = label_next(&labels);
        if (!writing_reserve(writing, lines->most + lines->n * length)) {
            return -1;
        }
        for (uint32_t i = 0; i < lines->n; i++) {
            writing->at = write_line(writing->at, &lines->lines[i], labels, length, portion, row);
        }
        labels += length;
    }
    return 1;
}

static int
write_rows(Writing *writing, const Lines *lines)
{
    int result = writing_expect(writing, lines_expected(lines, writing->rows)) ? 1 : -1;
    for (uint32_t i = 0; result > 0 && i < writing->rows->n_portions; i++) {
        result = write_portion(writing, lines, writing->rows->portions[i], writing->labels[i]->text);
    }
    return result;
}

PyObject *
exposition_write_numbers(PyObject *op, PyObject *args)
{
    const State *state = state_of_type(Py_TYPE(op));
    PyObject *tags, *triples;
    const char *scheme;
    if (!PyArg_ParseTuple(args, "OO!s:write_numbers", &tags, &PyTuple_Type, &triples, &scheme)) {
        return NULL;
    }
    Writing writing;
    Lines lines = {0};
    const Rows *rows = rows_of_column(state, tags, TAGS);
    int is_known = rows != NULL && !rows->has_buckets && PyTuple_GET_SIZE(triples) > 0;
    int result = !is_known ? 0 : lines_read(state, rows, triples, &lines);
    if (result > 0) {
        result = writing_begin(&writing, (Exposition *)op, rows, lines.n, scheme);
        result = writing_end(&writing, result > 0 ? write_rows(&writing, &lines) : result);
    }
    words_clear(&lines.words);
    return result < 0 ? NULL : PyBool_FromLong(result);
}
