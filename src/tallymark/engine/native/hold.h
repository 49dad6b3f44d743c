/* A hold of the GIL that is interrupted, so that no other thread waits for long. */
#ifndef TALLYMARK_HOLD_H
#define TALLYMARK_HOLD_H

#include <Python.h>

#include <stdint.h>

typedef struct {
    int64_t since; /* a clock of nanoseconds */
} Hold;

void hold_begin(Hold *hold);

/* Let other threads run if they have waited for long enough. Whatever the GIL protects may be another afterwards. */
void hold_pause(Hold *hold);

#endif
