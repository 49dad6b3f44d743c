#include "tag_text.h"

static char *
write_text(char *at, PyObject *item)
{
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize(item, &size);
    uint32_t prefix = (uint32_t)size;
    memcpy(at, &prefix, sizeof prefix);
    memcpy(at + sizeof prefix, utf8, prefix);
    return at + sizeof prefix + prefix;
}

PyObject *
text_of_tags(const TagSet *tags)
{
    const Shape *shape = tags->shape;
    Py_ssize_t length = 0, size;
    for (uint32_t i = 0; i < 2 * shape->size; i++) {
        if (PyUnicode_AsUTF8AndSize(i % 2 ? tags->values[i / 2] : shape->keys[i / 2], &size) == NULL) {
            return NULL;
        }
        length += (Py_ssize_t)sizeof(uint32_t) + size;
    }
    PyObject *text = PyBytes_FromStringAndSize(NULL, length);
    char *at = text == NULL ? NULL : PyBytes_AS_STRING(text);
    for (uint32_t i = 0; text != NULL && i < shape->size; i++) {
        at = write_text(write_text(at, shape->keys[i]), tags->values[i]); /* which have their UTF-8 with them by now */
    }
    return text;
}

typedef struct {
    const char *at;
    uint32_t length;
} Part;

/* Cut a text into its parts: how many, or -1 where they are not pairs, or too many. */
static int
cut(const char *text, uint32_t length, Part parts[2 * MAX_TAGS])
{
    int n = 0;
    while (length > 0) {
        uint32_t size;
        if (n == 2 * MAX_TAGS || length < sizeof size) {
            return -1;
        }
        memcpy(&size, text, sizeof size);
        if (size > length - sizeof size) {
            return -1;
        }
        parts[n++] = (Part){text + sizeof size, size};
        text += sizeof size + size;
        length -= (uint32_t)sizeof size + size;
    }
    return n % 2 == 0 ? n : -1;
}

static int
has_keys(const Shape *shape, const Part *parts, uint32_t n_tags)
{
    if (shape == NULL || shape->size != n_tags) {
        return 0;
    }
    for (uint32_t i = 0; i < n_tags; i++) {
        Py_ssize_t size;
        const char *key = PyUnicode_AsUTF8AndSize(shape->keys[i], &size);
        if (key == NULL) {
            PyErr_Clear();
            return 0;
        }
        if (size != (Py_ssize_t)parts[2 * i].length || memcmp(key, parts[2 * i].at, parts[2 * i].length) != 0) {
            return 0;
        }
    }
    return 1;
}

/* Make str of every second part, from the first or the second on: 0, or -1, without an exception where one is not UTF-8. */
static int
decode(const Part *parts, uint32_t n_tags, PyObject **texts)
{
    for (uint32_t i = 0; i < n_tags; i++) {
        texts[i] = PyUnicode_DecodeUTF8(parts[2 * i].at, (Py_ssize_t)parts[2 * i].length, NULL);
        if (texts[i] == NULL) {
            if (PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
                PyErr_Clear();
            }
            return -1;
        }
    }
    return 0;
}

static void
release(PyObject **texts, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        Py_CLEAR(texts[i]);
    }
}

TagSet *
tagset_of_text(State *state, const char *text, uint32_t length, Shape **hint)
{
    Part parts[2 * MAX_TAGS];
    PyObject *texts[MAX_TAGS] = {NULL};
    int n = cut(text, length, parts);
    uint32_t n_tags = n < 0 ? 0 : (uint32_t)n / 2;
    if (n < 0) {
        return NULL;
    }
    if (!has_keys(*hint, parts, n_tags)) {
        if (decode(parts, n_tags, texts) == 0) {
            *hint = shape_find(&state->shapes, texts, n_tags);
        }
        int known = has_keys(*hint, parts, n_tags);
        release(texts, n_tags);
        if (!known) {
            return NULL;
        }
    }
    TagSet *found = decode(parts + 1, n_tags, texts) == 0 ? tagset_get(state, *hint, texts) : NULL;
    release(texts, n_tags);
    return found;
}

PyObject *
tags_of_text(State *state, PyObject *text)
{
    PyObject *text_tags = borrowed(state, TEXT_TAGS);
    return text_tags == NULL ? NULL : PyObject_CallFunctionObjArgs(text_tags, text, NULL);
}
