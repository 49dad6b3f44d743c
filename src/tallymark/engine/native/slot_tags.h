/* The tags of a slot that another process made. */
#ifndef TALLYMARK_SLOT_TAGS_H
#define TALLYMARK_SLOT_TAGS_H

#include "tagset.h"

#include "slot.h"

/* Without running any Python code: a new reference; NULL with an exception or, where only the next one can tell it, without.
 * `*hint` is a shape that it may have, and has then. */
TagSet *slot_tags(State *state, const Entry *entry, const Slot *slot, Shape **hint);

/* In Python: a new reference; NULL with an exception or, where the text is damaged, without. The text is put into `*text`,
 * if there is one: a new reference. */
TagSet *slot_tags_slowly(State *state, const Entry *entry, const Slot *slot, PyObject **text);

#endif
