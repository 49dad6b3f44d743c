/* The options of a family, read from a FamilyOptions once. */
#ifndef TALLYMARK_FAMILY_OPTIONS_H
#define TALLYMARK_FAMILY_OPTIONS_H

#include "family.h"

/* Set a family up from its options: 0, or -1 with an exception. */
int family_read_options(Family *self);

#endif
