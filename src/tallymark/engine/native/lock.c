#define _GNU_SOURCE
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "shared_methods.h"

#define LOCK_BYTE ((off_t)1 << 40) /* those of the places follow it */
#define PLACE_BYTE(index) (LOCK_BYTE + 1 + (off_t)(index))

/* Between two attempts: the first wait and the longest, in nanoseconds. */
#define FIRST_WAIT 20000
#define LONGEST_WAIT 1000000

#ifndef F_OFD_SETLK /* not on Linux: open_to_share() raises there */
#define F_OFD_SETLK F_SETLK
#define F_OFD_GETLK F_GETLK
#endif

static int
set_lock(int fd, int command, off_t byte, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, command, &lock);
}

/* A process that could not open the file itself locks by process, and any close of the file ends that lock: no harm, as it is
 * never held while other code of the process runs. */
static int
set_lock_of_all(const Shared *shared, short type)
{
    return set_lock(shared->fd, shared->is_borrowed ? F_SETLK : F_OFD_SETLK, LOCK_BYTE, type);
}

int
lock_is_ours(const Shared *shared)
{
    struct stat status;
    return fstat(shared->fd, &status) == 0 && status.st_dev == shared->device && status.st_ino == shared->inode
           && (shared->index == CROWD || !is_place_locked(shared, shared->index));
}

/* One attempt, which takes microseconds: 1; 0 if another has the lock; -1 with the reason in `why`. */
static int
attempt(Shared *shared)
{
    if (!lock_is_ours(shared)) {
        shared->why = "other code in this process closed its file";
        return -1;
    }
    if (set_lock_of_all(shared, F_WRLCK) == 0) {
        return 1;
    }
    if (errno == EAGAIN || errno == EACCES || errno == EINTR) {
        return 0;
    }
    shared->why = "its file system cannot lock files";
    return -1;
}

/* The lock is taken and held with the GIL, so no two threads have it at once, though to the kernel they are the same. */
int
lock_take(Shared *shared, int64_t patience)
{
    const char *base = shared->base;
    int64_t began = clock_now();
    long wait = FIRST_WAIT;
    int taken;
    while ((taken = attempt(shared)) == 0) {
        if (shared->impatient || clock_now() - began > patience) {
            shared->impatient = shared->impatient || patience == PATIENT;
            shared->why = "a process that is stopped holds its lock";
            return 0;
        }
        Py_BEGIN_ALLOW_THREADS
        nanosleep(&(struct timespec){.tv_nsec = wait}, NULL);
        Py_END_ALLOW_THREADS
        wait = 2 * wait < LONGEST_WAIT ? 2 * wait : LONGEST_WAIT;
        if (PyErr_CheckSignals() < 0) {
            return -1;
        }
        if (shared->base != base) {
            shared->why = "this process was forked while it waited";
            return 0;
        }
    }
    shared->impatient = shared->impatient && taken < 0;
    return taken > 0;
}

void
lock_release(Shared *shared)
{
    set_lock_of_all(shared, F_UNLCK);
}

int
lock_place(const Shared *shared, uint32_t index)
{
    return set_lock(shared->fd, F_OFD_SETLK, PLACE_BYTE(index), F_WRLCK) == 0;
}

void
unlock_place(const Shared *shared, uint32_t index)
{
    set_lock(shared->fd, F_OFD_SETLK, PLACE_BYTE(index), F_UNLCK);
}

int
lock_place_together(const Shared *shared, uint32_t index)
{
    return set_lock(shared->fd, F_OFD_SETLK, PLACE_BYTE(index), F_RDLCK) == 0;
}

int
is_place_locked(const Shared *shared, uint32_t index)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = PLACE_BYTE(index), .l_len = 1};
    return fcntl(shared->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
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
