#define _GNU_SOURCE
#include "member.h"

#include <errno.h>
#include <fcntl.h>
#include <structmember.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "shared_methods.h"
#include "state.h"

#define MAGIC UINT64_C(0x4b524d594c4c4154) /* TALLYMRK */
#define VERSION 3
#define FIRST_SIZE (UINT64_C(1) << 19) /* bytes for records in a new file */
#define LEAST_LIMIT (data_offset(0) + 2 * FIRST_SIZE)
#define MOST_LIMIT (UINT64_C(1) << 39)
#define COPIED (off_t)(1 << 20) /* read at once, of a file that is copied */

static uint64_t
header_checksum(const Header *header)
{
    return text_hash((const char *)header, offsetof(Header, checksum));
}

static const char *
what_is_wrong(const Header *header, uint64_t file_size)
{
    if (file_size < data_offset(LEAST_LIMIT)) {
        return "it is too short";
    }
    if (header->magic != MAGIC) {
        return "Tallymark did not make it";
    }
    if (header->version != VERSION) {
        return "another release of Tallymark made it";
    }
    if (header->checksum != header_checksum(header) || header->limit < LEAST_LIMIT || header->limit > MOST_LIMIT) {
        return "its header is damaged";
    }
    uint64_t size = atomic_load(&header->size), used = atomic_load(&header->used);
    if (size > file_size || size > header->limit || used > size || used < data_offset(header->limit)) {
        return "it was truncated, or its header is damaged";
    }
    return NULL;
}

/* Map a file that this process changes, as others do. */
static void *
map_to_share(const Shared *self, const struct stat *status)
{
    int has_holes = (uint64_t)status->st_blocks * 512 < self->known; /* a copy may have some */
    if (has_holes && (errno = shared_allocate(self->fd, 0, self->known)) != 0) {
        return MAP_FAILED;
    }
    return mmap(NULL, self->limit, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, self->fd, 0);
}

/* Copy a file that this process only looks at. Its owner may be hostile, and would change what was checked before it is used, or
 * cut the file off under the mapping. Holes cost no memory. */
static void *
copy_to_read(const Shared *self)
{
    char *base = mmap(NULL, self->known, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    off_t at = 0, end = (off_t)self->known;
    while (base != MAP_FAILED && (at = lseek(self->fd, at, SEEK_DATA)) >= 0 && at < end) {
        ssize_t n = pread(self->fd, base + at, (size_t)(end - at < COPIED ? end - at : COPIED), at);
        if (n <= 0) {
            break;
        }
        at += n;
    }
    return base;
}

static int
shared_map(Shared *self, int fd)
{
    struct stat status;
    Header header;
    memset((void *)&header, 0, sizeof header);
    if ((self->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3)) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    /* The header first: the file may grow meanwhile, and is then longer than the header says, not shorter. */
    ssize_t n = pread(self->fd, (void *)&header, sizeof header, 0);
    if (fstat(self->fd, &status) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    self->device = status.st_dev;
    self->inode = status.st_ino;
    const char *wrong = n < (ssize_t)sizeof header ? "it is too short" : what_is_wrong(&header, (uint64_t)status.st_size);
    if (wrong != NULL) {
        PyErr_SetString(PyExc_ValueError, wrong);
        return -1;
    }
    self->limit = header.limit;
    self->known = atomic_load(&header.size);
    self->mapped = self->writable ? self->limit : self->known;
    void *base = self->writable ? map_to_share(self, &status) : copy_to_read(self);
    if (base == MAP_FAILED) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    self->base = base;
    self->header = base;
    if (!self->writable) { /* the copy is of another moment: what was checked holds */
        memcpy(base, (void *)&header, sizeof header);
    }
    return 0;
}

static PyObject *
shared_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"fd", "writable", NULL};
    int fd, writable = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i|p:Shared", names, &fd, &writable)) {
        return NULL;
    }
    Shared *self = (Shared *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->fd = -1;
    self->writable = writable;
    self->pid = self->opener = getpid();
    self->index = CROWD;
    self->fault_signal = SIGKILL;
    if (shared_map(self, fd) < 0) {
        goto error;
    }
    if (writable) {
        int locked = shared_lock(self, AT_START);
        if (locked <= 0) {
            if (locked == 0) {
                PyErr_SetString(PyExc_ValueError, self->why);
            }
            goto error;
        }
        member_enter(self);
        shared_unlock(self);
    }
    return (PyObject *)self;
error:
    Py_DECREF(self);
    return NULL;
}

