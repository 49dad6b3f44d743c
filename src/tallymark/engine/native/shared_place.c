/* Locks, and places: which processes live, and what becomes of both when one forks. */
#define _GNU_SOURCE
#include "shared.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Bytes of the file that are locked, far beyond its end: the lock of all, and one for each place. */
#define LOCK_BYTE ((off_t)1 << 40)
#define PLACE_BYTE(index) (LOCK_BYTE + 1 + (off_t)(index))

/* Locks. They belong to the open file, not to the process: a fork shares them until the child opens its own. */

static int
lock_byte(int fd, off_t byte, short type, int wait)
{
#ifdef F_OFD_SETLK
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int result;
    do {
        result = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
    } while (result < 0 && errno == EINTR);
    return result;
#else
    (void)fd, (void)byte, (void)type, (void)wait;
    errno = ENOSYS;
    return -1;
#endif
}

static int
is_locked_by_another(int fd, off_t byte)
{
#ifdef F_OFD_SETLK
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
#else
    (void)fd, (void)byte;
    return 0;
#endif
}

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

/* Under the lock: a place that nobody holds, or the crowd's. */
static uint32_t
place_take(Shared *shared, int fd)
{
    for (uint32_t index = 0; index < CROWD; index++) {
        if (index != shared->index && lock_byte(fd, PLACE_BYTE(index), F_WRLCK, 0) == 0) {
            if (atomic_load(&place_at(shared, index)->pid) != 0) {
                place_clear(shared, index);
            }
            return index;
        }
    }
    return CROWD;
}

static void
place_sign(Shared *shared, uint32_t index)
{
    Place *place = place_at(shared, index);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    place->started = start_of_process();
    place->since = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    atomic_store(&place->pid, (uint64_t)getpid());
}

static int
open_again(int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDWR | O_CLOEXEC);
}

/* Become a process of our own, in a child that a fork made: with an open file, and a place, of its own. */
static int
shared_settle(Shared *shared)
{
    int fd = shared->child_fd >= 0 ? shared->child_fd : open_again(shared->fd);
    if (fd < 0) {
        return -1;
    }
    close(shared->fd);
    shared->fd = fd;
    shared->pid = getpid();
    if (shared->child_fd < 0) { /* it was forked unseen */
        place_copy(shared, shared->index, CROWD); /* which is never cleared: it holds more than needs be, and does no harm */
        shared->reserved = CROWD;
    }
    shared->index = shared->reserved;
    shared->reserved = CROWD;
    shared->child_fd = -1;
    if (shared->index != CROWD) {
        place_sign(shared, shared->index);
    }
    return 0;
}

int
shared_lock(Shared *shared)
{
    if (!shared->writable) {
        PyErr_SetString(PyExc_ValueError, "it was opened to be read");
        return -1;
    }
    if (shared->pid != getpid() && shared_settle(shared) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    if (lock_byte(shared->fd, LOCK_BYTE, F_WRLCK, 1) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}

void
shared_unlock(Shared *shared)
{
    lock_byte(shared->fd, LOCK_BYTE, F_UNLCK, 0);
}

void
place_enter(Shared *shared)
{
    shared->index = place_take(shared, shared->fd);
    if (shared->index != CROWD) {
        place_sign(shared, shared->index);
    }
}

void
places_bury(Shared *self)
{
    for (uint32_t index = 0; index < CROWD; index++) {
        Place *place = place_at(self, index);
        if (index != self->index && atomic_load(&place->pid) != 0
            && lock_byte(self->fd, PLACE_BYTE(index), F_WRLCK, 0) == 0) {
            place_clear(self, index);
            step(self);
            atomic_store(&place->pid, 0);
            lock_byte(self->fd, PLACE_BYTE(index), F_UNLCK, 0);
        }
    }
}

PyObject *shared_before_fork(PyObject *op, PyObject *ignored);
PyObject *shared_after_fork(PyObject *op, PyObject *ignored);
PyObject *shared_in_child(PyObject *op, PyObject *ignored);
PyObject *shared_processes(PyObject *op, PyObject *ignored);

/* Forks. The parent takes a place for the child before, which holds what the parent holds: so nothing that the child knows is
 * given to others meanwhile. */

PyObject *
shared_before_fork(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Shared *self = (Shared *)op;
    if (shared_lock(self) < 0) {
        return NULL;
    }
    self->child_fd = open_again(self->fd);
    self->reserved = self->child_fd < 0 ? CROWD : place_take(self, self->child_fd);
    if (self->reserved != CROWD) {
        place_sign(self, self->reserved); /* so that it is cleared if the child dies before it signs */
    }
    place_copy(self, self->index, self->reserved);
    shared_unlock(self);
    Py_RETURN_NONE;
}

PyObject *
shared_after_fork(PyObject *op, PyObject *Py_UNUSED(ignored)) /* in the parent */
{
    Shared *self = (Shared *)op;
    if (self->child_fd >= 0) {
        close(self->child_fd); /* the child has it now, and with it the lock on its place */
    }
    self->child_fd = -1;
    self->reserved = CROWD;
    Py_RETURN_NONE;
}

PyObject *
shared_in_child(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Shared *self = (Shared *)op;
    if (self->pid != getpid() && shared_settle(self) < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

PyObject *
shared_processes(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Shared *self = (Shared *)op;
    PyObject *list = PyList_New(0);
    for (uint32_t index = 0; list != NULL && index < CROWD; index++) {
        const Place *place = place_at(self, index);
        if (index != self->index && !is_locked_by_another(self->fd, PLACE_BYTE(index))) {
            continue;
        }
        PyObject *one = Py_BuildValue("IKKd", index, (unsigned long long)atomic_load(&place->pid), (unsigned long long)place->started, place->since);
        if (one == NULL || PyList_Append(list, one) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(one);
    }
    return list;
}
