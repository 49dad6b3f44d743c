#include "labels.h"

#include <stdatomic.h>
#include <stddef.h>

#include "rows.h"

/* The rules are those of `tallymark.export.labels`: names in order, without two underscores first; values with backslashes,
 * newlines and quotes escaped; no label for an empty value. */

/* Text that grows; memory that needs no GIL. */
typedef struct {
    char *text;
    size_t size, capacity;
} Growing;

/* Have space for more: 1; 0 without memory. */
static int
reserve(Growing *growing, size_t more)
{
    if (growing->capacity - growing->size < more) {
        size_t capacity = growing->size + growing->size / 2 + more + 256;
        char *text = PyMem_RawRealloc(growing->text, capacity);
        if (text == NULL) {
            return 0;
        }
        growing->text = text;
        growing->capacity = capacity;
    }
    return 1;
}

/* Characters */

static inline char *
write_escaped(char *at, Py_UCS4 c)
{
    if (c == '\\' || c == '"' || c == '\n') {
        *at++ = '\\';
        c = c == '\n' ? 'n' : c;
    }
    *at = (char)c;
    return at + 1;
}

/* Write a character as UTF-8: where it ends, or NULL for a surrogate, which has none. */
static inline char *
write_character(char *at, Py_UCS4 c)
{
    if (c < 0x80) {
        return write_escaped(at, c);
    }
    if (c >= 0xd800 && c < 0xe000) {
        return NULL;
    }
    uint32_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};
    *at++ = (char)(first[more] | (c >> (6 * more)));
    while (more-- > 0) {
        *at++ = (char)(0x80 | ((c >> (6 * more)) & 0x3f));
    }
    return at;
}

/* Names */

typedef struct {
    const Shape *shape;
    Scheme scheme;
    uint32_t starts[MAX_TAGS + 1]; /* of `name="` in `names`, in the order of the labels */
    uint8_t order[MAX_TAGS];       /* which value belongs to it */
    Growing names;
    char is_known, has_changed, has_le;
} Names;

static inline int
is_allowed(Py_UCS4 c, Py_ssize_t place)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9' && place > 0) || c == '_';
}

/* Write a key as the name of a label, in at most 4 bytes a character: its length, or 0 if it has none. */
static size_t
write_name(char *start, PyObject *key, Scheme scheme)
{
    char *at = start;
    size_t underscores = 0;
    for (Py_ssize_t i = 0; at != NULL && i < PyUnicode_GET_LENGTH(key); i++) {
        Py_UCS4 c = PyUnicode_READ_CHAR(key, i);
        at = write_character(at, scheme == UTF_8 || is_allowed(c, i) ? c : '_');
    }
    size_t n = at == NULL ? 0 : (size_t)(at - start);
    while (underscores < n && start[underscores] == '_') {
        underscores++;
    }
    if (underscores >= 2) {
        memmove(start + 1, start + underscores, n - underscores);
        n -= underscores - 1;
    }
    return n;
}

static int
needs_quotes(const char *name, size_t length)
{
    int needs = 0;
    for (size_t i = 0; i < length; i++) {
        needs = needs || !is_allowed((unsigned char)name[i], (Py_ssize_t)i);
    }
    return needs;
}

static int
is_text(PyObject *key, const char *text, size_t length)
{
    return PyUnicode_IS_ASCII(key) && (size_t)PyUnicode_GET_LENGTH(key) == length
           && memcmp(PyUnicode_DATA(key), text, length) == 0;
}

static int
compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

/* Find the place of a name among `n` in order, and note if it is there already. */
static uint32_t
find_place(const Names *names, const char *const *texts, const size_t *lengths, uint32_t n, int *is_there)
{
    uint32_t place = n;
    const char *text = texts[n];
    size_t length = lengths[n];
    while (place > 0) {
        uint8_t before = names->order[place - 1];
        int order = compare(texts[before], lengths[before], text, length);
        *is_there = *is_there || order == 0;
        if (order <= 0) {
            break;
        }
        place--;
    }
    return place;
}

/* Append a name, in quotes if it needs them, and `="`: 1; 0 without memory. */
static int
append_name(Growing *names, const char *text, size_t length)
{
    if (!reserve(names, length + 4)) {
        return 0;
    }
    char *at = names->text + names->size;
    int has_quotes = needs_quotes(text, length);
    *at = '"';
    at += has_quotes;
    memcpy(at, text, length);
    memcpy(at + length, "\"=\"" + !has_quotes, 3);
    names->size += length + 2 + 2 * (size_t)has_quotes;
    return 1;
}

