/* A family's table: series by their tags, and in the order in which they became live.
 *
 * A hash table of pointers, and rows in order. A removed row leaves a hole; holes are squeezed out when the rows are full,
 * and after many were removed. Lookup by tag set, or by a base set and what a plan adds to it, without making the set. */
#ifndef TALLYMARK_TABLE_H
#define TALLYMARK_TABLE_H

#include "series.h"

struct Block;
struct Rows;

typedef struct {
    Pointers index;
    Series **rows;         /* a hole is NULL */
    uint32_t n_rows, capacity; /* rows used, holes among them; rows allocated */
    uint32_t known;        /* series in the table */
    uint32_t live;         /* live ones among them */
    struct Block **blocks; /* what snapshots share (rows.h), each of BLOCK_ROWS rows; NULL where none is known */
    uint32_t n_blocks;
    struct Rows *readings; /* of this table, that are going on */
} Table;

void table_clear(Table *table);

/* Return 0, or -1 if there is no memory (no exception is set). */
int table_add(Table *table, Series *series);
void table_remove(Table *table, Series *series);

/* Give memory back, after many series went. */
void table_trim(Table *table);

/* Make a series the last in order: 0, or -1 if there is no memory. */
int table_move_last(Table *table, Series *series);

Series *table_find(const Table *table, const TagSet *tags);

/* Return what is kept of a block of rows, which may not be true of them any more: borrowed, or NULL. */
static inline struct Block *
table_block(const Table *table, uint32_t index)
{
    return index < table->n_blocks ? table->blocks[index] : NULL;
}

/* Keep a block, for as long as no series in it becomes dormant; one that cannot be kept is no error. */
void table_keep_block(Table *table, uint32_t index, struct Block *block);

/* Forget the block of a row. */
void table_forget_block(Table *table, uint32_t row);

static inline int
is_planned(const TagSet *tags, const TagSet *base, const Plan *plan, PyObject *const *values)
{
    for (uint32_t j = 0; j < plan->size; j++) {
        if (!str_equal(tags->values[plan->to[j]], values[j])) {
            return 0;
        }
    }
    for (uint32_t i = 0; i < base->shape->size; i++) {
        if (plan->kept[i] != GIVEN && !str_equal(tags->values[plan->kept[i]], base->values[i])) {
            return 0;
        }
    }
    return 1;
}

/* On the path of every record with tags: nothing here allocates, calls or locks. Values must be exact str. */
static inline Series *
table_find_planned(const Table *table, const TagSet *base, const Plan *plan, PyObject *const *values)
{
    uint64_t hash = base->hash;
    for (uint32_t j = 0; j < plan->size; j++) {
        hash += tag_hash(plan->given[j].hash, values[j]);
    }
    if (plan->overrides) {
        for (uint32_t i = 0; i < base->shape->size; i++) {
            if (plan->kept[i] == GIVEN) {
                hash -= tag_hash(key_hash(base->shape->keys[i]), base->values[i]);
            }
        }
    }
    void *const *slots = table->index.slots;
    for (size_t at = hash & table->index.mask; slots[at] != NULL; at = (at + 1) & table->index.mask) {
        Series *series = slots[at];
        const TagSet *tags = series->tags;
        if (tags->hash == hash && tags->shape == plan->result && is_planned(tags, base, plan, values)) {
            return series;
        }
    }
    return NULL;
}

#endif
