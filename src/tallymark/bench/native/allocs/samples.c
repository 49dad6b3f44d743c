/* Samples where a thread is: a timer interrupts it, and the signal's handler reads its frames. A handler in C runs at once,
 * also between two calls and inside a C function; one in Python would run at the next call or jump, and charge a line for the
 * work of those before it. Time in a C function belongs to the line that called it.
 *
 * The handler may interrupt the interpreter where it links a frame, and find a pointer that is not one. So a fault while it
 * reads is caught, and the sample counts as lost. It keeps addresses of code, as to own an object is not safe in a handler: who
 * reads the samples looks these up among the code that is still there. */
#include "samples.h"

#if CAN_READ_STACKS

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
/* A timer of one thread. Elsewhere the process has one, which runs while it uses the processor. */
#if defined(__linux__) && defined(__LP64__)
#define THREAD_TIMER 1
#include <sys/syscall.h>
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif
#endif

enum { MOST_WORDS = 1 << 22 };

static const int faults[] = {SIGSEGV, SIGBUS};

static struct {
    int on;
    PyThreadState *state;
    pthread_t thread;
    uintptr_t *words; /* for each sample the number of its calls, then their codes and places */
    size_t n;
    unsigned long lost;
    long nanoseconds; /* between two samples */
    Calls calls;
    sigjmp_buf guarded;
    volatile sig_atomic_t reading;
    struct sigaction before, before_faults[2];
#ifdef THREAD_TIMER
    int timer; /* the kernel's: older C libraries have their own in another library */
#endif
} sampling;

static void guard(int signal);

/* Linux tells a signal that was sent from a fault by its sign. */
static int
was_sent(const siginfo_t *info)
{
#ifdef __linux__
    return info->si_code <= 0;
#else
    return info->si_code == SI_USER || info->si_code == SI_QUEUE;
#endif
}

/* A fault that is not ours is left to the handler before this one: a fault repeats, and a signal that was sent is sent again.
 *
 * That handler may pass on to this one, if it was set while a thread was sampled: then the signal's default ends it all. */
static void
on_fault(int signal, siginfo_t *info, void *Py_UNUSED(context))
{
    if (sampling.reading && pthread_equal(pthread_self(), sampling.thread)) {
        siglongjmp(sampling.guarded, 1);
    }
    struct sigaction *kept = &sampling.before_faults[signal == faults[1]];
    struct sigaction before = *kept;
    *kept = (struct sigaction){.sa_handler = SIG_DFL};
    sigaction(signal, &before, NULL);
    if (was_sent(info)) {
        raise(signal);
        if (sampling.on) { /* it was answered, and the process goes on */
            guard(signal);
        }
    }
}

/* Set our handler of a fault. If it is there already, another was set on top of it meanwhile and put it back. */
static void
guard(int signal)
{
    struct sigaction before, ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
    sigaction(signal, &ours, &before);
    if (before.sa_sigaction != on_fault) {
        sampling.before_faults[signal == faults[1]] = before;
    }
}

static void
keep_sample(void)
{
    const Calls *calls = &sampling.calls;
    if (sampling.n + 1 + 2 * (size_t)calls->n > MOST_WORDS) {
        sampling.lost++;
        return;
    }
    uintptr_t *word = sampling.words + sampling.n;
    *word++ = (uintptr_t)calls->n;
    for (int i = 0; i < calls->n; i++) {
        *word++ = (uintptr_t)calls->calls[i].code;
        *word++ = (uintptr_t)calls->calls[i].at;
    }
    sampling.n += 1 + 2 * (size_t)calls->n;
}

/* The timer ends once, and the handler sets it again: so there is time between two samples, however long one takes. */
static int
arm_timer(void)
{
#ifdef THREAD_TIMER
    struct itimerspec once = {{0, 0}, {0, sampling.nanoseconds}};
    return (int)syscall(SYS_timer_settime, sampling.timer, 0, &once, NULL);
#else
    struct itimerval once = {{0, 0}, {0, (int)(sampling.nanoseconds / 1000)}};
    return setitimer(ITIMER_PROF, &once, NULL);
#endif
}

static void
on_time(int Py_UNUSED(signal))
{
    if (!sampling.on || sampling.reading) {
        return;
    }
    int saved = errno;
    if (!pthread_equal(pthread_self(), sampling.thread)) { /* where timers are the process's: it comes again */
        arm_timer();
        errno = saved;
        return;
    }
    sampling.reading = 1;
    if (sigsetjmp(sampling.guarded, 0) == 0) {
        read_calls(sampling.state, &sampling.calls);
        keep_sample();
    }
    else {
        sampling.lost++;
    }
    sampling.reading = 0;
    arm_timer();
    errno = saved;
}

