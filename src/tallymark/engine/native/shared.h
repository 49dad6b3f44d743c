/* Memory that processes share: a file, mapped by each of them. What lies in it: a header; a table of processes; the heads of
 * hash chains; then families and slots, which directory.h and slot.h describe.
 *
 * What must hold at every instant, because any process may be killed at any instruction:
 *
 *  1. Records are only ever appended, and never move. One is complete before anything points to it, and `used` is raised
 *     before it is written: at worst, its space is lost.
 *  2. A slot's text and chain change only while it is DEAD and no live process holds it. Its state is set to LIVE last. Its
 *     owner changes then too, and in one other way: what a dead process leaves to a maximum or minimum becomes RETIRED.
 *  3. A process that writes to a slot's cells holds the slot: its bit in `holders` is set, under the lock, before its first
 *     write, and cleared after its last. A dead process' bits are cleared when it is buried. A forked child starts with none.
 *  4. The lock is a lock on a byte of the file, which the kernel takes back from a process that dies. By 1 and 2 there is
 *     nothing to repair then, but the number of live series, which a burial counts. No Python code runs while it is held.
 *  5. A place in the table of processes belongs to the process that holds the lock on its byte. The kernel shows whether that
 *     process lives; its pid does not, as it may have been given to another, or mean another in a container.
 *
 * tests/processes/test_model.py holds 2 and 3 against every interleaving of a few processes, and test_kill.py kills a process
 * between any two writes. Nothing in the file is trusted: offsets are checked before use, texts against hashes. */
#ifndef TALLYMARK_SHARED_H
#define TALLYMARK_SHARED_H

#include <Python.h>

#include <signal.h>
#include <stdatomic.h>
#include <sys/types.h>

#define MAX_PROCESSES 512u
#define CROWD (MAX_PROCESSES - 1) /* the place of all processes that found none free: never given to another */
#define PLACES 4096u              /* where the table of processes begins */

/* A set of processes, by their places. */
#define PLACE_WORDS (MAX_PROCESSES / 64)
#define PLACE_BIT(index) (UINT64_C(1) << ((index) % 64))

#define RELEASE_SIZE 32

typedef struct {
    uint64_t magic, version;    /* at the same place in the files of all releases, as the next one is from version 3 on */
    char release[RELEASE_SIZE]; /* of Tallymark, which made the file: ASCII, filled up with zeros */
    uint64_t limit, checksum;   /* all of this is written once, before anyone else sees the file */
    _Atomic uint64_t size, used;              /* bytes that the file has, and that are taken */
    _Atomic uint64_t families;                /* the first one */
    _Atomic uint64_t failed;                  /* requests for space that was not there */
} Header;

typedef struct {
    _Atomic uint64_t pid; /* 0: there is nothing to bury here */
    uint64_t started;     /* clock ticks after boot, as in /proc/PID/stat */
    double since;         /* seconds since the epoch */
    uint64_t namespace;   /* of the pid, as the number of the file /proc/PID/ns/pid; 0: not known */
} Place;

/* An object that keeps pointers into the memory. In a forked child, `forked` is called: it holds nothing there any more. */
typedef struct User {
    struct User *next;
    void (*forked)(struct User *self);
} User;

typedef struct {
    PyObject_HEAD
    char *base;
    Header *header;
    uint64_t limit, known, mapped; /* bytes that the file may grow to; known to be in it; mapped */
    int fd, writable;
    dev_t device; /* of the file, and its number there: other code may close `fd`, and get another file by its number */
    ino_t inode;
    uint32_t index; /* of this process' place */
    pid_t pid;      /* whose that is */
    pid_t opener;   /* the process that opened `fd`, or found that it cannot be opened again */
    int is_borrowed; /* `fd` is the open file of the process that forked this one */
    int impatient;   /* a wait for the lock timed out: until it is free again, do not wait */
    const char *why; /* of the last failure to take the lock */
    User *users;
    long steps, fault; /* tests: at this step of changes under the lock, the process gets a signal */
    int fault_signal;
    PyObject *weaklist;
} Shared;

/* Take the lock: 1, or 0 with the reason in `why`. Waits a limited time: a process that is stopped may hold it. */
int shared_lock(Shared *shared);
void shared_unlock(Shared *shared);

/* Return 1 if `fd` is still our open file, which other code may have closed. */
int shared_is_open(const Shared *shared);

/* Called between any two writes under the lock, where a process may be killed: tests kill it at each. */
static inline void
step(Shared *shared)
{
    if (++shared->steps == shared->fault) {
        raise(shared->fault_signal);
    }
}

/* Under the lock: take a place for this process. */
void place_enter(Shared *shared);

/* Under the lock: take back what dead processes held, and their places. */
void places_bury(Shared *shared);

/* Return the record at an offset, if one of `size` bytes can be there; else NULL. */
void *shared_at(Shared *shared, uint64_t offset, uint64_t size);

/* Under the lock: take zeroed space for a record. Return its offset; 0 if there is no space. */
uint64_t shared_take(Shared *shared, uint64_t size);

static inline uint64_t
offset_in(const Shared *shared, const void *record)
{
    return (uint64_t)((const char *)record - shared->base);
}

uint64_t text_hash(const char *text, size_t length);

/* Return the head of the chain of slots with this hash. */
_Atomic uint64_t *chain_of(Shared *shared, uint64_t hash);

/* The methods of a Shared that live in other files: place.c, and directory_read.c. */
PyObject *shared_in_child(PyObject *op, PyObject *ignored);
PyObject *shared_processes(PyObject *op, PyObject *ignored);
PyObject *shared_bury(PyObject *op, PyObject *ignored);
PyObject *shared_claim(PyObject *type, PyObject *fd);
PyObject *shared_families(PyObject *op, PyObject *ignored);
PyObject *shared_text(PyObject *op, PyObject *args);
PyObject *shared_series(PyObject *op, PyObject *args);
PyObject *shared_add_family(PyObject *op, PyObject *args);
PyObject *shared_register(PyObject *op, PyObject *args);
PyObject *shared_unregister(PyObject *op, PyObject *args);
PyObject *shared_expire(PyObject *op, PyObject *args);

extern PyType_Spec shared_spec;

#endif
