/* Makes the n-th write below a folder fail. For LD_PRELOAD; compiled by failpoint.rs, which says what the variables mean.
 *
 * Every call that puts bytes or lengths on a disk is counted and written down, one line each: number, call, fate, path.
 * The real calls are made through syscall(), so that nothing here calls itself. 64-bit Linux. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode { COUNT, ONCE, FROM, SHORT };

static atomic_long calls;
static atomic_int met;
static const char *below;
static enum mode mode;
static long nth;
static int error;
static int notes = -1;

__attribute__((constructor)) static void begin(void) {
  const char *name = getenv("FAILPOINT_MODE");
  below = getenv("FAILPOINT_BELOW");
  const char *path = getenv("FAILPOINT_NOTES");
  if (!below || !name || !path) return;
  mode = !strcmp(name, "once") ? ONCE : !strcmp(name, "from") ? FROM : !strcmp(name, "short") ? SHORT : COUNT;
  if (mode != COUNT) {
    nth = atol(getenv("FAILPOINT_NTH"));
    error = atoi(getenv("FAILPOINT_ERRNO"));
  }
  notes = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* Whether a file descriptor is of a file below the folder; its path. */
static int is_below(int fd, char *path, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, size - 1);
  if (length < 0) return 0;
  path[length] = 0;
  size_t folder = strlen(below);
  return !strncmp(path, below, folder) && path[folder] == '/';
}

/* Counts a call and says what becomes of it: it passes, it is cut short, or it fails. */
static enum mode judge(int fd, const char *call) {
  char path[4096], note[4300];
  int kept = errno;
  enum mode fate = COUNT;
  if (notes >= 0 && fd != notes && is_below(fd, path, sizeof path)) {
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (mode == FROM ? number >= nth : mode != COUNT && number == nth) fate = mode;
    const char *told = fate == COUNT ? "passed" : fate == SHORT ? "cut" : "failed";
    int length = snprintf(note, sizeof note, "%ld %s %s %s\n", number, call, told, path);
    syscall(SYS_write, notes, note, length);
    /* whoever watches looks at the world as it is at this moment, and wakes the process when done */
    if ((fate == ONCE || fate == FROM) && !atomic_exchange(&met, 1)) kill(getpid(), SIGSTOP);
  }
  errno = kept;
  return fate;
}

static int fails(enum mode fate) {
  if (fate != ONCE && fate != FROM) return 0;
  errno = error;
  return 1;
}

static size_t part(enum mode fate, size_t bytes) { return fate == SHORT ? (bytes + 1) / 2 : bytes; }

ssize_t write(int fd, const void *from, size_t bytes) {
  enum mode fate = judge(fd, "write");
  return fails(fate) ? -1 : syscall(SYS_write, fd, from, part(fate, bytes));
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t at) {
  enum mode fate = judge(fd, "pwrite");
  return fails(fate) ? -1 : syscall(SYS_pwrite64, fd, from, part(fate, bytes), at);
}

ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t at) { return pwrite(fd, from, bytes, at); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
  enum mode fate = judge(fd, "writev");
  if (fails(fate)) return -1;
  if (fate == SHORT && count > 0) return syscall(SYS_write, fd, parts[0].iov_base, part(fate, parts[0].iov_len));
  return syscall(SYS_writev, fd, parts, count);
}

int fsync(int fd) { return fails(judge(fd, "fsync")) ? -1 : syscall(SYS_fsync, fd); }

int fdatasync(int fd) { return fails(judge(fd, "fdatasync")) ? -1 : syscall(SYS_fdatasync, fd); }

int ftruncate(int fd, off_t bytes) { return fails(judge(fd, "ftruncate")) ? -1 : syscall(SYS_ftruncate, fd, bytes); }

int ftruncate64(int fd, off64_t bytes) { return ftruncate(fd, bytes); }
