/*
 * Makes a machine fail on command: writes and fsyncs of the files in one folder, and the wall clock. Preloaded under an
 * engine; what is to fail is read from a file that the test writes while the engine runs.
 *
 * FAULT_FOLDER names the folder. FAULT_ORDER names a file that holds nothing, or one line "OPERATION SUFFIX ERRNO AFTER
 * TIMES": operation is write or sync, suffix is the end of the path, AFTER calls still succeed, then TIMES calls fail
 * (-1: all). Each failure appends its line to FAULT_ORDER.done. FAULT_CLOCK names a file of eight bytes: milliseconds, in
 * the machine's order, that are added to the wall clock; the monotonic clock stays as it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define FDS 4096
static char *path_of[FDS];
static const char *folder;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct timespec order_of;
static int after, times;

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

static void watch(int fd, const char *path) {
  if (folder == NULL) folder = getenv("FAULT_FOLDER");
  if (folder == NULL || fd < 0 || fd >= FDS) return;
  size_t length = strlen(folder);
  pthread_mutex_lock(&mutex);
  free(path_of[fd]);
  path_of[fd] = strncmp(path, folder, length) == 0 && path[length] == '/' ? strdup(path) : NULL;
  pthread_mutex_unlock(&mutex);
}

/* The errno that this call is to fail with; 0 when it is to be done. A new order starts the count anew. */
static int failure(const char *operation, int fd) {
  const char *order = getenv("FAULT_ORDER");
  if (order == NULL || fd < 0 || fd >= FDS || path_of[fd] == NULL) return 0;
  int code = 0;
  pthread_mutex_lock(&mutex);
  struct stat now;
  char wanted[16], suffix[64];
  int error, skip, count;
  FILE *file = path_of[fd] != NULL && stat(order, &now) == 0 && now.st_size > 0 ? fopen(order, "r") : NULL;
  if (file != NULL) {
    if (fscanf(file, "%15s %63s %d %d %d", wanted, suffix, &error, &skip, &count) == 5) {
      if (now.st_mtim.tv_sec != order_of.tv_sec || now.st_mtim.tv_nsec != order_of.tv_nsec) {
        order_of = now.st_mtim;
        after = skip;
        times = count;
      }
      size_t length = strlen(path_of[fd]), end = strlen(suffix);
      if (strcmp(wanted, operation) == 0 && length >= end && strcmp(path_of[fd] + length - end, suffix) == 0) {
        if (after > 0) after--;
        else if (times != 0) {
          if (times > 0) times--;
          code = error;
        }
      }
    }
    fclose(file);
  }
  if (code != 0) {
    char done[4096];
    snprintf(done, sizeof done, "%s.done", order);
    FILE *report = fopen(done, "a");
    if (report != NULL) {
      fprintf(report, "%s %s %d\n", operation, path_of[fd], code);
      fclose(report);
    }
  }
  pthread_mutex_unlock(&mutex);
  return code;
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

#define PWRITE(name, off)                                              \
  ssize_t name(int fd, const void *bytes, size_t count, off offset) {  \
    ssize_t (*real)(int, const void *, size_t, off) = next(#name);     \
    int error = failure("write", fd);                                  \
    if (error == 0) return real(fd, bytes, count, offset);             \
    if (count > 1) real(fd, bytes, count / 2, offset);                 \
    errno = error;                                                     \
    return -1;                                                         \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define SYNC(name)                                                     \
  int name(int fd) {                                                   \
    int (*real)(int) = next(#name);                                    \
    int error = failure("sync", fd);                                   \
    if (error == 0) return real(fd);                                   \
    errno = error;                                                     \
    return -1;                                                         \
  }
SYNC(fsync)
SYNC(fdatasync)

int close(int fd) {
  int (*real)(int) = next("close");
  if (fd >= 0 && fd < FDS && path_of[fd] != NULL) {
    pthread_mutex_lock(&mutex);
    free(path_of[fd]);
    path_of[fd] = NULL;
    pthread_mutex_unlock(&mutex);
  }
  return real(fd);
}

/* What is to be added to the wall clock, in milliseconds. */
static int64_t shift(void) {
  static volatile int64_t *mapped;
  static int looked;
  if (!looked) {
    looked = 1;
    const char *path = getenv("FAULT_CLOCK");
    int (*real_open)(const char *, int, ...) = next("open");
    int fd = path == NULL ? -1 : real_open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
      void *at = mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
      if (at != MAP_FAILED) mapped = at;
    }
  }
  return mapped == NULL ? 0 : *mapped;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
  static int (*real)(clockid_t, struct timespec *);
  if (real == NULL) real = next("clock_gettime");
  int failed = real(clock, at);
  int64_t ms = clock == CLOCK_REALTIME && !failed ? shift() : 0;
  if (ms != 0) {
    int64_t ns = at->tv_nsec + (ms % 1000) * 1000000;
    at->tv_sec += ms / 1000 + (ns >= 1000000000) - (ns < 0);
    at->tv_nsec = (ns + 1000000000) % 1000000000;
  }
  return failed;
}

int gettimeofday(struct timeval *at, void *zone) {
  struct timespec now;
  (void)zone;
  int failed = clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return failed;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}
