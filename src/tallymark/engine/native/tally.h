/* A tally: one call that counts, and times if it has a timer. */
#ifndef TALLYMARK_TALLY_H
#define TALLYMARK_TALLY_H

#include "state.h"

extern PyType_Spec tally_spec;

#endif
