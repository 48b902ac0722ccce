// A disk that fails, and what of it survives a power cut, for tests: preloaded into a program (LD_PRELOAD, Linux), it stands
// between the program and every call on files below one folder.
//
//   cc -shared -fPIC -O1 -o faulty-disk.so faulty-disk.c -ldl -lpthread
//
//   DISK_ROOT=/folder        the folder; everything else is left alone
//   DISK_FAIL=N:KIND         the Nth call fails: eio, enospc, enospc+M (it and the next M - 1 that take room), eintr, or
//                            short (a read or write of half the bytes)
//   DISK_FAIL=KIND@CALL:PART[:K]  the Kth call of that name on a path that holds PART (the first without K)
//   DISK_CALLS=FILE          a line for each call: its number, name, the kinds that it may fail with, and its path
//   DISK_JOURNAL=FOLDER      keeps what a power cut would take: FOLDER/journal and, by inode, links to every file that a name
//                            was taken from; on the same file system, outside of the root
//   DISK_DROP=names|data     synchronising folders, or files, only seems to: nothing becomes durable
//
// Journal, one operation a line, tabs between: `create|unlink|link INODE PATH`, `mkdir PATH`,
// `rename INODE FROM TO REPLACED` (0: nothing), `write INODE FIRST END`, `truncate INODE LENGTH`, `data INODE` and
// `names FOLDER` (synchronised). Several processes may follow each other in one journal.

#define _GNU_SOURCE
#include <dirent.h>
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
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES = 65536 };

static char root[PATH_MAX], kept[PATH_MAX];
static size_t root_length;
static int calls_file = -1, journal_file = -1;
static int drops_names, drops_data;

static long fail_at, fail_count;
static char fail_kind[32], fail_call[16], fail_part[256];
static long call_count, match_count;

static char *paths[FILES];  // of open descriptors below the root
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define NEXT(name) \
  static __typeof__(name) *next; \
  if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static void line(int file, const char *format, ...) {
  char text[3 * PATH_MAX];
  va_list arguments;
  va_start(arguments, format);
  int count = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (count > 0) syscall(SYS_write, file, text, (size_t)count);
}

__attribute__((constructor)) static void begin(void) {
  const char *value = getenv("DISK_ROOT");
  if (!value || value[0] != '/') return;
  snprintf(root, sizeof root, "%s", value);
  root_length = strlen(root);
  if ((value = getenv("DISK_CALLS")))
    calls_file = (int)syscall(SYS_openat, AT_FDCWD, value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if ((value = getenv("DISK_JOURNAL"))) {
    snprintf(kept, sizeof kept, "%s", value);
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/journal", value);
    journal_file = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }
  if ((value = getenv("DISK_DROP"))) {
    drops_names = strcmp(value, "names") == 0;
    drops_data = strcmp(value, "data") == 0;
  }
  if ((value = getenv("DISK_FAIL"))) {
    fail_count = 1;
    char kind[32] = "";
    if (sscanf(value, "%ld:%31s", &fail_at, kind) != 2) {
      fail_at = 1;
      sscanf(value, "%31[^@]@%15[^:]:%255[^:]:%ld", kind, fail_call, fail_part, &fail_at);
    }
    char *plus = strchr(kind, '+');
    if (plus) {
      fail_count = atol(plus + 1);
      *plus = 0;
    }
    snprintf(fail_kind, sizeof fail_kind, "%s", kind);
  }
}

// The path as one below the root, in `whole`, or NULL.
static const char *below(int folder, const char *path, char *whole) {
  if (!root_length || !path) return NULL;
  if (path[0] == '/') {
    snprintf(whole, PATH_MAX, "%s", path);
  } else {
    if (folder != AT_FDCWD) return NULL;
    char current[PATH_MAX];
    if (!getcwd(current, sizeof current)) return NULL;
    if (snprintf(whole, PATH_MAX, "%s/%s", current, path) >= PATH_MAX) return NULL;
  }
  size_t length = strlen(whole);
  while (length > 1 && whole[length - 1] == '/') whole[--length] = 0;
  if (strncmp(whole, root, root_length) != 0 || (whole[root_length] && whole[root_length] != '/')) return NULL;
  return whole;
}

static const char *path_of(int file) { return root_length && file >= 0 && file < FILES ? paths[file] : NULL; }

static void remember(int file, const char *path) {
  if (file < 0 || file >= FILES) return;
  pthread_mutex_lock(&lock);
  paths[file] = path ? strdup(path) : NULL;
  pthread_mutex_unlock(&lock);
}

// Counts a call on `path`. Returns 0, the errno that it fails with, or -1 for a short count.
// `kinds` are those that such a call may fail with: e(io), s(pace), i(nterrupted), h(alf).
static int strike(const char *call, const char *kinds, const char *path) {
  pthread_mutex_lock(&lock);
  long number = ++call_count;
  line(calls_file, "%ld\t%s\t%s\t%s\n", number, call, kinds, path);
  int result = 0;
  if (fail_kind[0]) {
    char kind = strcmp(fail_kind, "eio") == 0 ? 'e' : strcmp(fail_kind, "eintr") == 0 ? 'i'
      : strcmp(fail_kind, "short") == 0 ? 'h' : 's';
    int due;
    if (fail_call[0]) {
      due = strcmp(call, fail_call) == 0 && strstr(path, fail_part) && ++match_count >= fail_at;
    } else {
      due = number >= fail_at;
    }
    // A full disk stays full for some calls; all else strikes once, at its call only.
    if (due && fail_count > 0 && (kind == 's' || fail_call[0] || number == fail_at)) {
      if (strchr(kinds, kind)) {
        fail_count--;
        result = kind == 'e' ? EIO : kind == 'i' ? EINTR : kind == 's' ? ENOSPC : -1;
      }
    }
  }
  pthread_mutex_unlock(&lock);
  return result;
}

static unsigned long long inode_of(int file) {
  struct stat status;
  return fstat(file, &status) == 0 ? status.st_ino : 0;
}

static unsigned long long inode_at(const char *path) {
  struct stat status;
  return lstat(path, &status) == 0 ? status.st_ino : 0;
}

// Keeps a file's inode, so that a name which is taken away can be given back, and its number is not used again.
static void keep(const char *path, unsigned long long inode) {
  if (journal_file < 0 || !inode) return;
  char name[PATH_MAX + 32];
  snprintf(name, sizeof name, "%s/%llu", kept, inode);
  syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, name, 0);
}

