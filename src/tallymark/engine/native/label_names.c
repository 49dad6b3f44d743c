#include "label_names.h"

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

/* Return 1 for a name that some scheme changes, but for "dots", which changes every underscore. */
static int
is_escaped(const char *name, size_t length)
{
    return needs_quotes(name, length) || (length >= 3 && memcmp(name, "U__", 3) == 0);
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
    memcpy(at + length, &"\"=\""[!has_quotes], 3);
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

void
names_find(Names *names, const Shape *shape)
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
        names->has_changed = names->has_changed || is_escaped(at, lengths[i]) || !is_text(shape->keys[i], at, lengths[i]);
        names->has_le = names->has_le || is_text(shape->keys[i], "le", 2);
        at += lengths[i];
    }
    names->is_known = is_known && sort_names(names, texts, lengths, shape->size);
    PyMem_RawFree(space);
}

/* Telling names apart */

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
shapes_are_distinct(const Shape *const *shapes, uint32_t n, Scheme scheme)
{
    PyObject *keys[MOST_KEYS];
    uint32_t n_keys = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!add_keys(keys, &n_keys, shapes[i], scheme)) {
            return 0;
        }
    }
    return 1;
}
