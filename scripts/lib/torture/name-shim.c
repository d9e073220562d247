// Notes each name that a member gives, changes or takes away below POWER_SHIM_FOLDER, and which syncs of folders have made them durable, in
// the order in which it happened, so that power-names.ts can take back what no sync had promised. What loses its name is kept under a second
// one. A line is: kind, the folder's identity, where the second name stands (0: none), name, and the new name, or the identity of a folder
// that is removed.
// Not noted are files that are opened by fopen: of those LevelDB writes only its text log, which says nothing to anybody but people.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "power-shim.h"

// One change at a time, from its note until it is done: a sync that begins afterwards includes it.
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static int journal(void) {
  static int fd = -1;
  const char *path = getenv("POWER_SHIM_NAMES");
  if (fd < 0 && path != NULL) fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  return fd;
}

static int is_noted(const char *path) {
  const char *folder = getenv("POWER_SHIM_FOLDER");
  if (folder == NULL || getenv("POWER_SHIM_NAMES") == NULL) return 0;
  size_t length = strlen(folder);
  return strncmp(path, folder, length) == 0 && (path[length] == 0 || path[length] == '/');
}

static int exists(const char *path) {
  struct stat about;
  return lstat(path, &about) == 0;
}

static const char *name_of(const char *path) { return strrchr(path, '/') + 1; }

static int is_same_folder(const char *a, const char *b) {
  return name_of(a) - a == name_of(b) - b && strncmp(a, b, (size_t)(name_of(a) - a)) == 0;
}

static int identify(const char *path, struct identity *identity) {
  struct statx about;
  if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &about) != 0) return 0;
  *identity = (struct identity){about.stx_ino, (uint64_t)about.stx_btime.tv_sec, about.stx_btime.tv_nsec};
  return 1;
}

static void append(const char *kind, const struct identity *folder, long grave, const char *name, const char *to) {
  char line[PATH_MAX];
  int length = snprintf(line, sizeof line, "%s\t%lu-%lu-%lu\t%ld\t%s\t%s\n", kind, folder->inode, folder->birth_s,
                        folder->birth_ns, grave, name, to);
  if (length >= (int)sizeof line || syscall(SYS_write, journal(), line, (size_t)length) != length) abort();
  counted();
}

// `lost` is what the change takes its name from, if there is such a file.
static void note(const char *kind, const char *path, const char *to, const char *lost) {
  char folder[PATH_MAX], grave[PATH_MAX];
  struct identity above;
  snprintf(folder, sizeof folder, "%.*s", (int)(name_of(path) - path), path);
  if (!identify(folder, &above)) return;
  // Unique, and never 0: a new journal begins with its kind.
  long number = names_noted() + 1;
  snprintf(grave, sizeof grave, "%s.graves/%ld", getenv("POWER_SHIM_NAMES"), number);
  int is_kept = lost != NULL && linkat(AT_FDCWD, lost, AT_FDCWD, grave, 0) == 0;
  append(kind, &above, is_kept ? number : 0, name_of(path), to);
}

off_t names_noted(void) { return journal() < 0 ? 0 : lseek(journal(), 0, SEEK_END); }

void names_synced(const struct identity *folder, off_t end) {
  if (journal() >= 0) append("synced", folder, end, "", "");
}

typedef int opener(const char *, int, mode_t);

static int opened(const char *symbol, const char *path, int flags, mode_t mode) {
  opener *real = (opener *)dlsym(RTLD_NEXT, symbol);
  if ((flags & O_CREAT) == 0 || !is_noted(path)) return real(path, flags, mode);
  pthread_mutex_lock(&turn);
  if (!exists(path)) note("create", path, "", NULL);
  int fd = real(path, flags, mode);
  int error = errno;
  pthread_mutex_unlock(&turn);
  errno = error;
  return fd;
}

static mode_t mode_in(int flags, va_list rest) { return (flags & O_CREAT) == 0 ? 0 : (mode_t)va_arg(rest, int); }

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_in(flags, rest);
  va_end(rest);
  return opened("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_in(flags, rest);
  va_end(rest);
  return opened("open64", path, flags, mode);
}

int mkdir(const char *path, mode_t mode) {
  int (*real)(const char *, mode_t) = (int (*)(const char *, mode_t))dlsym(RTLD_NEXT, "mkdir");
  if (!is_noted(path)) return real(path, mode);
  pthread_mutex_lock(&turn);
  if (!exists(path)) note("mkdir", path, "", NULL);
  int result = real(path, mode);
  int error = errno;
  pthread_mutex_unlock(&turn);
  errno = error;
  return result;
}

static int removed(const char *path, int flags) {
  if (!is_noted(path)) return (int)syscall(SYS_unlinkat, AT_FDCWD, path, flags);
  pthread_mutex_lock(&turn);
  struct identity identity;
  char text[64] = {0};
  int is_there = identify(path, &identity);
  if (is_there && (flags & AT_REMOVEDIR))
    snprintf(text, sizeof text, "%lu-%lu-%lu", identity.inode, identity.birth_s, identity.birth_ns);
  if (is_there) note((flags & AT_REMOVEDIR) ? "rmdir" : "remove", path, text, path);
  int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, flags);
  int error = errno;
  pthread_mutex_unlock(&turn);
  errno = error;
  return result;
}

int unlink(const char *path) { return removed(path, 0); }
int rmdir(const char *path) { return removed(path, AT_REMOVEDIR); }

int remove(const char *path) {
  struct stat about;
  return removed(path, lstat(path, &about) == 0 && S_ISDIR(about.st_mode) ? AT_REMOVEDIR : 0);
}

int unlinkat(int folder, const char *name, int flags) {
  char link[64], path[PATH_MAX];
  if (folder == AT_FDCWD || name[0] == '/') return removed(name, flags);
  snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return -1;
  snprintf(path + length, sizeof path - (size_t)length, "/%s", name);
  return removed(path, flags);
}

// Within a folder both names change together; between two folders each is durable by itself.
int rename(const char *from, const char *to) {
  int (*real)(const char *, const char *) = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
  if (!is_noted(from) || !is_noted(to)) return real(from, to);
  pthread_mutex_lock(&turn);
  if (exists(from) && is_same_folder(from, to)) note("rename", from, name_of(to), to);
  else if (exists(from)) {
    note("create", to, "", to);
    note("remove", from, "", from);
  }
  int result = real(from, to);
  int error = errno;
  pthread_mutex_unlock(&turn);
  errno = error;
  return result;
}
