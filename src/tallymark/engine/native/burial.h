/* Burial: what processes that died held is taken back, and their shares of gauges are ended. */
#ifndef TALLYMARK_BURIAL_H
#define TALLYMARK_BURIAL_H

#include "places.h"

/* Under the lock: bury these processes. Count the live series again: one that was killed may have left the number wrong. */
void bury(Shared *shared, const uint64_t dead[PLACE_WORDS]);

/* Under the lock: find and bury all that died. */
void bury_all(Shared *shared);

#endif
