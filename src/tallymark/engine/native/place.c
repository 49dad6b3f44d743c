/* The lock, and places: which processes live, and what happens to both on a fork. */
#define _GNU_SOURCE
#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"

/* Bytes of the file that are locked, far beyond its end: the lock of all, and one for each place. */
#define LOCK_BYTE ((off_t)1 << 40)
#define PLACE_BYTE(index) (LOCK_BYTE + 1 + (off_t)(index))

/* How long to wait for the lock, in nanoseconds. Its holder needs microseconds, or milliseconds if a hundred processes compete
 * for the cores; one that is stopped, by SIGSTOP or a frozen container, may hold it for ever. */
#define PATIENCE INT64_C(5000000000)

/* Locks belong to the open file, not to the process: a fork shares them until the child opens its own. */

static int
set_lock(int fd, int command, off_t byte, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, command, &lock);
}

#ifndef F_OFD_SETLK /* not on Linux: open_to_share() raises there */
#define F_OFD_SETLK F_SETLK
#define F_OFD_GETLK F_GETLK
#endif

/* The lock of all. A process that could not open the file itself locks by process, and any close of the file ends that lock: no
 * harm, as it is never held while other code of the process runs. */
static int
set_lock_of_all(const Shared *shared, short type)
{
    return set_lock(shared->fd, shared->is_borrowed ? F_SETLK : F_OFD_SETLK, LOCK_BYTE, type);
}

static int
take_place(const Shared *shared, uint32_t index)
{
    return set_lock(shared->fd, F_OFD_SETLK, PLACE_BYTE(index), F_WRLCK) == 0;
}

static int
is_locked_by_another(int fd, off_t byte)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static int
wait_for_lock(Shared *shared)
{
    int64_t began = clock_now();
    while (set_lock_of_all(shared, F_WRLCK) < 0) {
        if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
            shared->why = "its file system cannot lock files";
            return 0;
        }
        if (shared->impatient || clock_now() - began > PATIENCE) {
            shared->impatient = 1;
            shared->why = "a process that is stopped holds its lock";
            return 0;
        }
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
    shared->impatient = 0;
    return 1;
}

/* Places */

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

void
place_enter(Shared *shared)
{
    shared->index = CROWD;
    for (uint32_t index = 0; index < CROWD && !shared->is_borrowed; index++) {
        if (take_place(shared, index)) {
            Place *place = place_at(shared, index);
            if (atomic_load(&place->pid) != 0) {
                uint64_t dead[PLACE_WORDS] = {0};
                dead[index / 64] = PLACE_BIT(index);
                directory_bury(shared, dead);
            }
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            place->started = start_of_process();
            place->namespace = namespace_of_process();
            place->since = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
            atomic_store(&place->pid, (uint64_t)getpid());
            shared->index = index;
            return;
        }
    }
}

void
places_bury(Shared *shared)
{
    uint64_t dead[PLACE_WORDS] = {0};
    int any = 0;
    for (uint32_t index = 0; index < CROWD; index++) {
        if (index != shared->index && atomic_load(&place_at(shared, index)->pid) != 0 && !shared->is_borrowed
            && take_place(shared, index)) {
            dead[index / 64] |= PLACE_BIT(index);
            any = 1;
        }
    }
    if (!any) {
        return;
    }
    directory_bury(shared, dead);
    for (uint32_t index = 0; index < CROWD; index++) {
        if ((dead[index / 64] & PLACE_BIT(index)) != 0) {
            step(shared);
            atomic_store(&place_at(shared, index)->pid, 0);
            set_lock(shared->fd, F_OFD_SETLK, PLACE_BYTE(index), F_UNLCK);
        }
    }
}

/* Taking the lock, as the process that we are now */

/* Return 1 if `fd` is still our open file. Other code may have closed it, and the number may by now be another file's, or
 * another open file's of ours: there, our lock on our place is another's. (It still holds: the mapping keeps the file open.) */
