#define _GNU_SOURCE
#include "member.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "burial.h"
#include "shared_methods.h"

void
member_enter(Shared *shared)
{
    if (place_take(shared)) { /* of a process that died */
        uint64_t dead[PLACE_WORDS] = {0};
        dead[shared->index / 64] = PLACE_BIT(shared->index);
        bury(shared, dead);
    }
    place_settle(shared);
}

/* Forks */

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

/* Get an open file of our own instead of the one that we share with our parent; if that fails, go on with the shared one. */
static void
own_file(Shared *shared)
{
    int fd = open_again(shared->fd);
    shared->is_borrowed = fd < 0;
    if (fd >= 0) {
        close(shared->fd);
        shared->fd = fd;
    }
}

/* Map the file anew, and zeros where our parent had it: so all that our parent held there is dead to us, at no cost for
 * each series, and its open file is no longer kept open by our mapping. Return 1 if that was possible. */
static int
move_mapping(Shared *shared)
{
    int anew = MAP_SHARED | MAP_NORESERVE, zeros = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    void *base = mmap(NULL, shared->limit, PROT_READ | PROT_WRITE, anew, shared->fd, 0);
    if (base == MAP_FAILED) {
        return 0;
    }
    if (mmap(shared->base, shared->limit, PROT_READ, zeros, -1, 0) == MAP_FAILED) {
        munmap(base, shared->limit);
        return 0;
    }
    shared->left = shared->base;
    shared->base = base;
    shared->header = base;
    return 1;
}

/* Or map it anew where it is, so that our parent's open file is not kept open. */
static void
replace_mapping(Shared *shared)
{
    int flags = MAP_SHARED | MAP_NORESERVE | MAP_FIXED;
    if (mmap(shared->base, shared->limit, PROT_READ | PROT_WRITE, flags, shared->fd, 0) == MAP_FAILED) {
        shared->is_borrowed = 1;
    }
}

static void
tell_users(Shared *shared, Forked what)
{
    for (User *user = shared->users; user != NULL; user = user->next) {
        user->forked(user, what);
    }
}

/* A child that may not open the file (its parent had dropped a user's rights), or has no descriptors left, is one of the
 * crowd. */
static void
leave_parent(Shared *shared)
{
    void *left = shared->left;
    shared->opener = getpid();
    shared->index = CROWD;
    own_file(shared);
    if (left != NULL) { /* of a fork before this one: some series may still be there */
        tell_users(shared, LEAVE_DEAD);
        munmap(left, shared->limit);
        shared->left = NULL;
    }
    int moved = move_mapping(shared);
    if (!moved) {
        replace_mapping(shared);
    }
    tell_users(shared, moved ? FOLLOW : LEAVE_ALL);
}

int
shared_lock(Shared *shared, int64_t patience)
{
    if (!shared->writable) {
        shared->why = "it was opened read-only";
        return 0;
    }
    if (shared->pid != getpid() && shared->opener != getpid()) {
        if (!lock_is_ours(shared)) {
            shared->why = "other code in this process closed its file; make the registry after that";
            tell_users(shared, LEAVE_ALL); /* only the parent may record to what it holds */
            return 0;
        }
        leave_parent(shared);
    }
    int locked = lock_take(shared, patience);
    if (locked > 0 && shared->pid != getpid()) {
        member_enter(shared);
        shared->pid = getpid();
    }
    return locked;
}

/* Methods */

PyObject *
shared_open_again(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Shared *self = (Shared *)op;
    errno = EBADF;
    int fd = lock_is_ours(self) ? open_again(self->fd) : -1;
    return fd < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyLong_FromLong(fd);
}

PyObject *
shared_in_child(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Shared *self = (Shared *)op;
    self->pid = self->opener = 0; /* in a namespace of its own, a child may have its parent's pid */
    int locked = self->writable ? shared_lock(self, PATIENT) : 0; /* if it fails, the next one tries again */
    if (locked > 0) {
        shared_unlock(self);
    }
    return locked < 0 ? NULL : Py_NewRef(Py_None);
}

PyObject *
shared_bury(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Shared *self = (Shared *)op;
    int locked = shared_lock(self, PATIENT);
    if (locked > 0) {
        bury_all(self);
        shared_unlock(self);
    }
    return locked < 0 ? NULL : PyBool_FromLong(locked);
}
