/* The format is that of https://protobuf.dev/programming-guides/encoding/. */
#include "tag_fields.h"

#include "label_names.h"

#define MOST_NESTED 3
#define LONGEST_HEAD 11 /* bytes: the tag of a field, and a length of 64 bits */

/* What one call needs. */
typedef struct {
    State *state;
    PyObject *layouts;           /* borrowed */
    const unsigned char *nested; /* the tags of fields, borrowed */
    Py_ssize_t depth;            /* how many they are */
    Shape *shape;                /* of the tags before: owned, so that no other one has its address; NULL at first */
    PyObject *layout;            /* of this shape, checked: owned */
    Growing growing;             /* the fields of one tag set */
    int is_left_out;             /* 1: a value was empty, and something else written */
} Making;

/* Layouts */

static int
is_place(PyObject *place, uint32_t size)
{
    if (!PyLong_CheckExact(place)) {
        PyErr_Format(PyExc_TypeError, "a place must be an int, not %.200s", Py_TYPE(place)->tp_name);
        return 0;
    }
    int overflow;
    long at = PyLong_AsLongAndOverflow(place, &overflow);
    if (overflow != 0 || at < 0 || at >= (long)size) {
        PyErr_Format(PyExc_IndexError, "a layout has a place that its %u tags do not have", (unsigned int)size);
        return 0;
    }
    return 1;
}

static int
is_part(PyObject *part, uint32_t size)
{
    if (!PyTuple_CheckExact(part) || PyTuple_GET_SIZE(part) != 3 || !PyBytes_CheckExact(PyTuple_GET_ITEM(part, 0))
        || (PyTuple_GET_ITEM(part, 1) != Py_None && !PyBytes_CheckExact(PyTuple_GET_ITEM(part, 1)))
        || !PyTuple_CheckExact(PyTuple_GET_ITEM(part, 2))) {
        PyErr_SetString(PyExc_TypeError, "a part of a layout must be bytes, bytes or None, and a tuple of places");
        return 0;
    }
    PyObject *places = PyTuple_GET_ITEM(part, 2);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(places); i++) {
        if (!is_place(PyTuple_GET_ITEM(places, i), size)) {
            return 0;
        }
    }
    return 1;
}

/* Return 1 for a layout that can be read without any further check: it consists of what never changes. 0 with an exception. */
static int
is_layout(PyObject *layout, uint32_t size)
{
    if (!PyTuple_CheckExact(layout)) {
        PyErr_Format(PyExc_TypeError, "a layout must be a tuple, not %.200s", Py_TYPE(layout)->tp_name);
        return 0;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(layout); i++) {
        if (!is_part(PyTuple_GET_ITEM(layout, i), size)) {
            return 0;
        }
    }
    return 1;
}

/* Find the layout for another shape: 0, or -1 with an exception. This may run Python code. */
static int
find_layout(Making *making, Shape *shape)
{
    PyObject *keys = PyTuple_New(shape->size);
    if (keys == NULL) {
        return -1;
    }
    for (uint32_t i = 0; i < shape->size; i++) {
        PyTuple_SET_ITEM(keys, i, Py_NewRef(shape->keys[i]));
    }
    PyObject *layout = PyObject_GetItem(making->layouts, keys);
    Py_DECREF(keys);
    if (layout == NULL || !is_layout(layout, shape->size)) {
        Py_XDECREF(layout);
        return -1;
    }
    if (making->shape != NULL) {
        shape_release(&making->state->shapes, making->shape);
    }
    making->shape = shape_retain(shape);
    Py_XSETREF(making->layout, layout);
    return 0;
}

/* Texts */

static inline int
is_surrogate(Py_UCS4 c)
{
    return c >= 0xd800 && c < 0xe000;
}

