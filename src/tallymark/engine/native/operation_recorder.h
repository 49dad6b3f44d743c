/* An operation recorder: one call that counts, and times if it has a timer. */
#ifndef TALLYMARK_OPERATION_RECORDER_H
#define TALLYMARK_OPERATION_RECORDER_H

#include "state.h"

extern PyType_Spec operation_recorder_spec;

#endif
