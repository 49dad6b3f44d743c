#include "labels.h"

#include <stdatomic.h>
#include <stddef.h>

#include "label_names.h"
#include "rows.h"

/* The rules are those of `tallymark.export.labels`: names in order, without two underscores first; values with backslashes,
 * newlines and quotes escaped; no label for an empty value. */

/* Values */

static char *
write_value(char *at, PyObject *value)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(value);
    if (PyUnicode_IS_ASCII(value)) {
        const char *text = PyUnicode_DATA(value);
        for (Py_ssize_t i = 0; i < length; i++) {
            at = write_escaped(at, (unsigned char)text[i]);
        }
        return at;
    }
    int kind = (int)PyUnicode_KIND(value);
    const void *data = PyUnicode_DATA(value);
    for (Py_ssize_t i = 0; at != NULL && i < length; i++) {
        at = write_character(at, PyUnicode_READ(kind, data, i));
    }
    return at;
}

/* Labels */

/* The most bytes that the labels of a tag set can take. */
static size_t
most_bytes(const Names *names, const TagSet *tags)
{
    size_t most = names->names.size;
    for (uint32_t i = 0; i < tags->shape->size; i++) {
        most += 2 + 4 * (size_t)PyUnicode_GET_LENGTH(tags->values[i]);
    }
    return most;
}

/* Write the labels of a tag set: where they end, or NULL if they have no text. */
static char *
write_labels(char *at, const Names *names, const TagSet *tags, char *has_empty)
{
    const char *start = at;
    for (uint32_t i = 0; at != NULL && i < tags->shape->size; i++) {
        PyObject *value = tags->values[names->order[i]];
        if (PyUnicode_GET_LENGTH(value) == 0) {
            *has_empty = 1;
            continue;
        }
        if (at != start) {
            *at++ = ',';
        }
        size_t length = names->starts[i + 1] - names->starts[i];
        memcpy(at, names->names.text + names->starts[i], length);
        at = write_value(at + length, value);
        if (at != NULL) {
            *at++ = '"';
        }
    }
    return at;
}

static void
note_shape(Labels *labels, const Shape *shape)
{
    uint32_t i = 0;
    while (i < labels->n_shapes && i < MOST_SHAPES && labels->shapes[i] != shape) {
        i++;
    }
    if (i == labels->n_shapes && i < MOST_SHAPES) {
        labels->shapes[i] = shape;
    }
    labels->n_shapes += i == labels->n_shapes;
}

/* Append the labels of one row: 1; 0 without memory. Where they have no text, that is noted in the head. */
static int
append_labels(Growing *growing, Names *names, const TagSet *tags)
{
    if (tags->shape != names->shape) {
        names_find(names, tags->shape);
    }
    if (!reserve(growing, most_bytes(names, tags) + 1 + sizeof(uint32_t) + SLACK)) {
        return 0;
    }
    Labels *head = (Labels *)growing->text;
    note_shape(head, tags->shape);
    head->has_changed = head->has_changed || names->has_changed;
    head->has_le = head->has_le || names->has_le;
    char *at = growing->text + growing->size, *text = at + 1;
    char *end = names->is_known ? write_labels(text, names, tags, &head->has_empty) : NULL;
    size_t length = end == NULL ? 0 : (size_t)(end - text);
    if (end == NULL || length > UINT32_MAX) {
        head->is_known = 0;
        return 1;
    }
    if (length >= MORE) {
        uint32_t longer = (uint32_t)length;
        memmove(text + sizeof longer, text, length);
        memcpy(text, &longer, sizeof longer);
        end += sizeof longer;
        length = MORE;
    }
    *at = (char)length;
    growing->size = (size_t)(end - growing->text);
    return 1;
}

static Labels *
make_labels(const Block *block, Scheme scheme)
{
    Names names = {.scheme = scheme};
    Growing growing = {0};
    int is_complete = reserve(&growing, sizeof(Labels) + SLACK + block->n * 48);
    if (is_complete) {
        memset(growing.text, 0, sizeof(Labels));
        ((Labels *)growing.text)->is_known = 1;
        growing.size = offsetof(Labels, text);
    }
    for (uint32_t i = 0; is_complete && i < block->n && ((Labels *)growing.text)->is_known; i++) {
        is_complete = append_labels(&growing, &names, block->tags[i]);
    }
    PyMem_RawFree(names.names.text);
    Labels *labels = is_complete ? PyMem_RawMalloc(growing.size + SLACK) : NULL; /* a copy: what else is given back is a whole */
    if (labels != NULL) {
        memcpy(labels, growing.text, growing.size);
        labels->size = growing.size - offsetof(Labels, text);
    }
    PyMem_RawFree(growing.text);
    return labels;
}

static const Labels *
get_labels(Block *block, Scheme scheme)
{
    Labels *labels = atomic_load(&block->labels[scheme]), *first = NULL;
    if (labels != NULL || (labels = make_labels(block, scheme)) == NULL) {
        return labels;
    }
    if (!atomic_compare_exchange_strong(&block->labels[scheme], &first, labels)) { /* another thread was first */
        PyMem_RawFree(labels);
        return first;
    }
    return labels;
}

/* Where all keys are names of labels, the labels are the same under all schemes. */
const Labels *
labels_of(Block *block, Scheme scheme)
{
    const Labels *labels = get_labels(block, UNDERSCORES);
    int is_other = labels != NULL && scheme == UTF_8 && (labels->has_changed || !labels->is_known);
    return is_other ? get_labels(block, scheme) : labels;
}

/* Telling labels apart */

#define MOST_OF_ALL 16 /* shapes of a family: with more, they are not compared */

/* Add the shapes of some labels to those that are known: 1; 0 if there are too many. */
static int
add_shapes(const Shape **shapes, uint32_t *n, const Labels *labels)
{
    for (uint32_t i = 0; i < labels->n_shapes; i++) {
        uint32_t j = 0;
        while (j < *n && shapes[j] != labels->shapes[i]) {
            j++;
        }
        if (j == MOST_OF_ALL) {
            return 0;
        }
        shapes[j] = labels->shapes[i];
        *n += j == *n;
    }
    return 1;
}

int
are_distinct(const Labels *const *all, uint32_t n, Scheme scheme)
{
    const Shape *shapes[MOST_OF_ALL];
    uint32_t n_shapes = 0;
    int has_changed = 0, is_few = 1;
    for (uint32_t i = 0; i < n; i++) {
        if (!all[i]->is_known || all[i]->has_empty) {
            return 0;
        }
        has_changed = has_changed || all[i]->has_changed;
        is_few = is_few && all[i]->n_shapes <= MOST_SHAPES && add_shapes(shapes, &n_shapes, all[i]);
    }
    /* Where each label is its tag, no two tag sets have the same. */
    return !has_changed || (scheme != AS_VALUES && is_few && shapes_are_distinct(shapes, n_shapes, scheme));
}
