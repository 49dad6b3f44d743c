/* Memory that processes share: a file, mapped by each of them, that holds families, their series and the cells.
 *
 * What must hold at every instant, because any process may be killed at any instruction:
 *
 *  1. Records are only ever appended, and never move. One is complete before anything points to it, and `used` is raised
 *     before it is written: at worst, its room is lost.
 *  2. A slot's text, owner and chain change only while it is DEAD and no live process holds it. Its state is set to LIVE last.
 *  3. Who writes to a slot's cells holds it: its bit in `holders` is set, under the lock, before its first write, and is taken
 *     back after its last. A bit of a process that died is taken back when its place is given to another.
 *  4. The lock is a lock on a byte of the file, which the kernel takes back from a process that dies. By 1 and 2 there is
 *     nothing to mend then. No Python code runs, and nothing waits, while it is held.
 *  5. A place in the table of processes belongs to who holds the lock on its byte: that a process lives is known from the
 *     kernel, not from its pid, which may have been given to another, or mean another in a container.
 *
 * Nothing in the file is believed: offsets are checked before they are followed, texts against their hashes. */
#ifndef TALLYMARK_SHARED_H
#define TALLYMARK_SHARED_H

#include <Python.h>

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

#include "cell.h"

#define MAX_PROCESSES 128u
#define CROWD (MAX_PROCESSES - 1) /* the place of all processes that found none free: never given to another */
#define PLACES 4096u /* where the table of processes begins */
#define N_CHAINS 8192u
#define NOBODY 0xffffffffu  /* the owner of a slot that all processes record to */
#define RETIRED 0xfffffffeu /* the owner of what dead processes leave to a maximum or minimum */

typedef struct {
    uint64_t magic, version, limit, checksum; /* written once, before anyone else sees the file */
    _Atomic uint64_t size, used;              /* bytes that the file has, and that are taken */
    _Atomic uint64_t families;                /* the first one */
    _Atomic uint64_t refused;                 /* requests for room that was not there */
} Header;

typedef struct {
    _Atomic uint64_t pid;
    uint64_t started; /* clock ticks after boot, as in /proc/PID/stat */
    double since;     /* seconds since the epoch */
    uint64_t unused;
} Place;

typedef struct {
    _Atomic uint64_t next, first, last; /* the next family; its first slot; one near its last */
    _Atomic uint64_t version;           /* raised when a slot dies */
    _Atomic uint64_t cursor;            /* where the search for a free slot goes on */
    _Atomic uint64_t searched;          /* the version at which no slot was found free */
    _Atomic uint32_t registered, live;  /* live: slots that count towards the limit */
    uint32_t mark, words;               /* words: cells of a slot */
    uint32_t aggregate, length;
    uint64_t hash;
    char text[]; /* name, newline, the rest of its options */
} SharedFamily;

enum { LAST, SUM_OF, MAX_OF, MIN_OF };

typedef struct {
    _Atomic uint64_t next, chain; /* the next of its family; the next of its hash */
    _Atomic uint64_t holders[MAX_PROCESSES / 64];
    _Atomic uint32_t state, owner;
    uint32_t mark, kept;
    uint32_t length, room;
    uint64_t hash, family;
    double created;
    Cell cells[]; /* then the text of the tags */
} Slot;

enum { DEAD, LIVE };

typedef struct {
    PyObject_HEAD
    char *base;
    Header *header;
    uint64_t limit, known; /* bytes mapped; bytes known to be in the file */
    int fd, writable;
    uint32_t index;    /* this process' place */
    uint32_t reserved; /* the place of the child that is about to be forked */
    int child_fd;      /* the file as the child will have it: opened before the fork, so that it holds its place at once */
    pid_t pid;
    long steps, fault; /* tests: at this step of changes under the lock, the process is killed */
} Shared;

/* Take and give back the lock: 0, or -1 with an exception where the kernel refuses. */
int shared_lock(Shared *shared);
void shared_unlock(Shared *shared);

/* Between any two writes under the lock, where a process may be killed: tests have it killed at each. */
static inline void
step(Shared *shared)
{
    if (++shared->steps == shared->fault) {
        raise(SIGKILL);
    }
}

/* Under the lock: take a place for this process. */
void place_enter(Shared *shared);

/* Where a record is, if one of `size` bytes can be there; else NULL. */
void *shared_at(Shared *shared, uint64_t offset, uint64_t size);

/* Under the lock: room for a record, zeroed; 0 where there is none. */
uint64_t shared_take(Shared *shared, uint64_t size);

static inline uint64_t
offset_in(const Shared *shared, const void *record)
{
    return (uint64_t)((const char *)record - shared->base);
}

uint64_t text_hash(const char *text, size_t length);

/* Where the chain of slots with this hash begins. */
_Atomic uint64_t *chain_of(Shared *shared, uint64_t hash);

/* Families and slots: directory.c. All that change something want the lock. */
SharedFamily *family_at(Shared *shared, uint64_t offset);
Slot *slot_at(Shared *shared, const SharedFamily *family, uint64_t offset);
Slot *slot_find(Shared *shared, SharedFamily *family, uint32_t owner, const char *text, uint32_t length);
Slot *slot_make(Shared *shared, SharedFamily *family, uint32_t owner, const char *text, uint32_t length);
SharedFamily *family_named_like(Shared *shared, const char *text, uint32_t length);
SharedFamily *family_make(Shared *shared, const char *text, uint32_t length, uint32_t words, uint32_t aggregate);

/* Under the lock: take back what dead processes held, and their places. */
void places_bury(Shared *shared);

/* Hold in one place what is held in another. */
void place_copy(Shared *shared, uint32_t from, uint32_t to);

/* Take back all that a dead process of this place held, and what it owned. */
void place_clear(Shared *shared, uint32_t index);

/* What follows in a list: always further on in the file, so that a damaged one does not lead in circles. */
static inline uint64_t
further(const Shared *shared, const void *record, uint64_t next)
{
    return next > offset_in(shared, record) ? next : 0;
}

static inline uint64_t
next_slot(const Shared *shared, const Slot *slot)
{
    return further(shared, slot, atomic_load(&slot->next));
}

static inline uint64_t
next_family(const Shared *shared, const SharedFamily *family)
{
    return further(shared, family, atomic_load(&family->next));
}

static inline const char *
slot_text(const SharedFamily *family, const Slot *slot)
{
    return (const char *)&slot->cells[family->words];
}

static inline void
slot_hold(Slot *slot, uint32_t index)
{
    atomic_fetch_or(&slot->holders[index / 64], UINT64_C(1) << (index % 64));
}

static inline void
slot_let_go(Slot *slot, uint32_t index)
{
    atomic_fetch_and(&slot->holders[index / 64], ~(UINT64_C(1) << (index % 64)));
}

static inline int
slot_is_held(const Slot *slot, uint32_t index)
{
    return (atomic_load(&slot->holders[index / 64]) >> (index % 64)) & 1;
}

static inline Slot *
slot_of_cells(Cell *cells)
{
    return (Slot *)((char *)cells - offsetof(Slot, cells));
}

extern PyType_Spec shared_spec;

#endif
