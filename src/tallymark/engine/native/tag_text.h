/* The text by which processes know a series: key and value of each tag, sorted by key, each after its length in bytes. */
#ifndef TALLYMARK_TAG_TEXT_H
#define TALLYMARK_TAG_TEXT_H

#include "tagset.h"

/* The text of a tag set: bytes, or NULL with an exception. */
PyObject *text_of_tags(const TagSet *tags);

/* The tags of a text, as engine/text.py reads it: a dict, or None for a text that is damaged; NULL with an exception. */
PyObject *tags_of_text(State *state, PyObject *text);

#endif
