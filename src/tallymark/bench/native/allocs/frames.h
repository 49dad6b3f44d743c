/* Reads a thread's stack of Python calls as the interpreter keeps it: nothing is made for it, and nothing is traced.
 *
 * The layout of a frame is internal to CPython, and its headers are installed with it. Where they are missing, and on versions
 * that are not known here, CAN_READ_STACKS is 0. `tracemalloc` reads the same fields in the same place, inside an allocator. */
#ifndef TALLYMARK_BENCH_FRAMES_H
#define TALLYMARK_BENCH_FRAMES_H

#include <Python.h>

#ifdef __has_include
#if PY_VERSION_HEX < 0x030F0000 && __has_include(<internal/pycore_frame.h>)
#define CAN_READ_STACKS 1
#endif
#endif
#ifndef CAN_READ_STACKS
#define CAN_READ_STACKS 0
#endif

#if CAN_READ_STACKS

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#ifndef Py_BUILD_CORE
#define Py_BUILD_CORE
#endif
#if PY_VERSION_HEX >= 0x030E0000
#include <internal/pycore_interpframe.h>
#else
#include <internal/pycore_frame.h>
#endif
#pragma GCC diagnostic pop

/* Distinct calls of one stack; of a deeper one, its outer end is cut off. Frames: a bound for a chain that is not one. */
enum { MOST_CALLS = 1024, MOST_FRAMES = 1 << 20 };

/* A call that goes on: where in its code it is, in code units. The code is borrowed. */
typedef struct {
    PyCodeObject *code;
    int at;
} Call;

typedef struct {
    int n, cut;
    Call calls[MOST_CALLS]; /* the innermost first */
} Calls;

/* In a signal handler a frame may be none: that is caught, see samples.c, and is not for sanitizers to judge. */
#define READS_FRAMES static inline __attribute__((no_sanitize("address"), no_sanitize("undefined")))

READS_FRAMES struct _PyInterpreterFrame *
innermost_frame(const PyThreadState *state)
{
#if PY_VERSION_HEX >= 0x030D0000
    return state->current_frame;
#else
    return state->cframe->current_frame;
#endif
}

/* The interpreter has frames of its own between those of Python code. */
READS_FRAMES int
is_of_python(const struct _PyInterpreterFrame *frame)
{
#if PY_VERSION_HEX >= 0x030E0000
    return frame->owner < FRAME_OWNED_BY_INTERPRETER;
#elif PY_VERSION_HEX >= 0x030C0000
    return frame->owner != FRAME_OWNED_BY_CSTACK;
#else
    (void)frame;
    return 1;
#endif
}

READS_FRAMES Call
call_of(const struct _PyInterpreterFrame *frame)
{
#if PY_VERSION_HEX >= 0x030E0000
    PyCodeObject *code = (PyCodeObject *)PyStackRef_AsPyObjectBorrow(frame->f_executable);
    return (Call){code, (int)(frame->instr_ptr - _PyCode_CODE(code))};
#elif PY_VERSION_HEX >= 0x030D0000
    PyCodeObject *code = (PyCodeObject *)frame->f_executable;
    return (Call){code, (int)(frame->instr_ptr - _PyCode_CODE(code))};
#else
    return (Call){frame->f_code, (int)(frame->prev_instr - _PyCode_CODE(frame->f_code))};
#endif
}

/* Read the stack of a thread, which must be this one. A function that calls itself from one place appears there once.
 *
 * Only the frames are read, not what they refer to: that may be called from a signal handler. */
READS_FRAMES void
read_calls(const PyThreadState *state, Calls *calls)
{
    const struct _PyInterpreterFrame *frame = innermost_frame(state);
    calls->n = calls->cut = 0;
    for (int frames = 0; frame != NULL && frames < MOST_FRAMES; frames++, frame = frame->previous) {
        if (!is_of_python(frame)) {
            continue;
        }
        Call call = call_of(frame);
        if (calls->n > 0 && calls->calls[calls->n - 1].code == call.code && calls->calls[calls->n - 1].at == call.at) {
            continue;
        }
        if (calls->n == MOST_CALLS) {
            calls->cut = 1;
            return;
        }
        calls->calls[calls->n++] = call;
    }
}

#endif
#endif
