/* Rows of numbers as lines of an exposition: for each row `name{labels} number`, once or several times. */
#include "exposition.h"

#include "cell.h"
#include "lines.h"
#include "notes.h"

/* Write a line; none for a time that nobody knows. A note follows the number of its row. */
static inline char *
write_line(char *at, const Line *line, const char *labels, size_t length, const Portion *portion, uint32_t row, Notes *notes)
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
    if (line->which == VALUES && has_note(notes, portion->start + row)) {
        at = notes_write(at, notes, portion->start + row, 0.0);
    }
    *at++ = '\n';
    return at;
}

/* Write the rows of a portion: 1; -1 with an exception. */
static int
write_portion(Writing *writing, const Lines *lines, const Portion *portion, const char *labels, Notes *notes)
{
    for (uint32_t row = 0; row < portion->block->n; row++) {
        size_t length = label_next(&labels);
        if (!writing_reserve(writing, lines->most + lines->n * length + notes_size(notes, portion->start + row))) {
            return -1;
        }
        for (uint32_t i = 0; i < lines->n; i++) {
            writing->at = write_line(writing->at, &lines->lines[i], labels, length, portion, row, notes);
        }
        labels += length;
    }
    return 1;
}

static int
write_rows(Writing *writing, const Lines *lines, Notes *notes)
{
    int result = writing_expect(writing, lines_expected(lines, writing->rows)) ? 1 : -1;
    for (uint32_t i = 0; result > 0 && i < writing->rows->n_portions; i++) {
        result = write_portion(writing, lines, writing->rows->portions[i], writing->labels[i]->text, notes);
    }
    return result;
}

PyObject *
exposition_write_numbers(PyObject *op, PyObject *args)
{
    const State *state = state_of_type(Py_TYPE(op));
    PyObject *tags, *triples, *tuples = NULL;
    const char *scheme;
    if (!PyArg_ParseTuple(args, "OO!s|O!:write_numbers", &tags, &PyTuple_Type, &triples, &scheme, &PyTuple_Type, &tuples)) {
        return NULL;
    }
    Writing writing;
    Lines lines = {0};
    Notes notes = {0};
    const Rows *rows = rows_of_column(state, tags, TAGS);
    int is_known = rows != NULL && !rows->has_buckets && PyTuple_GET_SIZE(triples) > 0;
    int result = !is_known ? 0 : lines_read(state, rows, triples, &lines);
    result = result > 0 ? notes_read(tuples, &notes) : result;
    if (result > 0) {
        result = writing_begin(&writing, (Exposition *)op, rows, lines.n, scheme);
        result = writing_end(&writing, result > 0 ? write_rows(&writing, &lines, &notes) : result);
    }
    words_clear(&lines.words);
    notes_clear(&notes);
    return result < 0 ? NULL : PyBool_FromLong(result);
}
