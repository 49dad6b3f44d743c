/* The directory in shared memory: families, each with its slots (slot.h). What changes something wants the lock. */
#ifndef TALLYMARK_DIRECTORY_H
#define TALLYMARK_DIRECTORY_H

#include "shared.h"

typedef struct {
    _Atomic uint64_t next, first, last; /* the next family; its first slot; one near its last */
    _Atomic uint64_t version;           /* raised when a slot dies */
    _Atomic uint64_t cursor;            /* where the search for a free slot goes on */
    _Atomic uint64_t searched;          /* the version at which no slot was found free */
    _Atomic uint32_t registered, live;  /* live: series that count towards the limit, whatever processes have a slot for them */
    uint32_t mark, words;               /* words: cells of a slot */
    uint32_t aggregate, length;
    uint64_t hash;
    char text[]; /* name, newline, the rest of its options */
} SharedFamily;

/* How the processes that share a family combine: they move the same cells, or each has its own. */
enum { LAST, SUM_OF, MAX_OF, MIN_OF };

/* Families one after the other: NULL at the end, and at what is damaged. */
SharedFamily *family_at(Shared *shared, uint64_t offset);
SharedFamily *first_family(Shared *shared);
SharedFamily *next_family(Shared *shared, const SharedFamily *family);

/* What follows in a list lies further on in the file, so that a damaged one does not lead in circles; else 0. */
uint64_t further(const Shared *shared, const void *record, uint64_t next);

/* Find the family that has the name of this text, or make it; NULL where there is no room. */
SharedFamily *family_find_or_make(Shared *shared, const char *text, uint32_t length, uint32_t words, uint32_t aggregate);

/* Register a family: whether its name is not another's. */
int family_register(Shared *shared, SharedFamily *family);

/* Unregister a family, and end all its series. */
void family_unregister(Shared *shared, SharedFamily *family);

/* Take back all that dead processes held, and their shares. Counts live series anew: who was killed may have left it wrong. */
void directory_bury(Shared *shared, const uint64_t dead[PLACE_WORDS]);

#endif
