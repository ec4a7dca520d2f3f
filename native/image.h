// Files of packed weights: a checksum over all of one, and its pages in this process's memory.
#ifndef BITNET_IMAGE_H
#define BITNET_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "../src/kernels/c/kernel.h"

// Bytes at the start of a file that its checksum leaves out: a mark, and the checksum itself.
#define IMAGE_UNCHECKED_BYTES 16

typedef struct {
  // NULL where only the checksum was asked for.
  void *data;
  size_t bytes;
  uint64_t checksum;
  // Open as long as it is mapped.
  intptr_t file;
} image_file;

// Reads the whole file once for its checksum and, if `map` is set, maps that same file to memory that
// must not be written to. Reading goes through small buffers, so that no page counts as this process's
// before it is used. Returns what went wrong, or NULL.
const char *image_open(const char *path, int32_t threads, int map, image_file *out);
void image_close(image_file *image);

// Says of a part that all of it will be read, again and again: large pages are taken whole this way,
// where two threads that come upon one at the same time would map it in small ones.
void image_mark_dense(void *data, size_t bytes);
// Puts pages of a mapped file, from `at` on, in place of memory that holds the same bytes, which is free
// then. Returns 0, and changes nothing, where the system or the places of the bytes do not allow it.
int image_replace(void *data, size_t bytes, const image_file *image, size_t at);

// Lets kernels read bytes from a mapped file: those that `address` stands for are at `at` there.
void image_read_sparse(sparse_source *source, const image_file *image, const void *address, size_t at);

#endif
