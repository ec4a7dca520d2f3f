// The little of an operating system that the pool needs: threads, a lock to sleep on, memory.
#ifndef BITNET_THREADS_H
#define BITNET_THREADS_H

#include <stddef.h>
#include <stdlib.h>

// Some systems give threads 128 kB, others 1 MB; kernels keep up to 1 MB of working copies on the stack.
#define THREAD_STACK_BYTES ((size_t)4 << 20)

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

typedef struct {
  HANDLE handle;
  void (*run)(void *);
  void *argument;
} thread_handle;

typedef struct {
  SRWLOCK lock;
  CONDITION_VARIABLE changed;
} lock_handle;

static inline DWORD WINAPI thread_entry(void *argument) {
  thread_handle *t = argument;
  t->run(t->argument);
  return 0;
}

static inline int thread_start(thread_handle *t, void (*run)(void *), void *argument) {
  t->run = run;
  t->argument = argument;
  const DWORD flags = STACK_SIZE_PARAM_IS_A_RESERVATION;
  t->handle = CreateThread(NULL, THREAD_STACK_BYTES, thread_entry, t, flags, NULL);
  return t->handle != NULL;
}
static inline void thread_join(thread_handle *t) {
  WaitForSingleObject(t->handle, INFINITE);
  CloseHandle(t->handle);
}
static inline void thread_yield(void) { SwitchToThread(); }
#define CAN_MOVE_THREADS 0
static inline void thread_move_away(const thread_handle *t) { (void)t; }
static inline int lock_create(lock_handle *l) {
  InitializeSRWLock(&l->lock);
  InitializeConditionVariable(&l->changed);
  return 1;
}
static inline void lock_acquire(lock_handle *l) { AcquireSRWLockExclusive(&l->lock); }
static inline void lock_release(lock_handle *l) { ReleaseSRWLockExclusive(&l->lock); }
static inline void lock_wait(lock_handle *l) {
  SleepConditionVariableSRW(&l->changed, &l->lock, INFINITE, 0);
}
static inline void lock_wake_all(lock_handle *l) { WakeAllConditionVariable(&l->changed); }
static inline void lock_destroy(lock_handle *l) { (void)l; }
static inline void *aligned_memory(size_t alignment, size_t bytes) {
  return _aligned_malloc(bytes, alignment);
}
static inline void aligned_free(void *p) { _aligned_free(p); }
static inline void *pages_reserve(size_t bytes, int large_pages) {
  (void)large_pages;
  return VirtualAlloc(NULL, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}
static inline void pages_release(void *p, size_t bytes) {
  (void)bytes;
  VirtualFree(p, 0, MEM_RELEASE);
}

#else
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

typedef struct {
  pthread_t id;
  void (*run)(void *);
  void *argument;
} thread_handle;

typedef struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
} lock_handle;

static inline void *thread_entry(void *argument) {
  thread_handle *t = argument;
  t->run(t->argument);
  return NULL;
}

static inline int thread_start(thread_handle *t, void (*run)(void *), void *argument) {
  t->run = run;
  t->argument = argument;
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return 0;
  pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
  const int failed = pthread_create(&t->id, &attributes, thread_entry, t);
  pthread_attr_destroy(&attributes);
  return failed == 0;
}
static inline void thread_join(thread_handle *t) { pthread_join(t->id, NULL); }
static inline void thread_yield(void) { sched_yield(); }
#ifdef __linux__
#define CAN_MOVE_THREADS 1
// Lets a thread that waits for this thread's processor run on another one, where it may.
static inline void thread_move_away(const thread_handle *t) {
  const int here = sched_getcpu();
  cpu_set_t all, others;
  if (here < 0 || here >= CPU_SETSIZE || pthread_getaffinity_np(t->id, sizeof all, &all) != 0) return;
  others = all;
  CPU_CLR(here, &others);
  if (CPU_COUNT(&others) == 0 || pthread_setaffinity_np(t->id, sizeof others, &others) != 0) return;
  pthread_setaffinity_np(t->id, sizeof all, &all);
}
#else
#define CAN_MOVE_THREADS 0
static inline void thread_move_away(const thread_handle *t) { (void)t; }
#endif
static inline int lock_create(lock_handle *l) {
  return pthread_mutex_init(&l->lock, NULL) == 0 && pthread_cond_init(&l->changed, NULL) == 0;
}
static inline void lock_acquire(lock_handle *l) { pthread_mutex_lock(&l->lock); }
static inline void lock_release(lock_handle *l) { pthread_mutex_unlock(&l->lock); }
static inline void lock_wait(lock_handle *l) { pthread_cond_wait(&l->changed, &l->lock); }
static inline void lock_wake_all(lock_handle *l) { pthread_cond_broadcast(&l->changed); }
static inline void lock_destroy(lock_handle *l) {
  pthread_cond_destroy(&l->changed);
  pthread_mutex_destroy(&l->lock);
}
static inline void *aligned_memory(size_t alignment, size_t bytes) {
  void *p = NULL;
  return posix_memalign(&p, alignment, bytes) == 0 ? p : NULL;
}
static inline void aligned_free(void *p) { free(p); }

// Zeroed pages, committed when first touched. Large pages suit what is filled whole and streamed
// (weights), which would otherwise miss the address cache every 4 kB; small ones suit what is filled
// bit by bit in many places (the KV cache), which would otherwise commit all of itself at once.
static inline void *pages_reserve(size_t bytes, int large_pages) {
  void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return NULL;
#ifdef MADV_HUGEPAGE
  madvise(p, bytes, large_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#else
  (void)large_pages;
#endif
  return p;
}
static inline void pages_release(void *p, size_t bytes) { munmap(p, bytes); }
#endif

#endif
