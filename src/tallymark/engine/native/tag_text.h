/* The text by which processes know a series: key and value of each tag, sorted by key, each after its length in bytes. */
#ifndef TALLYMARK_TAG_TEXT_H
#define TALLYMARK_TAG_TEXT_H

#include "tagset.h"

/* The text of a tag set: bytes, or NULL with an exception. */
PyObject *text_of_tags(const TagSet *tags);

/* The tag set of a text, without running any Python code: a new reference. NULL without an exception where only
 * tags_of_text() can tell: the text may be damaged, or its keys are seen for the first time. `*hint` is a shape that it may
 * have, and has then. */
TagSet *tagset_of_text(State *state, const char *text, uint32_t length, Shape **hint);

/* The tags of a text, as engine/text.py reads it: a dict, or None for a text that is damaged; NULL with an exception. */
PyObject *tags_of_text(State *state, PyObject *text);

#endif