int
shared_is_open(const Shared *shared)
{
    struct stat status;
    return fstat(shared->fd, &status) == 0 && status.st_dev == shared->device && status.st_ino == shared->inode
           && (shared->index == CROWD || !is_locked_by_another(shared->fd, PLACE_BYTE(shared->index)));
}

/* Open the file of a descriptor again. Avoid the numbers of the standard streams. */
static int
open_again(int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int low = open(path, O_RDWR | O_CLOEXEC), high = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, 3);
    if (low >= 0) {
        close(low);
    }
    return high;
}

/* Get an open file of our own instead of the one that we share with our parent; if that fails, go on with the shared one. The
 * mapping keeps a file open, so map again, at the same address. */
static void
own_file(Shared *shared)
{
    int fd = open_again(shared->fd), flags = MAP_SHARED | MAP_NORESERVE | MAP_FIXED;
    if (fd >= 0 && mmap(shared->base, shared->limit, PROT_READ | PROT_WRITE, flags, fd, 0) != MAP_FAILED) {
        close(shared->fd);
        shared->fd = fd;
        shared->is_borrowed = 0;
        return;
    }
    if (fd >= 0) {
        close(fd);
    }
    shared->is_borrowed = 1;
}

/* In a forked child: get an open file and a place of its own. A child that may not open the file (its parent had dropped a
 * user's rights), or has no descriptors left, is one of the crowd. */
static int
join(Shared *shared)
{
    if (shared->opener != getpid()) {
        own_file(shared);
        shared->index = CROWD;
        shared->opener = getpid();
    }
    if (!wait_for_lock(shared)) {
        return 0;
    }
    place_enter(shared);
    shared->pid = getpid();
    shared_unlock(shared);
    return 1;
}

int
shared_lock(Shared *shared)
{
    if (!shared->writable) {
        shared->why = "it was opened read-only";
        return 0;
    }
    for (User *user = shared->users; user != NULL && shared->pid != getpid(); user = user->next) {
        user->forked(user); /* before all else: only the parent may let go of what it holds */
    }
    if (!shared_is_open(shared)) {
        shared->why = "other code in this process closed its file; make the registry after that";
        return 0;
    }
    return (shared->pid == getpid() || join(shared)) && wait_for_lock(shared);
}

void
shared_unlock(Shared *shared)
{
    set_lock_of_all(shared, F_UNLCK);
}

/* Methods */

PyObject *
shared_in_child(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Shared *self = (Shared *)op;
    self->pid = self->opener = 0; /* in a namespace of its own, a child may have its parent's pid */
    if (shared_lock(self)) { /* else the next shared_lock() tries again */
        shared_unlock(self);
    }
    Py_RETURN_NONE;
}

PyObject *
shared_bury(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Shared *self = (Shared *)op;
    int locked = shared_lock(self);
    if (locked) {
        places_bury(self);
        shared_unlock(self);
    }
    return PyBool_FromLong(locked);
}

/* All that use a file have locks from LOCK_BYTE on. To have them all is to be alone, until the file is closed. */
PyObject *
shared_claim(PyObject *Py_UNUSED(type), PyObject *number)
{
    int fd = PyObject_AsFileDescriptor(number);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_BYTE, .l_len = 0};
    if (fd < 0) {
        return NULL;
    }
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
        Py_RETURN_TRUE;
    }
    return errno == EAGAIN || errno == EACCES ? Py_NewRef(Py_False) : PyErr_SetFromErrno(PyExc_OSError);
}

PyObject *
shared_processes(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Shared *self = (Shared *)op;
    PyObject *list = PyList_New(0);
    for (uint32_t index = 0; list != NULL && index < CROWD; index++) {
        const Place *place = place_at(self, index);
        unsigned long long pid = atomic_load(&place->pid), started = place->started;
        if (index != self->index && !is_locked_by_another(self->fd, PLACE_BYTE(index))) {
            continue;
        }
        unsigned long long namespace = place->namespace;
        PyObject *one = Py_BuildValue("IKKdK", index, pid, started, place->since, namespace);
        if (one == NULL || PyList_Append(list, one) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(one);
    }
    return list;
}