static size_t
text_size(PyObject *text)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    if (PyUnicode_IS_ASCII(text)) {
        return (size_t)length;
    }
    int kind = (int)PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    size_t size = 0;
    for (Py_ssize_t i = 0; i < length; i++) {
        Py_UCS4 c = PyUnicode_READ(kind, data, i);
        size += c < 0x80 || is_surrogate(c) ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    }
    return size;
}

static char *
write_utf8(char *at, Py_UCS4 c)
{
    if (c < 0x80 || is_surrogate(c)) {
        *at = c < 0x80 ? (char)c : '?';
        return at + 1;
    }
    uint32_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};
    *at++ = (char)(first[more] | (c >> (6 * more)));
    while (more-- > 0) {
        *at++ = (char)(0x80 | ((c >> (6 * more)) & 0x3f));
    }
    return at;
}

static char *
write_text(char *at, PyObject *text)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    const void *data = PyUnicode_DATA(text);
    if (PyUnicode_IS_ASCII(text)) {
        memcpy(at, data, (size_t)length);
        return at + length;
    }
    int kind = (int)PyUnicode_KIND(text);
    for (Py_ssize_t i = 0; i < length; i++) {
        at = write_utf8(at, PyUnicode_READ(kind, data, i));
    }
    return at;
}

/* Fields */

static size_t
varint_size(size_t number)
{
    size_t size = 1;
    while (number > 127) {
        number >>= 7;
        size++;
    }
    return size;
}

static char *
write_head(char *at, unsigned char tag, size_t length)
{
    *at++ = (char)tag;
    while (length > 127) {
        *at++ = (char)((length & 127) | 128);
        length >>= 7;
    }
    *at++ = (char)length;
    return at;
}

static PyObject *
value_at(const TagSet *tags, PyObject *places, Py_ssize_t i)
{
    return tags->values[PyLong_AsLong(PyTuple_GET_ITEM(places, i))];
}

/* The size of the values at some places, joined. */
static size_t
joined_size(const TagSet *tags, PyObject *places)
{
    Py_ssize_t n = PyTuple_GET_SIZE(places);
    size_t size = n == 0 ? 0 : (size_t)n - 1;
    for (Py_ssize_t i = 0; i < n; i++) {
        size += text_size(value_at(tags, places, i));
    }
    return size;
}

/* Append a message: 1; 0 without memory. */
static int
append_message(Making *making, const TagSet *tags, PyObject *head, PyObject *places, size_t text)
{
    size_t lengths[MOST_NESTED], last = (size_t)making->depth - 1, before = (size_t)PyBytes_GET_SIZE(head);
    lengths[last] = text;
    for (size_t i = last; i > 0; i--) {
        lengths[i - 1] = 1 + varint_size(lengths[i]) + lengths[i];
    }
    lengths[0] += before;
    if (!reserve(&making->growing, lengths[0] + LONGEST_HEAD)) {
        return 0;
    }
    char *at = write_head(making->growing.text + making->growing.size, making->nested[0], lengths[0]);
    memcpy(at, PyBytes_AS_STRING(head), before);
    at += before;
    for (size_t i = 1; i <= last; i++) {
        at = write_head(at, making->nested[i], lengths[i]);
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(places); i++) {
        if (i > 0) {
            *at++ = ';';
        }
        at = write_text(at, value_at(tags, places, i));
    }
    making->growing.size = (size_t)(at - making->growing.text);
    return 1;
}

/* Append bytes: 1; 0 without memory. */
static int
append_bytes(Growing *growing, PyObject *bytes)
{
    size_t size = (size_t)PyBytes_GET_SIZE(bytes);
    if (!reserve(growing, size + 1)) { /* one more, so that there is a place for none too */
        return 0;
    }
    memcpy(growing->text + growing->size, PyBytes_AS_STRING(bytes), size);
    growing->size += size;
    return 1;
}

