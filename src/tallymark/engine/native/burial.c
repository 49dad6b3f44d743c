#include "burial.h"

#include <math.h>

#include "slot.h"

/* Where series expire, what was left counts as a record. */
static void
touch(const Entry *entry, SlotRecord *slot)
{
    if (entry->words == 2) {
        atomic_fetch_add(&slot->cells[1], ONE_RECORD);
    }
}

/* Merge a dead process' value into the series' RETIRED slot; if it has none, retire this slot itself, which needs no space. */
static void
retire_share(const Entry *entry, const Slot *slot)
{
    double value = cell_get(&slot->record->cells[0]);
    Slot retired = slot_find(entry, RETIRED, slot_text(entry, slot), slot->length);
    if (retired.record == NULL) {
        touch(entry, slot->record);
        atomic_store(&slot->record->owner, RETIRED);
        return;
    }
    touch(entry, retired.record);
    if (!slot_is_live(&retired)) {
        cell_set(&retired.record->cells[0], value);
        retired.record->created = slot->record->created;
        step(entry->shared);
        slot_revive(entry, &retired);
    }
    else {
        retired.record->created = fmin(retired.record->created, slot->record->created);
        (entry->aggregate == MAX_OF ? cell_raise : cell_lower)(&retired.record->cells[0], value);
    }
    slot_end(entry, slot);
}

/* What a dead process had in a gauge leaves a sum, and stays in a maximum or minimum. */
static void
bury_share(const Entry *entry, const Slot *slot)
{
    if (entry->aggregate == MAX_OF || entry->aggregate == MIN_OF) {
        retire_share(entry, slot);
    }
    else {
        slot_end(entry, slot);
    }
    step(entry->shared);
}

static int
is_among(const uint64_t dead[PLACE_WORDS], uint32_t index)
{
    return index < MAX_PROCESSES && (dead[index / 64] & PLACE_BIT(index)) != 0;
}

static void
bury_holds(const Entry *entry, const uint64_t dead[PLACE_WORDS])
{
    for (Slot slot = slot_first(entry); slot.record != NULL; slot = slot_next(entry, &slot)) {
        if (slot_is_live(&slot) && is_among(dead, atomic_load(&slot.record->owner))) {
            bury_share(entry, &slot);
        }
        for (uint32_t i = 0; i < PLACE_WORDS; i++) {
            if ((atomic_load(&slot.record->holders[i]) & dead[i]) != 0) {
                atomic_fetch_and(&slot.record->holders[i], ~dead[i]);
            }
        }
    }
}

static uint32_t
count_live(const Entry *entry)
{
    uint32_t live = 0;
    for (Slot slot = slot_first(entry); slot.record != NULL; slot = slot_next(entry, &slot)) {
        live += (uint32_t)slot_counts(entry, &slot);
    }
    return live;
}

void
bury(Shared *shared, const uint64_t dead[PLACE_WORDS])
{
    for (Entry entry = entry_first(shared); entry.record != NULL; entry = entry_next(&entry)) {
        bury_holds(&entry, dead);
        atomic_store(&entry.record->live, count_live(&entry));
        atomic_fetch_add(&entry.record->ended, 1); /* slots may have become free: searches must look again */
    }
}

void
bury_all(Shared *shared)
{
    uint64_t dead[PLACE_WORDS] = {0};
    if (places_find_dead(shared, dead)) {
        bury(shared, dead);
        places_give_back(shared, dead);
    }
}