/* Put names in order: 1; 0 if two are the same, or without memory. */
static int
sort_names(Names *names, const char *const *texts, const size_t *lengths, uint32_t n)
{
    int is_there = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t place = find_place(names, texts, lengths, i, &is_there);
        memmove(names->order + place + 1, names->order + place, i - place);
        names->order[place] = (uint8_t)i;
    }
    names->names.size = 0;
    for (uint32_t i = 0; i < n; i++) {
        names->starts[i] = (uint32_t)names->names.size;
        if (!append_name(&names->names, texts[names->order[i]], lengths[names->order[i]])) {
            return 0;
        }
    }
    names->starts[n] = (uint32_t)names->names.size;
    return !is_there;
}

static void
find_names(Names *names, const Shape *shape)
{
    const char *texts[MAX_TAGS + 1];
    size_t lengths[MAX_TAGS + 1], total = 0;
    names->shape = shape;
    names->is_known = names->has_changed = names->has_le = 0;
    for (uint32_t i = 0; i < shape->size; i++) {
        total += (size_t)PyUnicode_GET_LENGTH(shape->keys[i]);
    }
    char *space = shape->size > MAX_TAGS || total > INT32_MAX / 4 ? NULL : PyMem_RawMalloc(4 * total + 1);
    char *at = space;
    if (space == NULL) {
        return;
    }
    int is_known = 1;
    for (uint32_t i = 0; i < shape->size; i++) {
        texts[i] = at;
        lengths[i] = write_name(at, shape->keys[i], names->scheme);
        is_known = is_known && lengths[i] > 0;
        names->has_changed = names->has_changed || needs_quotes(at, lengths[i]) || !is_text(shape->keys[i], at, lengths[i]);
        names->has_le = names->has_le || is_text(shape->keys[i], "le", 2);
        at += lengths[i];
    }
    names->is_known = is_known && sort_names(names, texts, lengths, shape->size);
    PyMem_RawFree(space);
}

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
        find_names(names, tags->shape);
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
    if (end == NULL) {
        head->is_known = 0;
        return 1;
    }
    size_t length = (size_t)(end - text);
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
    Labels *labels = is_complete ? PyMem_RawRealloc(growing.text, growing.size + SLACK) : NULL;
    if (labels == NULL) {
        PyMem_RawFree(growing.text);
        return NULL;
    }
    labels->size = growing.size - offsetof(Labels, text);
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
    int is_other = labels != NULL && scheme != UNDERSCORES && (labels->has_changed || !labels->is_known);
    return is_other ? get_labels(block, scheme) : labels;
}

/* Telling labels apart */

#define MOST_KEYS 64 /* of all shapes together: more are not compared */
#define LONGEST_KEY 256

/* Add the keys of a shape to those that are known: 1; 0 if one has the name of another, or there are too many. */
static int
add_keys(PyObject **keys, uint32_t *n, const Shape *shape, Scheme scheme)
{
    char name[4 * LONGEST_KEY], other[4 * LONGEST_KEY];
    for (uint32_t i = 0; i < shape->size; i++) {
        PyObject *key = shape->keys[i];
        if (PyUnicode_GET_LENGTH(key) > LONGEST_KEY) {
            return 0;
        }
        size_t length = write_name(name, key, scheme);
        uint32_t j = 0;
        for (; j < *n && !str_equal(keys[j], key); j++) {
            if (compare(name, length, other, write_name(other, keys[j], scheme)) == 0) {
                return 0;
            }
        }
        if (j == MOST_KEYS) {
            return 0;
        }
        keys[j] = key;
        *n += j == *n;
    }
    return 1;
}

int
are_distinct(const Labels *const *all, uint32_t n, Scheme scheme)
{
    int has_changed = 0, is_certain = 1;
    for (uint32_t i = 0; i < n; i++) {
        is_certain = is_certain && all[i]->is_known && !all[i]->has_empty;
        has_changed = has_changed || all[i]->has_changed;
    }
    if (!is_certain || !has_changed) { /* where each label is its tag, no two tag sets have the same */
        return is_certain;
    }
    PyObject *keys[MOST_KEYS];
    uint32_t n_keys = 0;
    const Shape *last = NULL;
    for (uint32_t i = 0; i < n; i++) {
        if (all[i]->n_shapes > MOST_SHAPES) {
            return 0;
        }
        for (uint32_t j = 0; j < all[i]->n_shapes; j++) {
            if (all[i]->shapes[j] != last && !add_keys(keys, &n_keys, all[i]->shapes[j], scheme)) {
                return 0;
            }
            last = all[i]->shapes[j];
        }
    }
    return 1;
}
