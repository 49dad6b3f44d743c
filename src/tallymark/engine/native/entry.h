/* An entry: a metric in shared memory, with its slots (slot.h). Every change needs the lock. */
#ifndef TALLYMARK_ENTRY_H
#define TALLYMARK_ENTRY_H

#include "shared.h"

/* As it lies in the file. */
typedef struct {
    _Atomic uint64_t next, chain;       /* the next entry; the next with this hash of the name */
    _Atomic uint64_t first, last;       /* its first slot; one near its last */
    _Atomic uint64_t born, ended;       /* slots that were made live; that were ended: raised each time */
    _Atomic uint64_t cursor;            /* where the next search for a free slot starts */
    _Atomic uint64_t searched;          /* the value of `ended` at which no slot was free */
    _Atomic uint32_t registered, live;  /* live: series that count towards the limit, each once, however many slots it has */
    uint32_t mark, words;               /* words: cells of a slot */
    uint32_t extra;                     /* bytes of a slot between its cells and its text: 8 where it may have exemplars */
    uint32_t aggregate, length;
    _Atomic uint32_t has_blocks;        /* 1 once a slot has a block of exemplars: else readers need not look for any */
    uint64_t hash;                      /* of the text */
    char text[];                        /* name, newline, the rest of its options */
} EntryRecord;

/* As this process sees it: what must not change was read once, and checked. */
typedef struct {
    Shared *shared;
    EntryRecord *record; /* NULL: there is none */
    uint64_t offset;
    uint32_t words, extra, aggregate, length;
} Entry;

/* How the processes that share a metric combine: they record to the same cells (LAST), or each has its own. */
enum { LAST, SUM_OF, MAX_OF, MIN_OF };

/* Entries one after the other: none at the end, and at a damaged one. */
Entry entry_at(Shared *shared, uint64_t offset);
Entry entry_first(Shared *shared);
Entry entry_next(const Entry *entry);

/* The text of an entry as bytes; None if it is damaged; NULL with an exception. */
PyObject *entry_text(const Entry *entry);

/* What a new entry is to have: cells of a slot, and as in an EntryRecord. */
typedef struct {
    uint32_t words, extra, aggregate;
} EntryShape;

/* Find the entry that has the name of this text, or make it; none if there is no space. */
Entry entry_find_or_make(Shared *shared, const char *text, uint32_t length, EntryShape shape);

/* Register an entry: 1, or 0 if another has its name. */
int entry_register(const Entry *entry);

/* Unregister an entry, and end all its series. */
void entry_unregister(const Entry *entry);

/* After a fork: the same entry, where the memory is now. */
static inline void
entry_follow(Entry *entry)
{
    entry->record = entry->record == NULL ? NULL : (EntryRecord *)(entry->shared->base + entry->offset);
}

/* Return 1 if a slot may have exemplars. */
static inline int
entry_has_blocks(const Entry *entry)
{
    return entry->record != NULL && entry->extra > 0 && atomic_load(&entry->record->has_blocks) != 0;
}

static inline uint64_t
entry_ended(const Entry *entry)
{
    return atomic_load(&entry->record->ended);
}

#endif
