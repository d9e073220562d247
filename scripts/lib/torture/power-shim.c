// Preloaded into a member, notes what each fsync has made durable: the file (inode and time of birth), its size and, of small files, which
// are rewritten in place, the bytes. After a kill, power.ts takes away what was never synced, as a power loss would.
// POWER_SHIM_DELAY names a file with the milliseconds that each fsync takes longer: a slow disk.
// With POWER_SHIM_IGNORE set it is a disk that says that it has synced and has not: with it, the harness must find losses.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { small_file = 16384 };

struct record {
  uint64_t inode, birth_s, birth_ns, size, content;
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

static int synced(int fd, const char *name) {
  delay();
  if (getenv("POWER_SHIM_IGNORE") != NULL) return 0;
  struct statx about;
  struct record note;
  int is_file = statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &about) == 0 && S_ISREG(about.stx_mode);
  if (is_file) {
    // Before the sync: what is written while it runs is not promised.
    note.inode = about.stx_ino;
    note.birth_s = (uint64_t)about.stx_btime.tv_sec;
    note.birth_ns = about.stx_btime.tv_nsec;
    note.size = about.stx_size;
    note.content = 0;
    if (about.stx_size <= small_file) {
      ssize_t got = pread(fd, note.bytes, (size_t)about.stx_size, 0);
      if (got == (ssize_t)about.stx_size) note.content = 1;
    }
  }
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  int result = real(fd);
  if (result == 0 && is_file && journal() >= 0) {
    size_t length = 5 * sizeof(uint64_t) + (note.content ? (size_t)note.size : 0);
    if (write(journal(), &note, length) != (ssize_t)length) abort();
  }
  return result;
}

int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }
