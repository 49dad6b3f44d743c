#include "tag_texts.h"

#include "tagset.h"

#define ASCII 128      /* characters */
#define CHARACTERS 129 /* in a table: after those of ASCII, all others */

/* What stands around the values of a shape. */
typedef struct {
    const Shape *shape; /* of a tag set that is being written; NULL before the first */
    PyObject *frame;    /* owned: None, or a pair of the pieces and of True if all is told as it is */
    PyObject *pieces;   /* of the frame: one more than there are keys; NULL for None */
    Py_ssize_t length;  /* of all pieces */
    int is_exact;
} Frame;

typedef struct {
    const State *state;
    PyObject *frames;            /* a mapping of keys to frames */
    const unsigned char *becomes; /* what each character of a value is written as; 0: it cannot be */
    Py_ssize_t longest;
    Py_ssize_t missing; /* texts */
    int is_exact;       /* 1 while all that are there tell their tags as they are */
    Frame last;
} Texts;

static PyObject *
keys_of(const Shape *shape)
{
    PyObject *keys = PyTuple_New(shape->size);
    for (uint32_t i = 0; keys != NULL && i < shape->size; i++) {
        PyTuple_SET_ITEM(keys, i, Py_NewRef(shape->keys[i]));
    }
    return keys;
}

/* Return the length of all pieces; -1 if they are not those of so many keys. */
static Py_ssize_t
length_of_pieces(PyObject *pieces, uint32_t n_keys)
{
    Py_ssize_t length = 0;
    if (!PyTuple_CheckExact(pieces) || PyTuple_GET_SIZE(pieces) != (Py_ssize_t)n_keys + 1) {
        return -1;
    }
    for (Py_ssize_t i = 0; i <= (Py_ssize_t)n_keys; i++) {
        PyObject *piece = PyTuple_GET_ITEM(pieces, i);
        if (!PyUnicode_CheckExact(piece) || !PyUnicode_IS_ASCII(piece)) {
            return -1;
        }
        length += PyUnicode_GET_LENGTH(piece);
    }
    return length;
}

/* Read a frame: 0, or -1 with an exception. */
static int
frame_read(Frame *frame, PyObject *given_steal, const Shape *shape)
{
    int is_pair = PyTuple_CheckExact(given_steal) && PyTuple_GET_SIZE(given_steal) == 2;
    Frame found = {.shape = shape, .frame = given_steal};
    if (given_steal != Py_None) {
        found.pieces = is_pair ? PyTuple_GET_ITEM(given_steal, 0) : NULL;
        found.is_exact = is_pair && PyTuple_GET_ITEM(given_steal, 1) == Py_True;
        found.length = found.pieces == NULL ? -1 : length_of_pieces(found.pieces, shape->size);
    }
    if (found.length < 0) {
        PyErr_SetString(PyExc_TypeError, "a frame must be None, or a tuple of ASCII texts, one more than there are keys, and a bool");
        Py_DECREF(given_steal);
        return -1;
    }
    PyObject *before = frame->frame;
    *frame = found;
    Py_XDECREF(before);
    return 0;
}

/* Have the frame of a shape: 0, or -1 with an exception. This may run Python code. */
static int
find_frame(Texts *texts, const Shape *shape)
{
    if (texts->last.shape == shape) {
        return 0;
    }
    PyObject *keys = keys_of(shape);
    PyObject *frame = keys == NULL ? NULL : PyObject_GetItem(texts->frames, keys);
    Py_XDECREF(keys);
    return frame == NULL ? -1 : frame_read(&texts->last, frame, shape);
}

/* Return the length of a text; -1 if only Python code can write it. */
static Py_ssize_t
length_of_text(const Texts *texts, const TagSet *tags)
{
    Py_ssize_t length = texts->last.length;
    if (texts->last.pieces == NULL) {
        return -1;
    }
    for (uint32_t i = 0; i < tags->shape->size; i++) {
        PyObject *value = tags->values[i];
        if (PyUnicode_GET_LENGTH(value) == 0 || (!PyUnicode_IS_ASCII(value) && texts->becomes[ASCII] == 0)) {
            return -1;
        }
        length += PyUnicode_GET_LENGTH(value);
    }
    return length <= texts->longest ? length : -1;
}

static unsigned char *
write_piece(unsigned char *at, PyObject *piece)
{
    size_t length = (size_t)PyUnicode_GET_LENGTH(piece);
    memcpy(at, PyUnicode_DATA(piece), length);
    return at + length;
}

