/*
 * Records what a process asks of the disk: every write, truncation and fsync of the files in one folder, in order, with
 * the bytes. Preloaded under the engine; what it records is replayed up to a power cut by images.ts.
 *
 * CUT_DIR names the folder, CUT_TRACE the file that is written. A record is: kind (1 byte: w, t, s or d for a deletion),
 * path length (u16), offset (u64), length (u32), path, bytes; integers in the machine's order. Deletions matter because a
 * WAL that is deleted and made anew is another file.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 4096
static char *path_of[FDS];
static int trace = -1;
static const char *folder;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static ssize_t (*real_write)(int, const void *, size_t);

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

static void begin(void) {
  if (folder != NULL || getenv("CUT_DIR") == NULL) return;
  folder = getenv("CUT_DIR");
  real_write = next("write");
  int (*real_open)(const char *, int, ...) = next("open");
  trace = real_open(getenv("CUT_TRACE"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void record(char kind, const char *path, uint64_t offset, const void *bytes, uint32_t length) {
  uint16_t path_length = strlen(path);
  size_t total = 15 + path_length + (bytes ? length : 0);
  char *out = malloc(total);
  out[0] = kind;
  memcpy(out + 1, &path_length, 2);
  memcpy(out + 3, &offset, 8);
  memcpy(out + 11, &length, 4);
  memcpy(out + 15, path, path_length);
  if (bytes) memcpy(out + 15 + path_length, bytes, length);
  for (size_t at = 0; at < total;) {
    ssize_t done = real_write(trace, out + at, total - at);
    if (done <= 0) _exit(99);
    at += done;
  }
  free(out);
}

/* The lock keeps the trace in the order in which the kernel saw the calls. */
#define WATCHED(fd) (trace >= 0 && (fd) >= 0 && (fd) < FDS && path_of[fd] != NULL)

static void watch(int fd, const char *path) {
  begin();
  if (folder == NULL || fd < 0 || fd >= FDS) return;
  free(path_of[fd]);
  path_of[fd] = NULL;
  size_t length = strlen(folder);
  if (strncmp(path, folder, length) == 0 && path[length] == '/') path_of[fd] = strdup(path + length + 1);
}

#define OPEN(name)                                                     \
  int name(const char *path, int flags, ...) {                         \
    va_list more;                                                      \
    va_start(more, flags);                                             \
    mode_t mode = va_arg(more, mode_t);                                \
    va_end(more);                                                      \
    int (*real)(const char *, int, ...) = next(#name);                 \
    int fd = real(path, flags, mode);                                  \
    watch(fd, path);                                                   \
    return fd;                                                         \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                   \
  int name(int at, const char *path, int flags, ...) {                 \
    va_list more;                                                      \
    va_start(more, flags);                                             \
    mode_t mode = va_arg(more, mode_t);                                \
    va_end(more);                                                      \
    int (*real)(int, const char *, int, ...) = next(#name);            \
    int fd = real(at, path, flags, mode);                              \
    watch(fd, path);                                                   \
    return fd;                                                         \
  }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
  int (*real)(int) = next("close");
  if (fd >= 0 && fd < FDS) {
    free(path_of[fd]);
    path_of[fd] = NULL;
  }
  return real(fd);
}

#define PWRITE(name, off)                                              \
  ssize_t name(int fd, const void *bytes, size_t count, off offset) {  \
    ssize_t (*real)(int, const void *, size_t, off) = next(#name);     \
    if (!WATCHED(fd)) return real(fd, bytes, count, offset);           \
    pthread_mutex_lock(&mutex);                                        \
    ssize_t done = real(fd, bytes, count, offset);                     \
    if (done > 0) record('w', path_of[fd], offset, bytes, done);       \
    pthread_mutex_unlock(&mutex);                                      \
    return done;                                                       \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t write(int fd, const void *bytes, size_t count) {
  ssize_t (*real)(int, const void *, size_t) = next("write");
  if (!WATCHED(fd)) return real(fd, bytes, count);
  pthread_mutex_lock(&mutex);
  ssize_t done = real(fd, bytes, count);
  if (done > 0) {
    off_t end = lseek(fd, 0, SEEK_CUR);
    record('w', path_of[fd], end - done, bytes, done);
  }
  pthread_mutex_unlock(&mutex);
  return done;
}

#define TRUNCATE(name, off)                                            \
  int name(int fd, off length) {                                       \
    int (*real)(int, off) = next(#name);                               \
    if (!WATCHED(fd)) return real(fd, length);                         \
    pthread_mutex_lock(&mutex);                                        \
    int failed = real(fd, length);                                     \
    if (!failed) record('t', path_of[fd], length, NULL, 0);            \
    pthread_mutex_unlock(&mutex);                                      \
    return failed;                                                     \
  }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(name)                                                     \
  int name(int fd) {                                                   \
    int (*real)(int) = next(#name);                                    \
    if (!WATCHED(fd)) return real(fd);                                 \
    pthread_mutex_lock(&mutex);                                        \
    int failed = real(fd);                                             \
    if (!failed) record('s', path_of[fd], 0, NULL, 0);                 \
    pthread_mutex_unlock(&mutex);                                      \
    return failed;                                                     \
  }
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
  int (*real)(const char *) = next("unlink");
  begin();
  int failed = real(path);
  size_t length = folder == NULL ? 0 : strlen(folder);
  if (!failed && length > 0 && strncmp(path, folder, length) == 0 && path[length] == '/') {
    pthread_mutex_lock(&mutex);
    record('d', path + length + 1, 0, NULL, 0);
    pthread_mutex_unlock(&mutex);
  }
  return failed;
}
