#include "table.h"

static uint64_t
series_hash_of(const void *entry)
{
    return ((const Series *)entry)->tags->hash;
}

void
table_clear(Table *table)
{
    PyMem_Free(table->index.slots);
    PyMem_Free(table->rows);
    memset(table, 0, sizeof *table);
}

/* Squeeze out the holes, and have capacity for a quarter more series. */
static int
table_squeeze(Table *table)
{
    uint32_t n = 0, capacity = table->known + table->known / 4 + 4;
    Series **rows = PyMem_Malloc(capacity * sizeof *rows);
    if (rows == NULL) {
        return -1;
    }
    for (uint32_t i = 0; i < table->n_rows; i++) {
        if (table->rows[i] != NULL) {
            table->rows[i]->row = n;
            rows[n++] = table->rows[i];
        }
    }
    PyMem_Free(table->rows);
    table->rows = rows;
    table->n_rows = n;
    table->capacity = capacity;
    return 0;
}

static int
append(Table *table, Series *series)
{
    if (table->n_rows == table->capacity && table_squeeze(table) < 0) {
        return -1;
    }
    series->row = table->n_rows++;
    table->rows[series->row] = series;
    return 0;
}

int
table_add(Table *table, Series *series)
{
    if (append(table, series) < 0) {
        return -1;
    }
    if (pointers_add(&table->index, series, series_hash_of) < 0) {
        table->n_rows--;
        return -1;
    }
    table->known++;
    return 0;
}

void
table_remove(Table *table, Series *series)
{
    pointers_remove(&table->index, series, series_hash_of);
    table->rows[series->row] = NULL;
    table->known--;
}

/* What fails for want of memory is left as it is. */
void
table_trim(Table *table)
{
    if (table->capacity / 4 > table->known + 16) {
        table_squeeze(table);
    }
}

int
table_move_last(Table *table, Series *series)
{
    if (series->row + 1 == table->n_rows) {
        return 0;
    }
    if (table->n_rows == table->capacity && table_squeeze(table) < 0) {
        return -1;
    }
    table->rows[series->row] = NULL;
    return append(table, series);
}

Series *
table_find(const Table *table, const TagSet *tags)
{
    void *const *slots = table->index.slots;
    for (size_t at = tags->hash & table->index.mask; slots != NULL && slots[at] != NULL; at = (at + 1) & table->index.mask) {
        Series *series = slots[at];
        if (series->tags == tags) { /* tag sets are interned */
            return series;
        }
    }
    return NULL;
}
