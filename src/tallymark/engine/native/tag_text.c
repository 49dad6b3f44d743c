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

static size_t
utf8_length(PyObject *text)
{
    size_t length = 0;
    if (PyUnicode_IS_ASCII(text)) {
        return (size_t)PyUnicode_GET_LENGTH(text);
    }
    for (Py_ssize_t i = 0; i < PyUnicode_GET_LENGTH(text); i++) {
        Py_UCS4 c = PyUnicode_READ_CHAR(text, i);
        length += c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    }
    return length;
}

/* Make str of every second part, from the first on: 0, or -1, without an exception where one is not UTF-8. An exception for that
 * would start a garbage collection on Python 3.11, so what is not UTF-8 is ignored, and missed afterwards. */
static int
decode(const Part *parts, uint32_t n_tags, PyObject **texts)
{
    for (uint32_t i = 0; i < n_tags; i++) {
        texts[i] = PyUnicode_DecodeUTF8(parts[2 * i].at, (Py_ssize_t)parts[2 * i].length, "ignore");
        if (texts[i] == NULL || utf8_length(texts[i]) != parts[2 * i].length) {
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
    Part parts[2 * MAX_TAGS] = {{0}};
    PyObject *texts[MAX_TAGS] = {NULL};
    int n = cut(text, length, parts);
    uint32_t n_tags = n < 0 ? 0 : (uint32_t)n / 2;
    if (n < 0) {
        return NULL;
    }
    if (!has_keys(*hint, parts, n_tags)) {
        *hint = decode(parts, n_tags, texts) == 0 ? shape_find(&state->shapes, texts, n_tags) : NULL;
        release(texts, n_tags);
        if (*hint == NULL) {
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
