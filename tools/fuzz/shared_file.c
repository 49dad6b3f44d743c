/* A libFuzzer harness for the file that processes share. Its owner is hostile, and changes it while others read it.
 *
 * An input names a real file, what is done with it, and changes. A change is of one field, before the file is opened or
 * when a field is read for the n-th time: the compiler has each read of the C code call us. So a field may differ between two
 * reads of it, or change just after it was checked. The Python function `run` of the module `target` does the rest. */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "burial.h"
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
} Original;

/* What becomes of a field. The rest of `value` is a small distance. */
enum { RAW, KNOWN, NEAR_SIZE, RECORD, ITSELF, NEAR_OLD, COPY, REPAIR, RESIZE, N_KINDS };

/* An input: this, then changes. */
typedef struct {
    uint8_t file, writes;
    uint8_t steps[6]; /* which those in `target` are */
} Plan;

typedef struct {
    uint16_t field, trigger; /* by their numbers */
    uint8_t kind;
    int8_t distance;
    uint16_t reads; /* of the trigger, until the change; 0: before the file is opened */
    uint64_t value;
} Change;

static Original originals[MOST_FILES], *original;
static size_t n_originals;
static PyObject *run;
static int fd;
static char *file;               /* as its owner has it mapped */
static char *view, *read_only;   /* as the code under test has it */
static size_t view_size;
static int running;
static Change changes[MOST_CHANGES];
static size_t n_changes;

/* The fields of a file */

static void
add_field(Original *self, uint64_t record, uint64_t at, uint32_t width)
{
    if (self->n_fields < MOST_FIELDS) {
        self->fields[self->n_fields++] = (Field){record + at, record, width};
    }
}

#define FIELD(original, record, type, name) add_field(original, record, offsetof(type, name), sizeof((type *)0)->name)

static uint64_t
number_at(const char *bytes, uint64_t offset, uint32_t width)
{
    uint64_t number = 0;
    memcpy(&number, bytes + offset, width);
    return number;
}

#define READ(original, record, type, name) \
    number_at((original)->bytes, (record) + offsetof(type, name), sizeof((type *)0)->name)

static void
add_slot(Original *self, uint64_t slot, uint64_t words)
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
    for (uint64_t i = 0; i < words + 3; i++) { /* cells, and the first tag */
        add_field(self, slot, offsetof(SlotRecord, cells) + i * sizeof(Cell), sizeof(Cell));
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
            add_slot(self, slot, READ(self, entry, EntryRecord, words));
        }
    }
}

/* Numbers beyond those of the fields are the words from `used` on, where new records come to be. */
static Field
field_of(uint16_t number)
{
    if (number < original->n_fields) {
        return original->fields[number];
    }
    uint64_t used = READ(original, 0, Header, used);
    return (Field){used + 8 * (uint64_t)(number - original->n_fields) % (original->size - used - 8), used, 8};
}

/* Changes */

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

static void
apply(const Change *change)
{
    Field field = field_of(change->field);
    if (change->kind % N_KINDS == REPAIR) {
        repair(field.record);
    }
    else if (change->kind % N_KINDS != RESIZE) {
        put(field.offset, changed(change, &field), field.width);
    }
    else if (read_only != NULL || view == NULL) { /* who shares a file that is cut off gets SIGBUS, which nothing can prevent */
        if (ftruncate(fd, (off_t)(change->value % MOST_SIZE)) != 0) {
            abort();
        }
    }
}

/* Called before a part of the file is read: change what is due. */
static void
before_read(uint64_t from, uint64_t size)
{
    for (size_t i = 0; i < n_changes; i++) {
        uint64_t trigger = changes[i].reads == 0 ? 0 : field_of(changes[i].trigger).offset;
        if (changes[i].reads > 0 && trigger >= from && trigger - from < size && --changes[i].reads == 0) {
            apply(&changes[i]);
        }
    }
}

/* What the code under test calls instead of the system, or where it reads memory */

static void
loads(const void *at, uint64_t size)
{
    uint64_t offset = (uint64_t)((const char *)at - view);
    if (view != NULL && offset < view_size) {
        before_read(offset, size);
    }
}

void __sanitizer_cov_load1(const void *at) { loads(at, 1); }
void __sanitizer_cov_load2(const void *at) { loads(at, 2); }
void __sanitizer_cov_load4(const void *at) { loads(at, 4); }
void __sanitizer_cov_load8(const void *at) { loads(at, 8); }
void __sanitizer_cov_load16(const void *at) { loads(at, 16); }

ssize_t __real_pread(int from, void *to, size_t n, off_t at);
void *__real_mmap(void *at, size_t size, int protection, int flags, int from, off_t offset);
int __real_munmap(void *at, size_t size);

ssize_t
__wrap_pread(int from, void *to, size_t n, off_t at)
{
    if (running) {
        before_read((uint64_t)at, n);
    }
    return __real_pread(from, to, n, at);
}

void *
__wrap_mmap(void *at, size_t size, int protection, int flags, int from, off_t offset)
{
    if (!running || (flags & MAP_NORESERVE) == 0) { /* not of the code under test */
        return __real_mmap(at, size, protection, flags, from, offset);
    }
    int none = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char *space = __real_mmap(NULL, size + 2 * GUARD, PROT_NONE, none, -1, 0);
    void *base = space == MAP_FAILED ? space : __real_mmap(space + GUARD, size, protection, flags | MAP_FIXED, from, offset);
    if (base != MAP_FAILED && from >= 0) {
        view = base;
        view_size = size;
    }
    else if (base != MAP_FAILED) {
        read_only = base;
    }
    return base;
}

