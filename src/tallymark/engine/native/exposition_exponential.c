/* Rows of exponential histograms as lines of an exposition: their buckets as those of `ExponentialSnapshot`, which have
 * explicit bounds, cumulative; and what follows them. */
#include "exposition.h"

#include "column.h"
#include "exponential_rows.h"
#include "lines.h"
#include "notes.h"

#define BEYOND 3 /* lines of a row beside one for each bucket: for 0, for the lower bound of the first one above, and +Inf */
#define AROUND_BOUND 7 /* bytes of a text of Edge beside its bound */

typedef struct {
    Word start;  /* of a bucket's line, before its labels */
    size_t most; /* bytes of such a line beside labels, at most */
    int is_openmetrics;
    Lines lines; /* that follow */
    Notes notes;
    Words words;
    Edge *edges; /* of the exposition */
} Writer;

/* Bounds */

/* Write a bound as `tallymark.export.openmetrics` does: as repr() does, but from a million on with an exponent. */
static char *
write_canonical(char *at, double bound)
{
    char *end = write_double(at, bound), *digits = at + (bound < 0.0);
    size_t whole = 0;
    while (digits + whole < end && digits[whole] != '.') {
        whole++;
    }
    if (whole < 7) {
        return end;
    }
    memmove(digits + 2, digits + 1, whole - 1); /* to where the point was */
    digits[1] = '.';
    while (end[-1] == '0') {
        end--;
    }
    end -= end[-1] == '.';
    *end++ = 'e';
    *end++ = '+';
    *end++ = (char)('0' + (whole - 1) / 10);
    *end++ = (char)('0' + (whole - 1) % 10);
    return end;
}

/* Return the text of a bound, made if it is not the one that was needed last of those in its place. */
static const Edge *
edge_of(Writer *writer, double bound)
{
    uint64_t bits = bits_of(bound);
    unsigned char format = writer->is_openmetrics ? CANONICAL : PLAIN;
    Edge *edge = &writer->edges[(bits * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - EDGE_BITS)];
    if (edge->bits != bits || edge->format != format) {
        memcpy(edge->text, "le=\"", 4);
        char *end = (writer->is_openmetrics ? write_canonical : write_double)(edge->text + 4, bound);
        memcpy(end, "\"} ", 3);
        edge->length = (unsigned char)(end + 3 - edge->text);
        edge->bits = bits;
        edge->format = format;
    }
    return edge;
}

/* Rows */

/* A row that is being written. */
typedef struct {
    uint32_t n;
    char *at;
    const char *prefix; /* what all its buckets begin with */
    size_t length;
    double bound;   /* of the bucket that comes next */
    uint64_t count; /* up to this bound */
} Row;

static inline void
write_bucket(Writer *writer, Row *row, const char *edge, size_t length)
{
    if (row->at != row->prefix) {
        memcpy(row->at, row->prefix, row->length);
    }
    row->at = copy_text(row->at + row->length, edge, length);
    row->at = write_count(row->at, row->count);
    if (has_note(&writer->notes, row->n)) {
        row->at = notes_write(row->at, &writer->notes, row->n, row->bound);
    }
    *row->at++ = '\n';
}

/* Count what is up to a bound, which is not below the last. Bounds that round to the same double are one. */
static inline void
add(Writer *writer, Row *row, double bound, uint64_t count)
{
    if (bound != row->bound) {
        const Edge *edge = edge_of(writer, row->bound);
        write_bucket(writer, row, edge->text, edge->length);
        row->bound = bound;
    }
    row->count += count;
}

static void
add_negatives(Writer *writer, Row *row, uint32_t epoch, Side side)
{
    for (uint32_t i = side.size; i-- > 0;) {
        add(writer, row, -exponential_bound(epoch, side.first + i - 1), side.counts[i]);
    }
}

static void
add_positives(Writer *writer, Row *row, uint32_t epoch, Side side)
{
    if (side.size > 0) {
        add(writer, row, exponential_bound(epoch, side.first - 1), 0);
    }
    for (uint32_t i = 0; i < side.size; i++) {
        add(writer, row, exponential_bound(epoch, side.first + i), side.counts[i]);
    }
}

static char *
write_row(char *at, Writer *writer, const char *labels, size_t length, const Portion *portion, uint32_t n)
{
    static const char infinite[SLACK] = "le=\"+Inf\"} ";
    const uint64_t *words = portion->words + (size_t)n * HEAD_WORDS;
    Space space;
    Side above, below;
    exponential_sides(portion, words, &space, &above, &below);
    uint32_t epoch = (uint32_t)words[EPOCH];
    double sum = double_of(words[HEAD_BOUNDS + 1]);
    double first = below.size == 0 ? 0.0 : -exponential_bound(epoch, below.first + below.size - 2);
    Row row = {.n = portion->start + n, .prefix = at, .bound = first};
    at = copy_word(at, writer->start);
    if (length > 0) {
        at = copy_text(at, labels, length);
        *at++ = ',';
    }
    row.length = (size_t)(at - row.prefix);
    row.at = (char *)row.prefix;
    add_negatives(writer, &row, epoch, below);
    add(writer, &row, 0.0, words[ZEROS]);
    add_positives(writer, &row, epoch, above);
    if (row.bound < Py_HUGE_VAL) {
        add(writer, &row, Py_HUGE_VAL, 0);
    }
    write_bucket(writer, &row, infinite, 11);
    int has_sum = !writer->is_openmetrics || (first >= 0.0 && sum >= 0.0);
    return lines_write(row.at, &writer->lines, labels, length, &(Told){portion->block->created[n], sum, row.count, has_sum});
}