static void
shared_dealloc(PyObject *op)
{
    Shared *self = (Shared *)op;
    PyTypeObject *type = Py_TYPE(op);
    if (self->weaklist != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    int is_open = self->fd >= 0 && lock_is_ours(self);
    if (self->base != NULL) {
        munmap(self->base, self->mapped);
    }
    if (self->left != NULL) {
        munmap(self->left, self->limit);
    }
    if (is_open) {
        close(self->fd); /* with this and the mapping, the lock on our place ends */
    }
    type->tp_free(op);
    Py_DECREF(type);
}

/* Write the header of a new file, which nobody else sees yet. */
static PyObject *
shared_format(PyObject *Py_UNUSED(type), PyObject *args)
{
    int fd;
    unsigned long long limit;
    const char *release;
    if (!PyArg_ParseTuple(args, "iKs:format", &fd, &limit, &release)) {
        return NULL;
    }
    if (limit < LEAST_LIMIT || limit > MOST_LIMIT) {
        PyErr_Format(PyExc_ValueError, "limit must be from %llu bytes to 512 GiB", (unsigned long long)LEAST_LIMIT);
        return NULL;
    }
    uint64_t data = data_offset(limit);
    Header header;
    memset((void *)&header, 0, sizeof header);
    header.magic = MAGIC;
    header.version = VERSION;
    strncpy(header.release, release, sizeof header.release - 1);
    header.limit = limit;
    header.checksum = header_checksum(&header);
    atomic_init(&header.size, data + FIRST_SIZE);
    atomic_init(&header.used, data);
    int failed = shared_allocate(fd, 0, data + FIRST_SIZE);
    if (failed != 0 || pwrite(fd, (void *)&header, sizeof header, 0) != (ssize_t)sizeof header) {
        errno = failed != 0 ? failed : errno;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

static PyObject *
shared_usage(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    const Header *header = ((Shared *)op)->header;
    return Py_BuildValue("{s:K,s:K,s:K,s:K}", "limit", (unsigned long long)header->limit, "size",
                         (unsigned long long)atomic_load(&header->size), "used", (unsigned long long)atomic_load(&header->used),
                         "failed", (unsigned long long)atomic_load(&header->failed));
}

/* For tests, which kill or stop a process amid its changes. */
static PyObject *
shared_fault(PyObject *op, PyObject *args)
{
    Shared *self = (Shared *)op;
    self->steps = 0;
    self->fault_signal = SIGKILL;
    return PyArg_ParseTuple(args, "l|i:_fault", &self->fault, &self->fault_signal) ? Py_NewRef(Py_None) : NULL;
}

static PyObject *
shared_get_why(PyObject *op, void *Py_UNUSED(closure))
{
    const Shared *self = (Shared *)op;
    return PyUnicode_FromString(self->why == NULL ? "" : self->why);
}

static PyObject *
shared_get_identity(PyObject *op, void *Py_UNUSED(closure))
{
    const Shared *self = (Shared *)op;
    return Py_BuildValue("KK", (unsigned long long)self->device, (unsigned long long)self->inode);
}

#define DOC(signature, text) signature "\n--\n\n" text

static PyMethodDef shared_methods[] = {
    {"format", shared_format, METH_VARARGS | METH_STATIC,
     DOC("format(fd, limit, release, /)", "Write the header of a new file, with the release of Tallymark that makes it.")},
    {"claim", shared_claim, METH_O | METH_STATIC,
     DOC("claim(fd, /)", "Lock a file, of whatever release, until it is closed; return True if no living process uses it.")},
    {"in_child", shared_in_child, METH_NOARGS, DOC("in_child($self, /)", "After a fork: get a file and a place of its own.")},
    {"open_again", shared_open_again, METH_NOARGS,
     DOC("open_again($self, /)", "Return a new descriptor of the file, whose locks are its own.")},
    {"bury", shared_bury, METH_NOARGS,
     DOC("bury($self, /)", "Take back what dead processes held; return True if that was possible.")},
    {"processes", shared_processes, METH_NOARGS,
     DOC("processes($self, /)", "Return (place, pid, start, since, namespace) of each live process.")},
    {"usage", shared_usage, METH_NOARGS,
     DOC("usage($self, /)", "Return limit, size and used bytes, and failed requests for space.")},
    {"families", shared_families, METH_NOARGS,
     DOC("families($self, /)", "Return (offset, registered, whether it ever had a series) of each family.")},
    {"text", shared_text, METH_VARARGS,
     DOC("text($self, offset, /)", "Return the text of a family; None if it is damaged.")},
    {"series", shared_series, METH_VARARGS,
     DOC("series($self, offset, /)", "Return (text, owner, created, cells) of each live slot.")},
    {"negatives", shared_negatives, METH_VARARGS,
     DOC("negatives($self, offset, /)", "Return the cells of buckets below 0, which a cell of a slot leads to; None if damaged.")},
    {"wait", shared_wait, METH_NOARGS,
     DOC("wait($self, /)", "Wait until the lock is free; return True if it was in time. Other threads run meanwhile.")},
    {"add_family", shared_add_family, METH_VARARGS,
     DOC("add_family($self, text, words, aggregate, extra=0, /)", "Return the offset of a family, made if need be; 0: no space.")},
    {"register", shared_register, METH_VARARGS,
     DOC("register($self, offset, /)", "Register a family; return True if its name was free.")},
    {"unregister", shared_unregister, METH_VARARGS,
     DOC("unregister($self, offset, /)", "Unregister a family and end its series; return True if that was possible.")},
    {"_fault", shared_fault, METH_VARARGS,
     DOC("_fault($self, step, signal=SIGKILL, /)", "For tests: raise a signal at a step of changes.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef shared_getset[] = {
    {"why", shared_get_why, NULL, "Why the lock could not be taken at the last failure.", NULL},
    {"identity", shared_get_identity, NULL, "Device and number of the file.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef shared_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Shared, weaklist), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot shared_slots[] = {
    {Py_tp_doc, DOC("Shared(fd, writable=True)", "Memory that processes share: a mapped file. `ValueError`: it is not valid.")},
    {Py_tp_new, shared_new},
    {Py_tp_dealloc, shared_dealloc},
    {Py_tp_methods, shared_methods},
    {Py_tp_members, shared_members},
    {Py_tp_getset, shared_getset},
    {0, NULL},
};

PyType_Spec shared_spec = {
    .name = "tallymark.engine.native.Shared",
    .basicsize = sizeof(Shared),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = shared_slots,
};
