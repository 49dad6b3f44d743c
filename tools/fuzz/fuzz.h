/* What the parts of the fuzzer share: a real file, an input, and the run of one. */
#ifndef TALLYMARK_FUZZ_H
#define TALLYMARK_FUZZ_H

#define PY_SSIZE_T_CLEAN
#include "places.h"
#include "slot.h"

#define MOST_FILES 8
#define MOST_FIELDS 8192
#define MOST_CHANGES 24
#define MOST_SIZE ((uint64_t)1 << 21) /* to which a change lets a file grow */
#define GUARD ((size_t)1 << 24)       /* bytes without access before and after a mapping, so that a read beyond it is seen */

typedef struct {
    uint64_t offset, record; /* record: that the field is of */
    uint32_t width;
} Field;

typedef struct {
    uint64_t size;
    char *bytes;
    size_t n_fields, n_records;
    Field fields[MOST_FIELDS];
    uint64_t records[MOST_FIELDS / 8];
    uint16_t numbers[MOST_SIZE / 4]; /* of the fields, by their offsets, from 1 on */
} Original;

/* What becomes of a field. The rest of `value` is a small distance. */
enum { RAW, KNOWN, NEAR_SIZE, RECORD, ITSELF, NEAR_OLD, COPY, REPAIR, RESIZE, N_KINDS };

/* An input: this, then changes. */
typedef struct {
    uint8_t file, way; /* way: it is read, shared by a registry, or shared without one */
    uint8_t steps[6]; /* which those in `target` are */
} Scenario;

typedef struct {
    uint16_t field, trigger; /* by their numbers */
    uint8_t kind;
    int8_t distance;
    uint16_t reads; /* of the trigger, until the change; 0: before the file is opened */
    uint64_t value;
} Change;

extern Original originals[MOST_FILES], *original; /* the second: of this input */
extern size_t n_originals;

/* The fields that the last run read, and how often it read each field. */
extern uint16_t read_fields[UINT16_MAX], n_reads[UINT16_MAX];
extern size_t n_read_fields;

uint64_t number_at(const char *bytes, uint64_t offset, uint32_t width);

#define READ(original, record, type, name) \
    number_at((original)->bytes, (record) + offsetof(type, name), sizeof((type *)0)->name)

/* Read a real file, and find its fields. */
void original_read(Original *self, const char *path);

/* Numbers beyond those of the fields are the words from `used` on, where new records come to be. */
Field field_of(uint16_t number);

/* Change `file`, which its owner has mapped, and whose descriptor is `fd`. */
void apply(const Change *change, char *file, int fd, int may_resize);

/* Return a number below `n`. */
uint64_t any(uint64_t n);
void any_from(uint64_t seed);

void stop_if(int wrong, const char *what);

#endif
