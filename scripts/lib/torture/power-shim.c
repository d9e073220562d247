// Preloaded into a member, notes what each fsync has made durable: the file, its size and, of small files, which are rewritten in place, the
// bytes; and of a folder the names (name-shim.c). After a kill, power.ts takes away what was never synced, as a power loss would.
// POWER_SHIM_DELAY names a file with the milliseconds that each fsync takes longer: a slow disk.
// POWER_SHIM_FAIL names a file with what fails with EIO from now on: "sync" or "write", or nothing while it is empty or missing.
// POWER_SHIM_KILL_AFTER ends the process at its sync or change of a name with this number, so that all of them can be gone through.
// With POWER_SHIM_IGNORE it is a disk that says that it has synced, and has not done so with "everything", or with "folders": with it, the
// harness must find losses.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "power-shim.h"

enum { small_file = 16384 };

struct record {
  struct identity file;
  uint64_t size, content;
  unsigned char bytes[small_file];
};

static int journal(void) {
  static int fd = -1;
  const char *path = getenv("POWER_SHIM_JOURNAL");
  if (fd < 0 && path != NULL) fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  return fd;
}

static void delay(void) {
  const char *path = getenv("POWER_SHIM_DELAY");
  int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  char text[16] = {0};
  if (read(fd, text, sizeof text - 1) > 0) usleep((useconds_t)atoi(text) * 1000);
  close(fd);
}

// Reads go on, and so does whatever is no file, such as the log.
static int fails(int fd, const char *what) {
  const char *path = getenv("POWER_SHIM_FAIL");
  struct stat about;
  if (path == NULL || fstat(fd, &about) != 0 || S_ISREG(about.st_mode) == 0) return 0;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[16] = {0};
  ssize_t got = read(file, text, sizeof text - 1);
  close(file);
  return got > 0 && strcmp(text, what) == 0;
}

static int is_ignored(int is_folder) {
  const char *what = getenv("POWER_SHIM_IGNORE");
  return what != NULL && (is_folder || strcmp(what, "everything") == 0);
}

static void note(struct record *note) {
  if (journal() < 0) return;
  size_t length = 5 * sizeof(uint64_t) + (note->content ? (size_t)note->size : 0);
  // Not by write() below, which may be told to fail.
  if (syscall(SYS_write, journal(), note, length) != (ssize_t)length) abort();
  counted();
}

void counted(void) {
  static atomic_int count = 0;
  const char *last = getenv("POWER_SHIM_KILL_AFTER");
  if (last != NULL && atomic_fetch_add(&count, 1) + 1 >= atoi(last)) kill(getpid(), SIGKILL);
}

static int synced(int fd, const char *name) {
  delay();
  if (fails(fd, "sync")) {
    errno = EIO;
    return -1;
  }
  struct statx about;
  struct record record;
  int is_known = statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &about) == 0;
  int is_file = is_known && S_ISREG(about.stx_mode), is_folder = is_known && S_ISDIR(about.stx_mode);
  if (is_ignored(is_folder)) return 0;
  // Before the sync: what is written or named while it runs is not promised.
  off_t names = is_folder ? names_noted() : 0;
  record.file = (struct identity){about.stx_ino, (uint64_t)about.stx_btime.tv_sec, about.stx_btime.tv_nsec};
  record.size = about.stx_size;
  record.content = is_file && about.stx_size <= small_file &&
                   pread(fd, record.bytes, (size_t)about.stx_size, 0) == (ssize_t)about.stx_size;
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  int result = real(fd);
  if (result == 0 && is_file) note(&record);
  if (result == 0 && is_folder) names_synced(&record.file, names);
  return result;
}

int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }

ssize_t write(int fd, const void *bytes, size_t length) {
  static ssize_t (*real)(int, const void *, size_t) = NULL;
  if (real == NULL) real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  if (!fails(fd, "write")) return real(fd, bytes, length);
  errno = EIO;
  return -1;
}

static ssize_t written_at(int fd, const void *bytes, size_t length, off_t position) {
  static ssize_t (*real)(int, const void *, size_t, off_t) = NULL;
  if (real == NULL) real = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite64");
  if (!fails(fd, "write")) return real(fd, bytes, length, position);
  errno = EIO;
  return -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t position) {
  return written_at(fd, bytes, length, position);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t position) {
  return written_at(fd, bytes, length, position);
}
