#include "slot.h"

#define FAMILY_MARK 0x494d4146u
#define MOST_TEXT (1u << 20)
#define MOST_WORDS 4096u

SharedFamily *
family_at(Shared *shared, uint64_t offset)
{
    SharedFamily *family = shared_at(shared, offset, sizeof *family);
    if (family == NULL || family->mark != FAMILY_MARK || family->words == 0 || family->words > MOST_WORDS
        || family->length > MOST_TEXT || shared_at(shared, offset, sizeof *family + family->length) == NULL
        || family->hash != text_hash(family->text, family->length)) {
        return NULL;
    }
    return family;
}

uint64_t
further(const Shared *shared, const void *record, uint64_t next)
{
    return next > offset_in(shared, record) ? next : 0;
}

SharedFamily *
first_family(Shared *shared)
{
    return family_at(shared, atomic_load(&shared->header->families));
}

SharedFamily *
next_family(Shared *shared, const SharedFamily *family)
{
    return family_at(shared, further(shared, family, atomic_load(&family->next)));
}

static uint32_t
name_length(const char *text, uint32_t length)
{
    const char *end = memchr(text, '\n', length);
    return end == NULL ? length : (uint32_t)(end - text);
}

/* Return the registered family of the same name; else the one with the same text; else NULL. */
static SharedFamily *
family_named_like(Shared *shared, const char *text, uint32_t length)
{
    SharedFamily *same = NULL;
    uint32_t name = name_length(text, length);
    for (SharedFamily *family = first_family(shared); family != NULL; family = next_family(shared, family)) {
        if (name_length(family->text, family->length) == name && memcmp(family->text, text, name) == 0) {
            if (atomic_load(&family->registered)) {
                return family;
            }
            if (family->length == length && memcmp(family->text, text, length) == 0) {
                same = family;
            }
        }
    }
    return same;
}

int
family_register(Shared *shared, SharedFamily *family)
{
    if (!atomic_load(&family->registered)) {
        const SharedFamily *other = family_named_like(shared, family->text, family->length);
        if (other != NULL && other != family && atomic_load(&other->registered)) {
            return 0;
        }
        atomic_store(&family->registered, 1);
    }
    return 1;
}

void
family_unregister(Shared *shared, SharedFamily *family)
{
    for (Slot *slot = first_slot(shared, family); slot != NULL; slot = next_slot(shared, family, slot)) {
        slot_kill(shared, family, slot);
    }
    step(shared);
    atomic_store(&family->registered, 0);
}

static SharedFamily *
family_make(Shared *shared, const char *text, uint32_t length, uint32_t words, uint32_t aggregate)
{
    _Atomic uint64_t *link = &shared->header->families;
    for (SharedFamily *family = first_family(shared); family != NULL; family = next_family(shared, family)) {
        link = &family->next;
    }
    if (atomic_load(link) != 0) { /* to a damaged record: keep what follows */
        return NULL;
    }
    int fits = words > 0 && words <= MOST_WORDS && length <= MOST_TEXT;
    uint64_t offset = fits ? shared_take(shared, sizeof(SharedFamily) + length) : 0;
    if (offset == 0) {
        return NULL;
    }
    SharedFamily *family = (SharedFamily *)(shared->base + offset);
    family->mark = FAMILY_MARK;
    family->words = words;
    family->aggregate = aggregate;
    family->length = length;
    family->hash = text_hash(text, length);
    memcpy(family->text, text, length);
    atomic_store(&family->registered, 1);
    step(shared);
    atomic_store(link, offset);
    return family;
}

SharedFamily *
family_find_or_make(Shared *shared, const char *text, uint32_t length, uint32_t words, uint32_t aggregate)
{
    SharedFamily *family = family_named_like(shared, text, length);
    if (family == NULL) {
        return family_make(shared, text, length, words, aggregate);
    }
    atomic_store(&family->registered, 1);
    return family;
}

static int
is_among(const uint64_t dead[PLACE_WORDS], uint32_t index)
{
    return index < MAX_PROCESSES && (dead[index / 64] & PLACE_BIT(index)) != 0;
}

static void
slot_bury(Shared *shared, SharedFamily *family, Slot *slot, const uint64_t dead[PLACE_WORDS])
{
    if (slot_is_live(slot) && is_among(dead, atomic_load(&slot->owner))) {
        slot_end_share(shared, family, slot);
        step(shared);
    }
    for (uint32_t i = 0; i < PLACE_WORDS; i++) {
        if ((atomic_load(&slot->holders[i]) & dead[i]) != 0) {
            atomic_fetch_and(&slot->holders[i], ~dead[i]);
        }
    }
}

void
directory_bury(Shared *shared, const uint64_t dead[PLACE_WORDS])
{
    for (SharedFamily *family = first_family(shared); family != NULL; family = next_family(shared, family)) {
        uint32_t live = 0;
        for (Slot *slot = first_slot(shared, family); slot != NULL; slot = next_slot(shared, family, slot)) {
            slot_bury(shared, family, slot, dead);
        }
        for (Slot *slot = first_slot(shared, family); slot != NULL; slot = next_slot(shared, family, slot)) {
            live += (uint32_t)slot_counts(shared, family, slot);
        }
        atomic_store(&family->live, live);
        atomic_fetch_add(&family->version, 1); /* slots may have become free: searches must look again */
    }
}
