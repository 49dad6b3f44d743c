/* Memory that processes share: a file, mapped by each of them. What lies in it: a header; a table of processes; the heads of
 * hash chains; then entries and slots, which entry.h and slot.h describe.
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
 *  5. What a place for an exemplar holds changes under the lock, while its sequence number is odd. A killed process leaves an odd
 *     one, which readers take for an empty place, and the next writer goes on from.
 *  6. A place in the table of processes belongs to the process that holds the lock on its byte. The kernel shows whether that
 *     process lives; its pid does not, as it may have been given to another, or mean another in a container.
 *
 * tests/processes/test_model.py holds 2 and 3 against every interleaving of a few processes, and test_kill.py kills a process
 * between any two writes. Nothing in the file is trusted: offsets are checked before use, texts against hashes, and what must
 * not change is read once, into an Entry or a Slot.
 *
 * The files, each above those before it: shared.h and space.c (the mapping, and what is free in it), lock.h (locks on bytes),
 * places.h (the table of processes), entry.h and slot.h (what is in the file), exemplar_block.h (exemplars of slots), burial.h
 * (what dead processes leave), member.h (this process, as one of those that share). Then shared_family.h, adoption.c and totals.h,
 * which families use. */
#ifndef TALLYMARK_SHARED_H
#define TALLYMARK_SHARED_H

#include <Python.h>

#include <signal.h>
#include <stdatomic.h>
#include <sys/types.h>

#define MAX_PROCESSES 512u
#define CROWD (MAX_PROCESSES - 1) /* the place of all processes that found none free */
#define PLACES 4096u              /* where the table of processes begins */

/* A set of processes, by their places. */
#define PLACE_WORDS (MAX_PROCESSES / 64)
#define PLACE_BIT(index) (UINT64_C(1) << ((index) % 64))

#define RELEASE_SIZE 32

typedef struct {
    uint64_t magic, version;    /* at the same place in the files of all releases, as the next one is from version 3 on */
    char release[RELEASE_SIZE]; /* of Tallymark, which made the file: ASCII, filled up with zeros */
    uint64_t limit, checksum;   /* all of this is written once, before anyone else sees the file */
    _Atomic uint64_t size, used;               /* bytes that the file has, and that are taken */
    _Atomic uint64_t first_entry, last_entry;  /* the second is one near the last */
    _Atomic uint64_t failed;                   /* requests for space that was not there */
} Header;

/* What a user of the memory does in a forked child, which holds nothing there. FOLLOW: the memory is at `shared->base` now,
 * and where it was is zero, so each slot there is dead. LEAVE_DEAD: leave dead slots, since the zeros go. LEAVE_ALL: leave
 * all slots, since the memory could not be moved, and they are our parent's. */
typedef enum { FOLLOW, LEAVE_DEAD, LEAVE_ALL } Forked;

/* An object that keeps pointers into the memory. */
typedef struct User {
    struct User *next;
    void (*forked)(struct User *self, Forked what);
} User;

typedef struct {
    PyObject_HEAD
    char *base;
    Header *header;
    uint64_t limit, known, mapped; /* bytes that the file may grow to; known to be in it; mapped */
    void *left;     /* in a forked child: where its parent had mapped the file */
    int fd, writable;
    dev_t device; /* of the file, and its number there: other code may close `fd`, and get another file by its number */
    ino_t inode;
    uint32_t index; /* of this process' place */
    pid_t pid;      /* whose that is */
    pid_t opener;   /* the process that opened `fd`, or found that it cannot be opened again */
    int is_borrowed; /* `fd` is the open file of the process that forked this one */
    int impatient;   /* a wait for the lock timed out: until it is free again, do not wait */
    int owes;        /* records failed for want of the lock, and are to be counted once it is had */
    const char *why;  /* of the last failure to take the lock */
    const char *lack; /* of the last failure to get space */
    User *users;
    long steps, fault; /* tests: at this step of changes under the lock, the process gets a signal */
    int fault_signal;
    PyObject *weaklist;
} Shared;

/* Called between any two writes under the lock, where a process may be killed: tests kill it at each. */
static inline void
step(Shared *shared)
{
    if (++shared->steps == shared->fault) {
        raise(shared->fault_signal);
    }
}

/* Space (space.c) */

/* Return the offset of the first record, and where the chains begin. */
uint64_t data_offset(uint64_t limit);
_Atomic uint64_t *entry_chain(Shared *shared, uint64_t hash);
_Atomic uint64_t *slot_chain(Shared *shared, uint64_t hash);

/* Return the record at an offset, if one of `size` bytes can be there; else NULL. */
void *shared_at(Shared *shared, uint64_t offset, uint64_t size);

/* Under the lock: take zeroed space for a record. Return its offset; 0 if there is no space. */
uint64_t shared_take(Shared *shared, uint64_t size);

/* Have the disk's blocks for a part of the file, so that writing there cannot fail: 0, or an error number. */
int shared_allocate(int fd, uint64_t from, uint64_t to);

uint64_t text_hash(const char *text, size_t length);

/* Return `next` if it lies further on in the file than a record at `offset`, else 0: so a damaged list cannot lead in
 * circles. */
static inline uint64_t
further(uint64_t offset, uint64_t next)
{
    return next > offset ? next : 0;
}

extern PyType_Spec shared_spec;

#endif