int
__wrap_munmap(void *at, size_t size)
{
    if (at == NULL || (at != view && at != read_only)) {
        return __real_munmap(at, size);
    }
    view = at == view ? NULL : view;
    read_only = at == read_only ? NULL : read_only;
    return __real_munmap((char *)at - GUARD, size + 2 * GUARD);
}

/* Runs */

static void
stop_if(int wrong, const char *what)
{
    if (wrong) {
        fprintf(stderr, "%s\n", what);
        if (PyErr_Occurred()) {
            PyErr_Print();
        }
        abort();
    }
}

static void
restore(void)
{
    stop_if(ftruncate(fd, (off_t)original->size) != 0, "cannot restore the file");
    memcpy(file, original->bytes, original->size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Plan plan = {0, 0, {0}};
    memcpy(&plan, data, size < sizeof plan ? size : sizeof plan);
    original = &originals[plan.file % n_originals];
    restore();
    n_changes = size < sizeof plan ? 0 : (size - sizeof plan) / sizeof *changes;
    n_changes = n_changes < MOST_CHANGES ? n_changes : MOST_CHANGES;
    memcpy(changes, data + (n_changes > 0 ? sizeof plan : 0), n_changes * sizeof *changes);
    for (size_t i = 0; i < n_changes; i++) {
        if (changes[i].reads == 0) {
            apply(&changes[i]);
        }
    }
    running = 1;
    PyObject *done = PyObject_CallFunction(run, "iiy#", fd, plan.writes & 1, (char *)plan.steps, (Py_ssize_t)sizeof plan.steps);
    running = 0;
    stop_if(done == NULL, "an exception that nobody expects");
    stop_if(view != NULL || read_only != NULL, "a mapping is left");
    Py_XDECREF(done);
    return 0;
}

static void
read_original(Original *self, const char *path)
{
    FILE *from = fopen(path, "rb");
    self->bytes = calloc(1, MOST_SIZE);
    stop_if(from == NULL || self->bytes == NULL, path);
    self->size = fread(self->bytes, 1, MOST_SIZE, from);
    fclose(from);
    find_fields(self);
}

PyObject *PyInit__engine(void);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    char *paths = strdup(getenv("FUZZ_FILES"));
    for (char *path = strtok(paths, ":"); path != NULL && n_originals < MOST_FILES; path = strtok(NULL, ":")) {
        read_original(&originals[n_originals++], path);
    }
    free(paths);
    fd = memfd_create("fuzz", MFD_CLOEXEC);
    file = fd < 0 ? MAP_FAILED : __real_mmap(NULL, MOST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    stop_if(file == MAP_FAILED || n_originals == 0, "cannot make the file");
    PyImport_AppendInittab("_engine", PyInit__engine);
    Py_InitializeEx(0);
    PyObject *target = PyImport_ImportModule("target");
    run = target == NULL ? NULL : PyObject_GetAttrString(target, "run");
    stop_if(run == NULL, "cannot import the target");
    return 0;
}

/* Mutation: of whole changes */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

static uint64_t state;

static uint64_t
any(uint64_t n) /* xorshift64*, of Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016 */
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * UINT64_C(0x2545f4914f6cdd1d) >> 32) % n;
}

static uint16_t
any_field(void)
{
    return (uint16_t)any(original->n_fields + (any(8) == 0 ? 256 : 0));
}

static Change
any_change(void)
{
    Change change = {any_field(), 0, (uint8_t)any(any(16) == 0 ? N_KINDS : RESIZE), 0, 0, any(UINT32_MAX)};
    change.trigger = any(4) > 0 ? change.field : any_field();
    change.distance = (int8_t)(any(2) ? 0 : (int64_t)any(any(4) ? 5 : 256) - 2);
    change.reads = (uint16_t)(any(2) ? 0 : 1 + any(any(4) ? 4 : 1000));
    return change;
}

static void
alter(Change *change)
{
    Change other = any_change();
    switch (any(6)) {
    case 0:
        change->reads = other.reads;
        break;
    case 1:
        change->trigger = other.trigger;
        break;
    case 2:
        change->distance = other.distance;
        break;
    case 3:
        change->value = any(2) ? other.value : change->value ^ (UINT64_C(1) << any(64));
        break;
    case 4:
        change->field = change->trigger = (uint16_t)(change->field + any(5) - 2);
        break;
    default:
        change->kind = other.kind;
    }
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    Plan plan = {0, 0, {0}};
    Change list[MOST_CHANGES + 1];
    size_t n = size < sizeof plan ? 0 : (size - sizeof plan) / sizeof *list;
    state = seed + UINT64_C(0x9e3779b97f4a7c15);
    any(2);
    n = n < MOST_CHANGES ? n : MOST_CHANGES;
    memcpy(&plan, data, size < sizeof plan ? size : sizeof plan);
    memcpy(list, data + (n > 0 ? sizeof plan : 0), n * sizeof *list);
    original = &originals[plan.file % n_originals];
    uint64_t what = any(10);
    if (what == 0) {
        LLVMFuzzerMutate((uint8_t *)&plan, sizeof plan, sizeof plan);
    }
    else if (what == 1) {
        plan.steps[any(sizeof plan.steps)] = (uint8_t)any(16);
    }
    else if (what < 5 || n == 0) {
        list[n < MOST_CHANGES ? n++ : any(n)] = any_change();
    }
    else if (what == 5) {
        list[any(n)] = list[n - 1];
        n--;
    }
    else if (what == 6) {
        LLVMFuzzerMutate((uint8_t *)list, n * sizeof *list, n * sizeof *list);
    }
    else {
        alter(&list[any(n)]);
    }
    n = sizeof plan + n * sizeof *list <= most ? n : (most - sizeof plan) / sizeof *list;
    memcpy(data, &plan, sizeof plan);
    memcpy(data + sizeof plan, list, n * sizeof *list);
    return sizeof plan + n * sizeof *list;
}
