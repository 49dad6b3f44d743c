#include "slot_tags.h"

#include "tag_text.h"

#define SHORT 1024 /* bytes: a longer text takes the slow way */

TagSet *
slot_tags(State *state, const Entry *entry, const Slot *slot, Shape **hint)
{
    char text[SHORT];
    int64_t length = slot_read_text(entry, slot, text, sizeof text);
    return length < 0 ? NULL : tagset_of_text(state, text, (uint32_t)length, hint);
}

TagSet *
slot_tags_slowly(State *state, const Entry *entry, const Slot *slot, PyObject **text)
{
    PyObject *bytes = slot_copy_text(entry, slot);
    PyObject *items = bytes == NULL || bytes == Py_None ? Py_XNewRef(bytes) : tags_of_text(state, bytes);
    TagSet *tags = items == NULL || items == Py_None ? NULL : tagset_from_sorted(state, items);
    Py_XDECREF(items);
    if (text != NULL) {
        *text = bytes;
    }
    else {
        Py_XDECREF(bytes);
    }
    return tags;
}