static int failed(int error) {
  errno = error;
  return -1;
}

static int opened(int (*perform)(const char *, int, mode_t), const char *path, int flags, mode_t mode) {
  char whole[PATH_MAX];
  if (!below(AT_FDCWD, path, whole)) return perform(path, flags, mode);
  int error = strike(flags & O_CREAT ? "create" : "open", flags & O_CREAT ? "esi" : "ei", whole);
  if (error > 0) return failed(error);
  unsigned long long before = journal_file < 0 ? 0 : inode_at(whole);
  int file = perform(path, flags, mode);
  if (file < 0) return file;
  remember(file, whole);
  if (journal_file >= 0 && flags & O_CREAT && !before) {
    unsigned long long inode = inode_of(file);
    keep(whole, inode);
    line(journal_file, "create\t%llu\t%s\n", inode, whole);
  } else if (journal_file >= 0 && flags & O_TRUNC) {
    line(journal_file, "truncate\t%llu\t0\n", before);
  }
  return file;
}

static int open_plainly(const char *path, int flags, mode_t mode) {
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return opened(open_plainly, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return opened(open_plainly, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  if (folder == AT_FDCWD || (path && path[0] == '/')) return opened(open_plainly, path, flags, mode);
  return (int)syscall(SYS_openat, folder, path, flags, mode);
}

int mkostemp(char *template, int flags) {
  NEXT(mkostemp);
  char whole[PATH_MAX];
  if (!below(AT_FDCWD, template, whole)) return next(template, flags);
  int error = strike("create", "esi", whole);
  if (error > 0) return failed(error);
  int file = next(template, flags);
  if (file < 0) return file;
  below(AT_FDCWD, template, whole);
  remember(file, whole);
  if (journal_file >= 0) {
    keep(whole, inode_of(file));
    line(journal_file, "create\t%llu\t%s\n", inode_of(file), whole);
  }
  return file;
}

int mkstemp(char *template) { return mkostemp(template, 0); }

DIR *opendir(const char *path) {
  NEXT(opendir);
  char whole[PATH_MAX];
  if (below(AT_FDCWD, path, whole)) {
    int error = strike("opendir", "e", whole);
    if (error > 0) {
      errno = error;
      return NULL;
    }
  }
  return next(path);
}

int close(int file) {
  const char *path = path_of(file);
  if (!path) return (int)syscall(SYS_close, file);
  int error = strike("close", "ei", path);
  pthread_mutex_lock(&lock);
  free(paths[file]);
  paths[file] = NULL;
  pthread_mutex_unlock(&lock);
  int result = (int)syscall(SYS_close, file);
  return error > 0 ? failed(error) : result;
}

ssize_t read(int file, void *bytes, size_t count) {
  const char *path = path_of(file);
  if (path) {
    int error = strike("read", "eih", path);
    if (error > 0) return failed(error);
    if (error < 0 && count > 1) count /= 2;
  }
  return syscall(SYS_read, file, bytes, count);
}

ssize_t pread(int file, void *bytes, size_t count, off_t offset) {
  const char *path = path_of(file);
  if (path) {
    int error = strike("pread", "eih", path);
    if (error > 0) return failed(error);
    if (error < 0 && count > 1) count /= 2;
  }
  return syscall(SYS_pread64, file, bytes, count, offset);
}

ssize_t pread64(int file, void *bytes, size_t count, off_t offset) { return pread(file, bytes, count, offset); }

ssize_t write(int file, const void *bytes, size_t count) {
  const char *path = path_of(file);
  if (!path) return syscall(SYS_write, file, bytes, count);
  int error = strike("write", "esih", path);
  if (error > 0) return failed(error);
  if (error < 0 && count > 1) count /= 2;
  ssize_t written = syscall(SYS_write, file, bytes, count);
  if (journal_file >= 0 && written > 0) {
    off_t end = (off_t)syscall(SYS_lseek, file, 0, SEEK_CUR);
    line(journal_file, "write\t%llu\t%lld\t%lld\n", inode_of(file), (long long)(end - written), (long long)end);
  }
  return written;
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
  const char *path = path_of(file);
  if (!path) return syscall(SYS_pwrite64, file, bytes, count, offset);
  int error = strike("pwrite", "esih", path);
  if (error > 0) return failed(error);
  if (error < 0 && count > 1) count /= 2;
  ssize_t written = syscall(SYS_pwrite64, file, bytes, count, offset);
  if (journal_file >= 0 && written > 0)
    line(journal_file, "write\t%llu\t%lld\t%lld\n", inode_of(file), (long long)offset, (long long)(offset + written));
  return written;
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t offset) { return pwrite(file, bytes, count, offset); }

static int synchronised(const char *call, long number, int file) {
  const char *path = path_of(file);
  if (!path) return (int)syscall(number, file);
  int error = strike(call, "esi", path);
  if (error > 0) return failed(error);
  struct stat status;
  int is_folder = fstat(file, &status) == 0 && S_ISDIR(status.st_mode);
  if (is_folder ? drops_names : drops_data) return 0;
  if (journal_file < 0) return (int)syscall(number, file);
  // The journal is what tests go by: the real disk need not move.
  if (is_folder) line(journal_file, "names\t%s\n", path);
  else line(journal_file, "data\t%llu\n", (unsigned long long)status.st_ino);
  return 0;
}

int fsync(int file) { return synchronised("fsync", SYS_fsync, file); }
int fdatasync(int file) { return synchronised("fdatasync", SYS_fdatasync, file); }

int ftruncate(int file, off_t length) {
  const char *path = path_of(file);
  if (path) {
    int error = strike("ftruncate", "esi", path);
    if (error > 0) return failed(error);
    if (journal_file >= 0) line(journal_file, "truncate\t%llu\t%lld\n", inode_of(file), (long long)length);
  }
  return (int)syscall(SYS_ftruncate, file, length);
}

int ftruncate64(int file, off_t length) { return ftruncate(file, length); }

int mkdir(const char *path, mode_t mode) {
  char whole[PATH_MAX];
  if (!below(AT_FDCWD, path, whole)) return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
  int error = strike("mkdir", "es", whole);
  if (error > 0) return failed(error);
  int result = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
  // The root's own name is in a folder that is not watched.
  if (result == 0 && journal_file >= 0 && whole[root_length]) line(journal_file, "mkdir\t%s\n", whole);
  return result;
}

int link(const char *from, const char *to) {
  char whole[PATH_MAX];
  if (!below(AT_FDCWD, to, whole)) return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
  int error = strike("link", "es", whole);
  if (error > 0) return failed(error);
  int result = (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
  if (result == 0 && journal_file >= 0) {
    keep(whole, inode_at(whole));
    line(journal_file, "link\t%llu\t%s\n", inode_at(whole), whole);
  }
  return result;
}

int rename(const char *from, const char *to) {
  char source[PATH_MAX], whole[PATH_MAX];
  if (!below(AT_FDCWD, from, source) || !below(AT_FDCWD, to, whole))
    return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
  int error = strike("rename", "es", whole);
  if (error > 0) return failed(error);
  unsigned long long inode = 0, replaced = 0;
  if (journal_file >= 0) {
    keep(source, inode = inode_at(source));
    keep(whole, replaced = inode_at(whole));
  }
  int result = (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
  if (result == 0 && journal_file >= 0) line(journal_file, "rename\t%llu\t%s\t%s\t%llu\n", inode, source, whole, replaced);
  return result;
}

int unlink(const char *path) {
  char whole[PATH_MAX];
  if (!below(AT_FDCWD, path, whole)) return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  int error = strike("unlink", "e", whole);
  if (error > 0) return failed(error);
  unsigned long long inode = 0;
  if (journal_file >= 0) keep(whole, inode = inode_at(whole));
  int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  if (result == 0 && journal_file >= 0) line(journal_file, "unlink\t%llu\t%s\n", inode, whole);
  return result;
}

int utimes(const char *path, const struct timeval times[2]) {
  NEXT(utimes);
  char whole[PATH_MAX];
  if (below(AT_FDCWD, path, whole)) {
    int error = strike("utimes", "e", whole);
    if (error > 0) return failed(error);
  }
  return next(path, times);
}
