#define _GNU_SOURCE
#include "places.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lock.h"
#include "shared_methods.h"

/* The pid in the place of the crowd while a process that could not open the file is, or was, in it. Such a process has no
 * lock of its own by which others could see it die, so the crowd is then never buried. */
#define FOR_EVER UINT64_MAX

static Place *
place_at(const Shared *shared, uint32_t index)
{
    return (Place *)(shared->base + PLACES) + index;
}

static uint64_t
start_of_process(void)
{
    char text[1024] = "";
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) {
        close(fd);
    }
    const char *at = n > 0 ? strrchr(text, ')') : NULL; /* the name of a process may hold anything */
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    return at == NULL ? 0 : strtoull(at, NULL, 10);
}

/* The namespace that our pid is of. Another that shares the file may know us by another pid, and others by ours. */
static uint64_t
namespace_of_process(void)
{
    struct stat status;
    return stat("/proc/self/ns/pid", &status) < 0 ? 0 : (uint64_t)status.st_ino;
}

/* Take a place that nobody has, or one whose process died: 1 if there was one. */
static int
take_one(Shared *shared, int of_the_dead)
{
    for (uint32_t index = 0; index < CROWD; index++) {
        if ((atomic_load(&place_at(shared, index)->pid) != 0) == of_the_dead && lock_place(shared, index)) {
            shared->index = index;
            return 1;
        }
    }
    return 0;
}

int
place_take(Shared *shared)
{
    shared->index = CROWD;
    if (shared->is_borrowed) {
        return 0;
    }
    if (take_one(shared, 0)) { /* first, so that most processes begin without a burial, which looks at each slot */
        return 0;
    }
    if (take_one(shared, 1)) {
        return 1;
    }
    lock_place_together(shared, CROWD);
    return 0;
}

void
place_settle(Shared *shared)
{
    Place *place = place_at(shared, shared->index);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    place->started = start_of_process();
    place->namespace = namespace_of_process();
    place->since = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    if (shared->index != CROWD || atomic_load(&place->pid) != FOR_EVER) {
        atomic_store(&place->pid, shared->is_borrowed ? FOR_EVER : (uint64_t)getpid());
    }
}

int
places_find_dead(Shared *shared, uint64_t dead[PLACE_WORDS])
{
    int any = 0;
    for (uint32_t index = 0; index < MAX_PROCESSES && !shared->is_borrowed; index++) {
        uint64_t pid = atomic_load(&place_at(shared, index)->pid);
        if (index != shared->index && pid != 0 && pid != FOR_EVER && lock_place(shared, index)) {
            dead[index / 64] |= PLACE_BIT(index);
            any = 1;
        }
    }
    return any;
}

void
places_give_back(Shared *shared, const uint64_t dead[PLACE_WORDS])
{
    for (uint32_t index = 0; index < MAX_PROCESSES; index++) {
        if ((dead[index / 64] & PLACE_BIT(index)) != 0) {
            step(shared);
            atomic_store(&place_at(shared, index)->pid, 0);
            unlock_place(shared, index);
        }
    }
}

/* Return 1 for a process that has ended although its place is locked: who buries it does that. Of another namespace's, nobody
 * here knows. */
static int
is_gone(unsigned long long pid, unsigned long long namespace, uint64_t here)
{
    return here != 0 && namespace == here && pid <= INT32_MAX && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

PyObject *
shared_processes(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Shared *self = (Shared *)op;
    PyObject *list = PyList_New(0);
    uint64_t here = namespace_of_process();
    for (uint32_t index = 0; list != NULL && index < CROWD; index++) {
        const Place *place = place_at(self, index);
        unsigned long long pid = atomic_load(&place->pid), started = place->started, namespace = place->namespace;
        int is_other = index != self->index;
        /* Without a number, it has only just taken the place, and not written yet who it is. */
        if (is_other && (pid == 0 || !is_place_locked(self, index) || is_gone(pid, namespace, here))) {
            continue;
        }
        PyObject *one = Py_BuildValue("IKKdK", index, pid, started, place->since, namespace);
        if (one == NULL || PyList_Append(list, one) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(one);
    }
    return list;
}
