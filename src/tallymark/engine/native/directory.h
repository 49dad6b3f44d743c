/* The directory in shared memory: families, each with its slots (slot.h). Every change needs the lock. */
#ifndef TALLYMARK_DIRECTORY_H
#define TALLYMARK_DIRECTORY_H

#include "shared.h"

typedef struct {
    _Atomic uint64_t next, first, last; /* the next family; its first slot; one near its last */
    _Atomic uint64_t version;           /* raised when a slot dies */
    _Atomic uint64_t cursor;            /* where the next search for a free slot starts */
    _Atomic uint64_t searched;          /* the version at which no slot was free */
    _Atomic uint32_t registered, live;  /* live: series that count towards the limit, each once, however many slots it has */
    uint32_t mark, words;               /* words: cells of a slot */
    uint32_t aggregate, length;
    uint64_t hash;
    char text[]; /* name, newline, the rest of its options */
} SharedFamily;

/* How the processes that share a family combine: they record to the same cells (LAST), or each has its own. */
enum { LAST, SUM_OF, MAX_OF, MIN_OF };

/* Families one after the other: NULL at the end, and at a damaged one. */
SharedFamily *family_at(Shared *shared, uint64_t offset);
SharedFamily *first_family(Shared *shared);
SharedFamily *next_family(Shared *shared, const SharedFamily *family);

/* Return `next` if it lies further on in the file than `record`, else 0: so a damaged list cannot lead in circles. */
uint64_t further(const Shared *shared, const void *record, uint64_t next);

/* Find the family that has the name of this text, or make it; NULL if there is no space. */
SharedFamily *family_find_or_make(Shared *shared, const char *text, uint32_t length, uint32_t words, uint32_t aggregate);

/* Register a family: 1, or 0 if another has its name. */
int family_register(Shared *shared, SharedFamily *family);

/* Unregister a family, and end all its series. */
void family_unregister(Shared *shared, SharedFamily *family);

/* Take back all that dead processes held, and their shares. Count the live series again: a killed process may have left the
 * number wrong. */
void directory_bury(Shared *shared, const uint64_t dead[PLACE_WORDS]);

#endif