static uint32_t
lines_of_row(const uint64_t *words)
{
    return (uint32_t)words[ABOVE] + (uint32_t)words[BELOW] + BEYOND;
}

/* About how many bytes the buckets of all rows take, and in `*lines` how many lines they are. */
static size_t
buckets_expected(Writer *writer, const Rows *rows, size_t *lines)
{
    size_t digits = 0;
    *lines = 0;
    for (uint32_t i = 0; i < rows->n_portions; i++) {
        const Portion *portion = rows->portions[i];
        for (uint32_t n = 0; n < portion->block->n; n++) {
            const uint64_t *words = portion->words + (size_t)n * HEAD_WORDS;
            Space space;
            Side above, below;
            exponential_sides(portion, words, &space, &above, &below);
            uint64_t count = words[ZEROS];
            for (uint32_t j = 0; j < above.size; j++) {
                count += above.counts[j];
            }
            digits += lines_of_row(words) * count_digits(count);
            *lines += lines_of_row(words);
        }
    }
    return digits + *lines * (writer->start.length + AROUND_BOUND + TYPICAL_FRACTION + 2); /* a comma and a newline */
}

static int
write_rows(Writing *writing, Writer *writer, size_t expected)
{
    const Rows *rows = writing->rows;
    if (!writing_expect(writing, expected + lines_expected(&writer->lines, rows))) {
        return -1;
    }
    for (uint32_t i = 0; i < rows->n_portions; i++) {
        const Portion *portion = rows->portions[i];
        const char *labels = writing->labels[i]->text;
        for (uint32_t n = 0; n < portion->block->n; n++) {
            size_t length = label_next(&labels), lines = lines_of_row(portion->words + (size_t)n * HEAD_WORDS);
            size_t more = writer->lines.most + writer->lines.n * length + notes_size(&writer->notes, portion->start + n);
            if (!writing_reserve(writing, lines * (writer->most + length) + more)) {
                return -1;
            }
            writing->at = write_row(writing->at, writer, labels, length, portion, n);
            labels += length;
        }
    }
    return 1;
}

/* Read how a bucket's line begins, and have space for texts of bounds: 1; -1 with an exception. */
static int
prepare(Exposition *self, PyObject *start, Writer *writer)
{
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(start, &length);
    if (text == NULL || words_init(&writer->words, SPACE_OF(length)) < 0) {
        return -1;
    }
    if (self->edges == NULL && (self->edges = PyMem_Calloc(N_EDGES, sizeof *self->edges)) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    writer->edges = self->edges;
    writer->start = words_add(&writer->words, text, (size_t)length);
    writer->most = (size_t)length + AROUND_BOUND + 2 * LONGEST_NUMBER + 2;
    return 1;
}

/* Return 1 if columns are those of buckets of a reading, each in its place. */
static int
are_buckets(const State *state, const Rows *rows, PyObject *columns)
{
    static const int kinds[] = {SCALES, ZERO_COUNTS, POSITIVES, NEGATIVES};
    int are_known = rows != NULL && PyTuple_GET_SIZE(columns) == Py_ARRAY_LENGTH(kinds);
    for (Py_ssize_t i = 0; are_known && i < PyTuple_GET_SIZE(columns); i++) {
        are_known = rows_of_column(state, PyTuple_GET_ITEM(columns, i), kinds[i]) == rows;
    }
    return are_known;
}

PyObject *
exposition_write_exponential_buckets(PyObject *op, PyObject *args)
{
    const State *state = state_of_type(Py_TYPE(op));
    PyObject *tags, *columns, *start, *triples, *tuples = NULL;
    const char *scheme;
    Writer writer = {0};
    if (!PyArg_ParseTuple(args, "OO!UO!sp|O!:write_exponential_buckets", &tags, &PyTuple_Type, &columns, &start, &PyTuple_Type,
                          &triples, &scheme, &writer.is_openmetrics, &PyTuple_Type, &tuples)) {
        return NULL;
    }
    Writing writing;
    const Rows *rows = rows_of_column(state, tags, TAGS);
    int result = are_buckets(state, rows, columns) ? lines_read(state, rows, triples, &writer.lines) : 0;
    result = result > 0 ? notes_read(tuples, &writer.notes) : result;
    result = result > 0 ? prepare((Exposition *)op, start, &writer) : result;
    if (result > 0) {
        size_t lines, expected = buckets_expected(&writer, rows, &lines);
        lines = lines / (rows->n + (rows->n == 0)) + writer.lines.n + 1;
        result = writing_begin(&writing, (Exposition *)op, rows, (uint32_t)lines, scheme);
        if (result > 0) {
            result = writing_has_le(&writing) ? 0 : write_rows(&writing, &writer, expected);
        }
        result = writing_end(&writing, result);
    }
    words_clear(&writer.words);
    words_clear(&writer.lines.words);
    notes_clear(&writer.notes);
    return result < 0 ? NULL : PyBool_FromLong(result);
}
