#include "table.h"

#include "rows.h"

static uint64_t
series_hash_of(const void *entry)
{
    return ((const Series *)entry)->tags->hash;
}

static void
forget_blocks(Table *table, uint32_t first)
{
    for (uint32_t i = first; i < table->n_blocks; i++) {
        table_forget_block(table, i * BLOCK_ROWS);
    }
}

void
table_clear(Table *table)
{
    forget_blocks(table, 0);
    PyMem_Free(table->blocks);
    PyMem_Free(table->index.slots);
    PyMem_Free(table->rows);
    memset(table, 0, sizeof *table);
}

/* Return where the row at an index is after the holes below it are squeezed out. */
static uint32_t
squeezed(const Table *table, uint32_t index)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < index; i++) {
        n += table->rows[i] != NULL;
    }
    return n;
}

/* Have those who read the table go on at the same rows, and forget the blocks whose rows move. */
static void
follow_squeeze(Table *table)
{
    uint32_t first = 0;
    while (first < table->n_rows && table->rows[first] != NULL) {
        first++;
    }
    if (first == table->n_rows) {
        return;
    }
    forget_blocks(table, first / BLOCK_ROWS);
    for (Rows *reading = table->readings; reading != NULL; reading = reading->next) {
        reading->at = squeezed(table, reading->at);
        reading->end = squeezed(table, reading->end);
    }
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
    follow_squeeze(table);
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

void
table_keep_block(Table *table, uint32_t index, Block *block)
{
    if (index >= table->n_blocks) {
        uint32_t n = index + index / 2 + 1;
        Block **grown = PyMem_Realloc(table->blocks, n * sizeof *grown);
        if (grown == NULL) {
            return;
        }
        memset(grown + table->n_blocks, 0, (n - table->n_blocks) * sizeof *grown);
        table->blocks = grown;
        table->n_blocks = n;
    }
    table_forget_block(table, index * BLOCK_ROWS);
    block->references++;
    table->blocks[index] = block;
}

void
table_forget_block(Table *table, uint32_t row)
{
    Block *block = table_block(table, row / BLOCK_ROWS);
    if (block != NULL) {
        table->blocks[row / BLOCK_ROWS] = NULL;
        block_release(block);
    }
}
