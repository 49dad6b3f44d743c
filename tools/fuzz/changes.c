/* What a hostile owner does to a field, or to the length of the file. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <sys/stat.h>
#include <unistd.h>

static char *file;
static int fd;

static uint64_t
file_size(void)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? (uint64_t)status.st_size : 0;
}

static int
is_in_file(uint64_t offset, uint64_t size)
{
    uint64_t end = file_size();
    return offset <= end && size <= end - offset;
}

static void
put(uint64_t offset, uint64_t number, uint32_t width)
{
    if (is_in_file(offset, width)) {
        memcpy(file + offset, &number, width);
    }
}

/* Make the hash of a record right, so that what was changed in it is believed. */
static void
repair(uint64_t at)
{
    const EntryRecord *entry = (const EntryRecord *)(file + at);
    const SlotRecord *slot = (const SlotRecord *)(file + at);
    if (at == 0 && is_in_file(0, sizeof(Header))) {
        put(offsetof(Header, checksum), text_hash(file, offsetof(Header, checksum)), 8);
    }
    else if (at % 8 == 0 && is_in_file(at, sizeof *slot) && entry->mark == number_at("ENTR", 0, 4)) {
        uint64_t length = entry->length;
        if (is_in_file(at + sizeof *entry, length)) {
            put(at + offsetof(EntryRecord, hash), text_hash(entry->text, length), 8);
        }
    }
    else if (at % 8 == 0 && is_in_file(at, sizeof *slot) && slot->entry % 8 == 0 && is_in_file(slot->entry, sizeof *entry)) {
        uint64_t text = at + sizeof *slot + ((const EntryRecord *)(file + slot->entry))->words * sizeof(Cell);
        uint64_t length = slot->length, factor = UINT64_C(0x9e3779b97f4a7c15); /* as slot_hash() */
        if (is_in_file(text, length)) {
            put(at + offsetof(SlotRecord, hash), text_hash(file + text, length) ^ (slot->entry * factor), 8);
        }
    }
}

static uint64_t
changed(const Change *change, const Field *field)
{
    static const uint64_t known[] = {0, 1, 2, UINT64_MAX, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT32_MAX, INT32_MAX, RETIRED,
                                     ANYONE, CROWD, MAX_PROCESSES, 4096, 1 << 16, 1 << 20, UINT64_C(1) << 32};
    const uint64_t near[] = {READ(original, 0, Header, size), READ(original, 0, Header, used), READ(original, 0, Header, limit),
                             data_offset(READ(original, 0, Header, limit)), file_size()};
    const uint64_t near_by = (uint64_t)(int64_t)change->distance, words = 8 * near_by;
    Field other = field_of((uint16_t)change->value);
    switch (change->kind % N_KINDS) {
    case KNOWN:
        return known[change->value % (sizeof known / sizeof *known)] + near_by % 3;
    case NEAR_SIZE:
        return near[change->value % (sizeof near / sizeof *near)] + words;
    case RECORD:
        return (original->n_records > 0 ? original->records[change->value % original->n_records] : 0) + words;
    case ITSELF:
        return field->record + words;
    case NEAR_OLD:
        return is_in_file(field->offset, field->width) ? number_at(file, field->offset, field->width) + near_by : 0;
    case COPY:
        return is_in_file(other.offset, other.width) ? number_at(file, other.offset, other.width) : 0;
    default:
        return change->value;
    }
}

void
apply(const Change *change, char *its_file, int its_fd, int may_resize)
{
    file = its_file;
    fd = its_fd;
    Field field = field_of(change->field);
    if (change->kind % N_KINDS == REPAIR) {
        repair(field.record);
    }
    else if (change->kind % N_KINDS != RESIZE) {
        put(field.offset, changed(change, &field), field.width);
    }
    else if (may_resize) {
        if (ftruncate(fd, (off_t)(change->value % MOST_SIZE)) != 0) {
            abort();
        }
    }
}