/* Write a value that is not all ASCII, and so changes: 1, or 0 if one of its characters cannot be written. */
static int
write_other_value(unsigned char *at, PyObject *value, const unsigned char *becomes)
{
    int kind = (int)PyUnicode_KIND(value), is_complete = 1;
    const void *data = PyUnicode_DATA(value);
    for (Py_ssize_t i = 0; i < PyUnicode_GET_LENGTH(value); i++) {
        Py_UCS4 c = PyUnicode_READ(kind, data, i);
        at[i] = becomes[c < ASCII ? c : ASCII];
        is_complete = is_complete && at[i] != 0;
    }
    return is_complete;
}

/* Write a text into its memory: 1, or 0 if a character of a value cannot be written. */
static int
write_text(Texts *texts, const TagSet *tags, unsigned char *at)
{
    const unsigned char *becomes = texts->becomes;
    unsigned char is_missing = 0, change = 0;
    for (uint32_t i = 0; i < tags->shape->size; i++) {
        at = write_piece(at, PyTuple_GET_ITEM(texts->last.pieces, i));
        const unsigned char *value = PyUnicode_DATA(tags->values[i]);
        Py_ssize_t length = PyUnicode_GET_LENGTH(tags->values[i]);
        int is_ascii = PyUnicode_IS_ASCII(tags->values[i]) != 0;
        if (!is_ascii) {
            is_missing |= !write_other_value(at, tags->values[i], becomes);
            change = 1;
        }
        for (Py_ssize_t j = 0; is_ascii && j < length; j++) {
            unsigned char c = becomes[value[j]];
            is_missing |= c == 0;
            change |= c ^ value[j];
            at[j] = c;
        }
        at += length;
    }
    write_piece(at, PyTuple_GET_ITEM(texts->last.pieces, tags->shape->size));
    if (!is_missing) {
        texts->is_exact = texts->is_exact && texts->last.is_exact && change == 0;
    }
    return !is_missing;
}

/* Return the text of some tags, or None if only Python code can write it; NULL with an exception. */
static PyObject *
text_of(Texts *texts, PyObject *tags)
{
    PyObject *text = NULL;
    Py_ssize_t length = -1;
    if (Py_IS_TYPE(tags, texts->state->tagset_type)) {
        if (find_frame(texts, ((TagSet *)tags)->shape) < 0) {
            return NULL;
        }
        length = length_of_text(texts, (TagSet *)tags);
    }
    if (length >= 0) {
        text = PyUnicode_New(length, ASCII - 1);
        if (text == NULL) {
            return NULL;
        }
        if (!write_text(texts, (TagSet *)tags, PyUnicode_DATA(text))) {
            Py_CLEAR(text);
        }
    }
    if (text == NULL) {
        texts->missing++;
        return Py_NewRef(Py_None);
    }
    return text;
}

/* The list grows as it is filled: the code that makes a frame never sees a list with holes. */
static PyObject *
all_texts(Texts *texts, PyObject *column)
{
    PyObject *all = PyList_New(0);
    for (Py_ssize_t i = 0; all != NULL && i < PyTuple_GET_SIZE(column); i++) {
        PyObject *text = text_of(texts, PyTuple_GET_ITEM(column, i));
        if (text == NULL || PyList_Append(all, text) < 0) {
            Py_CLEAR(all);
        }
        Py_XDECREF(text);
    }
    return all;
}

/* Return what each character becomes; NULL with an exception. */
static const unsigned char *
characters_of(PyObject *given)
{
    int is_table = PyBytes_CheckExact(given) && PyBytes_GET_SIZE(given) == CHARACTERS;
    const unsigned char *becomes = is_table ? (const unsigned char *)PyBytes_AS_STRING(given) : NULL;
    for (int i = 0; is_table && i < CHARACTERS; i++) {
        is_table = becomes[i] < ASCII;
    }
    if (!is_table) {
        PyErr_SetString(PyExc_ValueError, "what characters become must be 129 bytes of ASCII");
        return NULL;
    }
    return becomes;
}

PyObject *
tag_texts(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 4) {
        PyErr_Format(PyExc_TypeError, "tag_texts() takes exactly 4 arguments (%zd given)", nargs);
        return NULL;
    }
    Texts texts = {.state = PyModule_GetState(module), .frames = args[1], .is_exact = 1};
    texts.longest = PyNumber_AsSsize_t(args[3], NULL); /* a number that is too large is the largest */
    if ((texts.longest == -1 && PyErr_Occurred()) || (texts.becomes = characters_of(args[2])) == NULL) {
        return NULL;
    }
    PyObject *column = PySequence_Tuple(args[0]); /* which nobody changes meanwhile */
    PyObject *all = column == NULL ? NULL : all_texts(&texts, column);
    PyObject *result = all == NULL ? NULL : Py_BuildValue("OnO", all, texts.missing, texts.is_exact ? Py_True : Py_False);
    Py_XDECREF(texts.last.frame);
    Py_XDECREF(column);
    Py_XDECREF(all);
    return result;
}