/* Append what a part tells: 1; 0 without memory. */
static int
append_part(Making *making, const TagSet *tags, PyObject *part)
{
    PyObject *otherwise = PyTuple_GET_ITEM(part, 1), *places = PyTuple_GET_ITEM(part, 2);
    size_t text = joined_size(tags, places);
    if (text > 0 || otherwise == Py_None) {
        return append_message(making, tags, PyTuple_GET_ITEM(part, 0), places, text);
    }
    making->is_left_out = making->is_left_out || PyTuple_GET_SIZE(places) > 0;
    return append_bytes(&making->growing, otherwise);
}

/* Return the fields of one tag set: bytes, or NULL with an exception. */
static PyObject *
fields_of(Making *making, const TagSet *tags)
{
    if (tags->shape != making->shape && find_layout(making, tags->shape) < 0) {
        return NULL;
    }
    making->growing.size = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(making->layout); i++) {
        if (!append_part(making, tags, PyTuple_GET_ITEM(making->layout, i))) {
            return PyErr_NoMemory();
        }
    }
    return PyBytes_FromStringAndSize(making->growing.text, (Py_ssize_t)making->growing.size);
}

/* Append the fields of one series: 0, or -1 with an exception. */
static int
append_fields(Making *making, PyObject *made, PyObject *tags)
{
    PyObject *fields = fields_of(making, (TagSet *)tags);
    int result = fields == NULL ? -1 : PyList_Append(made, fields);
    Py_XDECREF(fields);
    return result;
}

/* Append the fields of all series: 1; 0 where some tags are of another type; -1 with an exception. */
static int
append_all(Making *making, PyObject *made, PyObject *column)
{
    /* Python code that looks for a layout may change a list. */
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(column); i++) {
        PyObject *tags = PySequence_Fast_GET_ITEM(column, i);
        if (!Py_IS_TYPE(tags, making->state->tagset_type)) {
            return 0;
        }
        Py_INCREF(tags);
        int result = append_fields(making, made, tags);
        Py_DECREF(tags);
        if (result < 0) {
            return -1;
        }
    }
    return 1;
}

static int
are_arguments(PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3) {
        PyErr_Format(PyExc_TypeError, "tag_fields() takes 3 arguments, not %zd", nargs);
        return 0;
    }
    if (!PyBytes_CheckExact(args[2])) {
        PyErr_Format(PyExc_TypeError, "nested must be bytes, not %.200s", Py_TYPE(args[2])->tp_name);
        return 0;
    }
    Py_ssize_t depth = PyBytes_GET_SIZE(args[2]);
    if (depth != 2 && depth != MOST_NESTED) {
        PyErr_Format(PyExc_ValueError, "nested must have 2 or 3 bytes, not %zd", depth);
        return 0;
    }
    return 1;
}

/* What the reference engine returns, which takes tags of any type. */
static PyObject *
by_reference(State *state, PyObject *column, PyObject *const *args)
{
    PyObject *function = borrowed(state, TAG_FIELDS);
    return function == NULL ? NULL : PyObject_CallFunctionObjArgs(function, column, args[1], args[2], NULL);
}

PyObject *
tag_fields(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *column = !are_arguments(args, nargs) ? NULL : PySequence_Fast(args[0], "column must be a sequence of tags");
    PyObject *made = column == NULL ? NULL : PyList_New(0), *result = NULL;
    Making making = {.state = PyModule_GetState(module)};
    if (made != NULL) {
        making.layouts = args[1];
        making.nested = (const unsigned char *)PyBytes_AS_STRING(args[2]);
        making.depth = PyBytes_GET_SIZE(args[2]);
        int is_ours = append_all(&making, made, column);
        result = is_ours < 0 ? NULL
                 : is_ours   ? Py_BuildValue("(OO)", made, making.is_left_out ? Py_True : Py_False)
                             : by_reference(making.state, column, args);
    }
    if (making.shape != NULL) {
        shape_release(&making.state->shapes, making.shape);
    }
    PyMem_RawFree(making.growing.text);
    Py_XDECREF(making.layout);
    Py_XDECREF(made);
    Py_XDECREF(column);
    return result;
}
