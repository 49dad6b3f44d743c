/* The fields of a real file, by numbers. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <stdio.h>

#include "buckets.h"

static void
add_field(Original *self, uint64_t record, uint64_t at, uint32_t width)
{
    if (self->n_fields < MOST_FIELDS) {
        self->fields[self->n_fields++] = (Field){record + at, record, width};
        self->numbers[(record + at) / 4] = (uint16_t)self->n_fields;
    }
}

#define FIELD(original, record, type, name) add_field(original, record, offsetof(type, name), sizeof((type *)0)->name)

uint64_t
number_at(const char *bytes, uint64_t offset, uint32_t width)
{
    uint64_t number = 0;
    memcpy(&number, bytes + offset, width);
    return number;
}

/* A block of exemplars, as exemplar_block.c lays it out. */
static void
add_block(Original *self, uint64_t block)
{
    self->records[self->n_records++] = block;
    for (uint64_t at = 0; at < 12; at += 4) { /* mark, places, space */
        add_field(self, block, at, 4);
    }
    add_field(self, block, 16, 8); /* slot */
    uint64_t n = number_at(self->bytes, block + 4, 4), space = number_at(self->bytes, block + 8, 4);
    for (uint64_t i = 0; i < n && i < 3; i++) {
        uint64_t place = 24 + i * (32 + space);
        for (uint64_t at = 0; at < 24; at += 8) { /* sequence, value, time */
            add_field(self, block, place + at, 8);
        }
        add_field(self, block, place + 24, 4); /* length */
        for (uint64_t at = 32; at < 64; at += 8) { /* text */
            add_field(self, block, place + at, 8);
        }
    }
}

/* Exponential buckets of one sign, as buckets.h lays them out: the header, whose parts are changed one by one; a cell of each bank. */
static void
add_buckets(Original *self, uint64_t record, uint64_t header)
{
    static const uint32_t widths[] = {1, 1, 2, 4}; /* stamp, size, MOVING, where the window begins */
    for (uint64_t i = 0, at = header; i < 4; at += widths[i++]) {
        add_field(self, record, at, widths[i]);
    }
    uint64_t first = number_at(self->bytes, record + header + 4, 4) % MOST_BUCKETS;
    add_field(self, record, header + 8 * (1 + first), 8);
    add_field(self, record, header + 8 * (1 + MOST_BUCKETS + first), 8);
}

static void
add_slot(Original *self, uint64_t slot, uint64_t entry)
{
    self->records[self->n_records++] = slot;
    FIELD(self, slot, SlotRecord, next);
    FIELD(self, slot, SlotRecord, chain);
    FIELD(self, slot, SlotRecord, holders[0]);
    FIELD(self, slot, SlotRecord, holders[PLACE_WORDS - 1]);
    FIELD(self, slot, SlotRecord, owner);
    FIELD(self, slot, SlotRecord, mark);
    FIELD(self, slot, SlotRecord, length);
    FIELD(self, slot, SlotRecord, space);
    FIELD(self, slot, SlotRecord, hash);
    FIELD(self, slot, SlotRecord, entry);
    FIELD(self, slot, SlotRecord, created);
    FIELD(self, slot, SlotRecord, kept);
    FIELD(self, slot, SlotRecord, state);
    for (uint64_t i = 0; i < 4; i++) { /* cells, and tags where there are few */
        add_field(self, slot, offsetof(SlotRecord, cells) + i * sizeof(Cell), sizeof(Cell));
    }
    uint64_t words = READ(self, entry, EntryRecord, words);
    if (words > SHARED_CELLS) {
        uint64_t cells = offsetof(SlotRecord, cells), place = cells + (words - 4) * sizeof(Cell);
        uint64_t negatives = number_at(self->bytes, slot + place, 8);
        add_buckets(self, slot, cells + sizeof(Cell));
        for (uint64_t i = 0; i < 4; i++) { /* where those below 0 are; sum, least and greatest value */
            add_field(self, slot, place + i * sizeof(Cell), sizeof(Cell));
        }
        if (negatives != 0) {
            self->records[self->n_records++] = negatives;
            add_field(self, negatives, 0, 4);
            add_buckets(self, negatives, 8);
        }
    }
    uint64_t word = offsetof(SlotRecord, cells) + words * sizeof(Cell);
    uint64_t block = READ(self, entry, EntryRecord, extra) > 0 ? number_at(self->bytes, slot + word, 8) : 0;
    if (block != 0) {
        add_field(self, slot, word, 8);
        add_block(self, block);
    }
}

