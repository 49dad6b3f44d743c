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

PyObject *
tags_of_text(State *state, PyObject *text)
{
    PyObject *text_tags = borrowed(state, TEXT_TAGS);
    return text_tags == NULL ? NULL : PyObject_CallFunctionObjArgs(text_tags, text, NULL);
}