static int
start_timer(void)
{
#ifdef THREAD_TIMER
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF};
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &sampling.timer) < 0) {
        return -1;
    }
#endif
    return arm_timer();
}

static void
stop_timer(void)
{
#ifdef THREAD_TIMER
    syscall(SYS_timer_delete, sampling.timer);
#else
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_PROF, &never, NULL);
#endif
}

/* Return 1 if the handler was still ours. A signal that is still to come must not end the process: it stays ignored. */
static int
restore_handlers(void)
{
    struct sigaction present;
    sigaction(SIGPROF, NULL, &present);
    int ours = present.sa_handler == on_time;
    if (ours) {
        if (sampling.before.sa_handler == SIG_DFL) {
            sampling.before.sa_handler = SIG_IGN;
        }
        sigaction(SIGPROF, &sampling.before, NULL);
    }
    for (int i = 0; i < 2; i++) {
        sigaction(faults[i], NULL, &present);
        if (present.sa_sigaction == on_fault) {
            sigaction(faults[i], &sampling.before_faults[i], NULL);
        }
    }
    return ours;
}

PyObject *
start_samples(PyObject *Py_UNUSED(module), PyObject *number)
{
    double seconds = PyFloat_AsDouble(number);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    if (!(seconds >= 1e-5 && seconds <= 0.5)) {
        PyErr_SetString(PyExc_ValueError, "samples are taken every 0.00001 to 0.5 seconds");
        return NULL;
    }
    if (sampling.on) {
        PyErr_SetString(PyExc_RuntimeError, "a thread is being sampled already: there is one sampling at a time");
        return NULL;
    }
    sampling.words = malloc(MOST_WORDS * sizeof(uintptr_t));
    if (sampling.words == NULL) {
        return PyErr_NoMemory();
    }
    sampling.n = 0;
    sampling.lost = 0;
    sampling.state = PyThreadState_Get();
    sampling.thread = pthread_self();
    sampling.on = 1;
    struct sigaction timed = {.sa_handler = on_time, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigfillset(&timed.sa_mask); /* a fault of another handler is none of ours */
    for (int i = 0; i < 2; i++) {
        sigdelset(&timed.sa_mask, faults[i]);
        guard(faults[i]);
    }
    sigaction(SIGPROF, &timed, &sampling.before);
    sampling.nanoseconds = (long)(seconds * 1e9);
    if (start_timer() < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        sampling.on = 0;
        restore_handlers();
        free(sampling.words);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Return the next sample as a tuple of (address of the code, place in it), the innermost first. */
static PyObject *
sample_at(const uintptr_t *words, size_t *at)
{
    Py_ssize_t n = (Py_ssize_t)words[(*at)++];
    PyObject *sample = PyTuple_New(n);
    for (Py_ssize_t i = 0; sample != NULL && i < n; i++, *at += 2) {
        PyObject *call = Py_BuildValue("Ki", (unsigned long long)words[*at], (int)words[*at + 1]);
        if (call == NULL) {
            Py_CLEAR(sample);
        }
        else {
            PyTuple_SET_ITEM(sample, i, call);
        }
    }
    return sample;
}

static PyObject *
read_samples(const uintptr_t *words, size_t n)
{
    PyObject *samples = PyList_New(0);
    for (size_t at = 0; samples != NULL && at < n;) {
        PyObject *sample = sample_at(words, &at);
        if (sample == NULL || PyList_Append(samples, sample) < 0) {
            Py_CLEAR(samples);
        }
        Py_XDECREF(sample);
    }
    return samples;
}

/* The words are taken over first: making objects may collect garbage, and a finalizer start to sample anew. */
PyObject *
stop_samples(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (!sampling.on) {
        PyErr_SetString(PyExc_RuntimeError, "no thread is being sampled");
        return NULL;
    }
    if (!pthread_equal(pthread_self(), sampling.thread)) { /* which may be in the handler, and needs no GIL for it */
        PyErr_SetString(PyExc_RuntimeError, "another thread is being sampled: it has to end that itself");
        return NULL;
    }
    sampling.on = 0;
    stop_timer();
    int ours = restore_handlers();
    uintptr_t *words = sampling.words;
    unsigned long lost = sampling.lost;
    sampling.words = NULL;
    PyObject *samples = NULL, *read = NULL;
    if (ours) {
        samples = read_samples(words, sampling.n);
    }
    else {
        PyErr_SetString(PyExc_RuntimeError, "the handler of SIGPROF was replaced while its thread was sampled");
    }
    if (samples != NULL) {
        read = Py_BuildValue("Nk", samples, lost);
    }
    free(words);
    return read;
}

#endif
