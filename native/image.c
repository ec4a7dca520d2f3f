// See image.h.
#include "image.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "image-fault.h"
#include "threads.h"

#ifndef _WIN32
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

// Fits the cache nearest to a core, so that bytes are added up where they were copied to.
#define CHUNK_BYTES ((size_t)256 << 10)
#define CHECK_LANES 8
#define MAX_CHECK_THREADS 16

// --- the system's files ---

#ifdef _WIN32
typedef HANDLE file_handle;

static const char *file_open(const char *path, file_handle *file, size_t *bytes) {
  wchar_t wide[32768];
  if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, 32768)) {
    return "its path is no UTF-8";
  }
  *file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL, OPEN_EXISTING, 0, NULL);
  if (*file == INVALID_HANDLE_VALUE) return "it cannot be opened";
  LARGE_INTEGER size;
  if (!GetFileSizeEx(*file, &size)) return CloseHandle(*file), "its size cannot be read";
  *bytes = (size_t)size.QuadPart;
  return NULL;
}
static void file_close(file_handle file) { CloseHandle(file); }
static int64_t file_read(file_handle file, void *out, size_t bytes, size_t at) {
  OVERLAPPED place = {.Offset = (DWORD)at, .OffsetHigh = (DWORD)((uint64_t)at >> 32)};
  DWORD got = 0;
  return ReadFile(file, out, (DWORD)bytes, &got, &place) ? (int64_t)got : -1;
}
static void *file_map(file_handle file, size_t bytes) {
  (void)bytes;
  const HANDLE mapping = CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL);
  if (!mapping) return NULL;
  void *data = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
  CloseHandle(mapping);
  return data;
}
static void file_unmap(void *data, size_t bytes) {
  (void)bytes;
  UnmapViewOfFile(data);
}
void image_mark_dense(void *data, size_t bytes) {
  (void)data;
  (void)bytes;
}
// Pages that were allocated cannot become those of a file here.
int image_replace(void *data, size_t bytes, const image_file *image, size_t at) {
  (void)data;
  (void)bytes;
  (void)image;
  (void)at;
  return 0;
}

#else
typedef int file_handle;

static const char *file_open(const char *path, file_handle *file, size_t *bytes) {
  *file = open(path, O_RDONLY | O_CLOEXEC);
  if (*file < 0) return "it cannot be opened";
  struct stat facts;
  if (fstat(*file, &facts) != 0 || !S_ISREG(facts.st_mode)) return close(*file), "it is no file";
  *bytes = (size_t)facts.st_size;
  return NULL;
}
static void file_close(file_handle file) { close(file); }
static int64_t file_read(file_handle file, void *out, size_t bytes, size_t at) {
  return pread(file, out, bytes, (off_t)at);
}
static void *file_map(file_handle file, size_t bytes) {
  void *data = mmap(NULL, bytes, PROT_READ, MAP_SHARED, file, 0);
  if (data == MAP_FAILED) return NULL;
#ifdef MADV_HUGEPAGE
  madvise(data, bytes, MADV_HUGEPAGE);
#endif
  return data;
}
static void file_unmap(void *data, size_t bytes) { munmap(data, bytes); }

// The whole pages within a range.
static size_t whole_pages(void **data, size_t bytes) {
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  const uintptr_t first = ((uintptr_t)*data + page - 1) & ~(page - 1);
  const uintptr_t end = ((uintptr_t)*data + bytes) & ~(page - 1);
  *data = (void *)first;
  return end > first ? end - first : 0;
}
void image_mark_dense(void *data, size_t bytes) {
  bytes = whole_pages(&data, bytes);
#ifdef __linux__
  // MADV_POPULATE_READ, which older headers lack; older systems refuse it, and read page by page.
  if (bytes > 0) madvise(data, bytes, 22);
#endif
}
int image_replace(void *data, size_t bytes, const image_file *image, size_t at) {
  void *first = data;
  bytes = whole_pages(&first, bytes);
  at += (size_t)((char *)first - (char *)data);
  if (bytes == 0 || at % (size_t)sysconf(_SC_PAGESIZE) != 0) return 0;
  if (mmap(first, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, (int)image->file, (off_t)at) != first) return 0;
  image_watch(first, bytes);
  return 1;
}
#endif

static int file_read_all(file_handle file, uint8_t *out, size_t bytes, size_t at) {
  for (size_t done = 0; done < bytes;) {
    const int64_t got = file_read(file, out + done, bytes - done, at + done);
    if (got <= 0) return 0;
    done += (size_t)got;
  }
  return 1;
}

// --- the checksum ---
//
// Words of 64 bits go to eight lanes in turn. Taking in a word, h = rotate((h ^ w) * odd), maps states
// one to one, and so does every step that adds lanes and chunks up: damage within one word always
// changes the sum, and wider damage does but for one case in 2^64. It is no defence against people,
// who could write the right sum as well.

