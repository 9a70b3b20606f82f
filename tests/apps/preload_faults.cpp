// LD_PRELOAD: makes one call of the system fail, as ASSAY_FAULT says: "rename:3" the third rename.
// Kinds: open, write, fsync, rename, mkdir, flock, thread, malloc, worker_malloc (on another thread
// than the first), heap (from the malloc of that number on, the heap cannot grow). "count:FILE"
// appends the number of calls of each kind to FILE instead.
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);
}

namespace {

enum Kind {
  kOpen,
  kWrite,
  kFsync,
  kRename,
  kMkdir,
  kFlock,
  kThread,
  kMalloc,
  kWorkerMalloc,
  kHeap,
  kKinds
};
constexpr const char* kNames[] = {"open",  "write",  "fsync",  "rename",        "mkdir",
                                  "flock", "thread", "malloc", "worker_malloc", "heap"};

std::atomic<long> calls[kKinds];
int faulty = -1;
long number = 0;
const char* count_file = nullptr;
std::atomic<bool> active{false};

__attribute__((constructor)) void begin() {
  const char* fault = getenv("ASSAY_FAULT");
  if (fault == nullptr) return;
  if (strncmp(fault, "count:", 6) == 0) count_file = fault + 6;
  for (int kind = 0; kind < kKinds; ++kind) {
    const size_t length = strlen(kNames[kind]);
    if (strncmp(fault, kNames[kind], length) == 0 && fault[length] == ':') {
      faulty = kind;
      number = atol(fault + length + 1);
    }
  }
}

__attribute__((destructor)) void end() {
  active = false;
  if (count_file == nullptr) return;
  FILE* out = fopen(count_file, "a");
  for (int kind = 0; kind < kKinds; ++kind)
    fprintf(out, "%s %ld\n", kNames[kind], calls[kind].load());
  fclose(out);
}

bool fails(Kind kind, int reason) {
  if (!active || ++calls[kind] != number || faulty != kind) return false;
  errno = reason;
  return true;
}

std::atomic<size_t> heap{0};  // bytes of the blocks in use
std::atomic<size_t> heap_limit{~size_t{0}};

bool refuses_memory(size_t size) {
  if (active && gettid() != getpid() && fails(kWorkerMalloc, ENOMEM)) return true;
  if (fails(kMalloc, ENOMEM)) return true;
  if (fails(kHeap, ENOMEM)) heap_limit = heap.load();
  if (heap + size <= heap_limit) return false;
  errno = ENOMEM;
  return true;
}

void* in_use(void* block) {
  if (block != nullptr) heap += malloc_usable_size(block);
  return block;
}

template <class F>
F* original(const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_NEXT, name));
}

int open_with(const char* name, const char* path, int flags, mode_t mode) {
  if (fails(kOpen, EMFILE)) return -1;
  return original<int(const char*, int, ...)>(name)(path, flags, mode);
}

}  // namespace

extern "C" {

// The first thing that the program's main() does. Static objects of libraries allocate before it,
// where no program can answer.
sighandler_t signal(int number_of_signal, sighandler_t handler) {
  active = getenv("ASSAY_FAULT") != nullptr;
  return original<sighandler_t(int, sighandler_t)>("signal")(number_of_signal, handler);
}
int open(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = va_arg(list, mode_t);
  va_end(list);
  return open_with("open", path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = va_arg(list, mode_t);
  va_end(list);
  return open_with("open64", path, flags, mode);
}
FILE* fopen(const char* path, const char* mode) {
  if (fails(kOpen, EMFILE)) return nullptr;
  return original<FILE*(const char*, const char*)>("fopen")(path, mode);
}
FILE* fopen64(const char* path, const char* mode) {
  if (fails(kOpen, EMFILE)) return nullptr;
  return original<FILE*(const char*, const char*)>("fopen64")(path, mode);
}
ssize_t write(int descriptor, const void* data, size_t size) {
  if (fails(kWrite, ENOSPC)) return -1;
  return original<ssize_t(int, const void*, size_t)>("write")(descriptor, data, size);
}
int fsync(int descriptor) {
  if (fails(kFsync, EIO)) return -1;
  return original<int(int)>("fsync")(descriptor);
}
int rename(const char* from, const char* to) {
  if (fails(kRename, EIO)) return -1;
  return original<int(const char*, const char*)>("rename")(from, to);
}
int mkdir(const char* path, mode_t mode) {
  if (fails(kMkdir, ENOSPC)) return -1;
  return original<int(const char*, mode_t)>("mkdir")(path, mode);
}
int flock(int descriptor, int operation) {
  if (fails(kFlock, ENOLCK)) return -1;
  return original<int(int, int)>("flock")(descriptor, operation);
}
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) {
  if (fails(kThread, EAGAIN)) return EAGAIN;
  return original<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>(
      "pthread_create")(thread, attributes, start, argument);
}
void* malloc(size_t size) {
  return refuses_memory(size) ? nullptr : in_use(__libc_malloc(size));
}
void* calloc(size_t count, size_t size) {
  return refuses_memory(count * size) ? nullptr : in_use(__libc_calloc(count, size));
}
void* realloc(void* block, size_t size) {
  if (refuses_memory(size)) return nullptr;
  const size_t before = block == nullptr ? 0 : malloc_usable_size(block);
  void* moved = in_use(__libc_realloc(block, size));
  if (moved != nullptr) heap -= before;
  return moved;
}
void* aligned_alloc(size_t alignment, size_t size) {
  return refuses_memory(size) ? nullptr : in_use(__libc_memalign(alignment, size));
}
void free(void* block) {
  if (block != nullptr) heap -= malloc_usable_size(block);
  __libc_free(block);
}

}  // extern "C"