static void
add_entry(Original *self, uint64_t entry)
{
    self->records[self->n_records++] = entry;
    FIELD(self, entry, EntryRecord, next);
    FIELD(self, entry, EntryRecord, chain);
    FIELD(self, entry, EntryRecord, first);
    FIELD(self, entry, EntryRecord, last);
    FIELD(self, entry, EntryRecord, born);
    FIELD(self, entry, EntryRecord, ended);
    FIELD(self, entry, EntryRecord, cursor);
    FIELD(self, entry, EntryRecord, searched);
    FIELD(self, entry, EntryRecord, registered);
    FIELD(self, entry, EntryRecord, live);
    FIELD(self, entry, EntryRecord, mark);
    FIELD(self, entry, EntryRecord, words);
    FIELD(self, entry, EntryRecord, extra);
    FIELD(self, entry, EntryRecord, aggregate);
    FIELD(self, entry, EntryRecord, length);
    FIELD(self, entry, EntryRecord, has_blocks);
    FIELD(self, entry, EntryRecord, hash);
    for (uint64_t i = 0; i < READ(self, entry, EntryRecord, length); i += 8) {
        add_field(self, entry, offsetof(EntryRecord, text) + i, 8);
    }
}

static void
find_fields(Original *self)
{
    FIELD(self, 0, Header, magic);
    FIELD(self, 0, Header, version);
    FIELD(self, 0, Header, limit);
    FIELD(self, 0, Header, checksum);
    FIELD(self, 0, Header, size);
    FIELD(self, 0, Header, used);
    FIELD(self, 0, Header, first_entry);
    FIELD(self, 0, Header, last_entry);
    FIELD(self, 0, Header, failed);
    for (uint64_t i = 0; i < 4; i++) { /* of processes: three, and the crowd */
        uint64_t place = PLACES + (i < 3 ? i : CROWD) * sizeof(Place);
        FIELD(self, place, Place, pid);
        FIELD(self, place, Place, started);
        FIELD(self, place, Place, since);
        FIELD(self, place, Place, namespace);
    }
    uint64_t chains = PLACES + MAX_PROCESSES * sizeof(Place), data = data_offset(READ(self, 0, Header, limit));
    for (uint64_t at = chains; at < data; at += 8) {
        if (number_at(self->bytes, at, 8) != 0) {
            add_field(self, at, 0, 8);
        }
    }
    for (uint64_t entry = READ(self, 0, Header, first_entry); entry != 0; entry = READ(self, entry, EntryRecord, next)) {
        add_entry(self, entry);
        for (uint64_t slot = READ(self, entry, EntryRecord, first); slot != 0; slot = READ(self, slot, SlotRecord, next)) {
            add_slot(self, slot, entry);
        }
    }
}

Field
field_of(uint16_t number)
{
    if (number < original->n_fields) {
        return original->fields[number];
    }
    uint64_t used = READ(original, 0, Header, used);
    return (Field){used + 8 * (uint64_t)(number - original->n_fields) % (original->size - used - 8), used, 8};
}

void
original_read(Original *self, const char *path)
{
    FILE *from = fopen(path, "rb");
    self->bytes = calloc(1, MOST_SIZE);
    stop_if(from == NULL || self->bytes == NULL, path);
    self->size = fread(self->bytes, 1, MOST_SIZE, from);
    fclose(from);
    find_fields(self);
}
