// What becomes of a read from a mapped file whose bytes are gone.
#ifndef BITNET_IMAGE_FAULT_H
#define BITNET_IMAGE_FAULT_H

#include <stddef.h>

// Someone cuts a mapped file short, or its disk fails: the system then ends whoever reads those pages, with
// SIGBUS. Reads of memory that is watched end the process in one sentence and exit code 1 instead; all others
// are left to who handled them before. Windows lets nobody cut a mapped file short, and nothing is done there.
void image_watch(const void *data, size_t bytes);
// Of all that lies within a range.
void image_unwatch(const void *data, size_t bytes);

#endif