static uint64_t take_in(uint64_t h, uint64_t w) {
  h = (h ^ w) * 0x9e3779b97f4a7c15u;
  return h << 29 | h >> 35;
}

static void take_in_line(uint64_t h[CHECK_LANES], const uint8_t *bytes) {
  for (int32_t i = 0; i < CHECK_LANES; i++) {
    uint64_t w;
    memcpy(&w, bytes + 8 * i, 8);
    h[i] = take_in(h[i], w);
  }
}

static uint64_t sum_of_chunk(const uint8_t *bytes, size_t count) {
  uint64_t h[CHECK_LANES];
  for (int32_t i = 0; i < CHECK_LANES; i++) h[i] = (uint64_t)i;
  size_t at = 0;
  for (; at + 64 <= count; at += 64) take_in_line(h, bytes + at);
  uint8_t last[64] = {0};
  memcpy(last, bytes + at, count - at);
  take_in_line(h, last);
  uint64_t sum = count;
  for (int32_t i = 0; i < CHECK_LANES; i++) sum = take_in(sum, h[i]);
  return sum;
}

typedef struct {
  file_handle file;
  size_t bytes;
  uint64_t *sums;
  atomic_size_t next;
  atomic_int failed;
} check;

static size_t chunks_of(size_t bytes) { return (bytes + CHUNK_BYTES - 1) / CHUNK_BYTES; }

static void check_chunks(void *argument) {
  check *c = argument;
  uint8_t *chunk = malloc(CHUNK_BYTES);
  if (!chunk) atomic_store(&c->failed, 1);
  for (;;) {
    const size_t n = atomic_fetch_add(&c->next, 1);
    if (n >= chunks_of(c->bytes) || atomic_load(&c->failed)) break;
    const size_t at = n * CHUNK_BYTES;
    const size_t count = c->bytes - at < CHUNK_BYTES ? c->bytes - at : CHUNK_BYTES;
    if (!file_read_all(c->file, chunk, count, IMAGE_UNCHECKED_BYTES + at)) {
      atomic_store(&c->failed, 1);
      break;
    }
    c->sums[n] = sum_of_chunk(chunk, count);
  }
  free(chunk);
}

// Of the file's bytes from IMAGE_UNCHECKED_BYTES on.
static const char *checksum_of(file_handle file, size_t bytes, int32_t threads, uint64_t *out) {
  check c = {.file = file, .bytes = bytes - IMAGE_UNCHECKED_BYTES};
  const size_t chunks = chunks_of(c.bytes);
  c.sums = calloc(chunks + 1, sizeof(uint64_t));
  if (!c.sums) return "there is no memory to check it";
  thread_handle workers[MAX_CHECK_THREADS];
  int32_t started = 0;
  while (started + 1 < threads && started < MAX_CHECK_THREADS &&
         thread_start(&workers[started], check_chunks, &c)) {
    started++;
  }
  check_chunks(&c);
  for (int32_t i = 0; i < started; i++) thread_join(&workers[i]);
  uint64_t sum = c.bytes;
  for (size_t i = 0; i < chunks; i++) sum = take_in(sum, c.sums[i]);
  free(c.sums);
  *out = sum;
  return atomic_load(&c.failed) ? "it cannot be read" : NULL;
}

const char *image_open(const char *path, int32_t threads, int map, image_file *out) {
  file_handle file;
  *out = (image_file){0};
  const char *problem = file_open(path, &file, &out->bytes);
  if (problem) return problem;
  if (out->bytes <= IMAGE_UNCHECKED_BYTES) problem = "it is too short";
  if (!problem) problem = checksum_of(file, out->bytes, threads, &out->checksum);
  if (!problem && map) {
    out->data = file_map(file, out->bytes);
    if (!out->data) problem = "it cannot be mapped";
  }
  if (out->data) {
    out->file = (intptr_t)file;
    image_watch(out->data, out->bytes);
  } else {
    file_close(file);
  }
  return problem;
}

void image_close(image_file *image) {
  if (!image->data) return;
  image_unwatch(image->data, image->bytes);
  file_unmap(image->data, image->bytes);
  file_close((file_handle)image->file);
  image->data = NULL;
}

static void copy_from_file(sparse_source *source, void *out, const void *from, size_t bytes) {
  const size_t at = (size_t)((int64_t)(intptr_t)from + source->origin);
  if (file_read_all((file_handle)source->file, out, bytes, at)) return;
  memset(out, 0, bytes);
  atomic_store_explicit(&source->failed, 1, memory_order_relaxed);
}

void image_read_sparse(sparse_source *source, const image_file *image, const void *address, size_t at) {
  source->file = image->file;
  source->origin = (int64_t)at - (int64_t)(intptr_t)address;
  source->copy = copy_from_file;
}
