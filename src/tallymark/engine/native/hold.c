#define _GNU_SOURCE
#include "hold.h"

#include <time.h>

#include "clock.h"

#define LONGEST_HOLD 200000 /* nanoseconds */
#define PAUSE 50000         /* for a thread that waits to wake up in; the system adds as much */

void
hold_begin(Hold *hold)
{
    hold->since = clock_now();
}

static int
is_only_thread(void)
{
    PyThreadState *first = PyInterpreterState_ThreadHead(PyThreadState_Get()->interp);
    return PyThreadState_Next(first) == NULL;
}

/* To let the GIL go is not to hand it over: who takes it again at once is faster than a thread that must wake up first, and that
 * thread asks for it, so that it gets it, only after 5 ms in which nobody let it go. So sleep. */
void
hold_pause(Hold *hold)
{
    if (clock_now() - hold->since < LONGEST_HOLD || is_only_thread()) {
        return;
    }
    Py_BEGIN_ALLOW_THREADS
    nanosleep(&(struct timespec){.tv_nsec = PAUSE}, NULL);
    Py_END_ALLOW_THREADS
    hold_begin(hold);
}
