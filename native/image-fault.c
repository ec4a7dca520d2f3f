// See image-fault.h.
#include "image-fault.h"

#ifdef _WIN32
void image_watch(const void *data, size_t bytes) {
  (void)data;
  (void)bytes;
}
void image_unwatch(const void *data, size_t bytes) {
  (void)data;
  (void)bytes;
}

#else
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

// A model has one mapped file and up to two parts of others; what finds no place is not watched.
#define MAX_RANGES 256

// Free where `end` is 0. The handler may look at any moment, and at no lock.
typedef struct {
  atomic_uintptr_t first;
  atomic_uintptr_t end;
} range;

static range ranges[MAX_RANGES];
static struct sigaction previous;
static pthread_once_t installed = PTHREAD_ONCE_INIT;

static int is_watched(uintptr_t address) {
  for (int i = 0; i < MAX_RANGES; i++) {
    if (address >= atomic_load(&ranges[i].first) && address < atomic_load(&ranges[i].end)) return 1;
  }
  return 0;
}

static void on_bus_error(int number, siginfo_t *info, void *context) {
  // Above 0: the system's own, with an address, and nobody's kill.
  const int is_fault = info->si_code > 0;
  if (is_fault && is_watched((uintptr_t)info->si_addr)) {
    static const char words[] =
        "bitnet: A packed image of weights was cut short while it was in use, or its disk failed: "
        "its bytes cannot be read any more. Start the program again; the image is then made anew.\n";
    const ssize_t written = write(STDERR_FILENO, words, sizeof words - 1);
    (void)written;
    _exit(1);
  }
  if (previous.sa_flags & SA_SIGINFO) {
    previous.sa_sigaction(number, info, context);
  } else if (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN) {
    // What was read is read again, and ends the process as it would have without this handler.
    sigaction(number, &previous, NULL);
    if (!is_fault) raise(number);
  } else {
    previous.sa_handler(number);
  }
}

static void install(void) {
  struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &previous);
}

void image_watch(const void *data, size_t bytes) {
  pthread_once(&installed, install);
  for (int i = 0; i < MAX_RANGES; i++) {
    uintptr_t unused = 0;
    // No address lies below 1, so that the place is taken and watches nothing yet.
    if (!atomic_compare_exchange_strong(&ranges[i].end, &unused, 1)) continue;
    atomic_store(&ranges[i].first, (uintptr_t)data);
    atomic_store(&ranges[i].end, (uintptr_t)data + bytes);
    return;
  }
}

void image_unwatch(const void *data, size_t bytes) {
  for (int i = 0; i < MAX_RANGES; i++) {
    const uintptr_t first = atomic_load(&ranges[i].first);
    const int is_within = first >= (uintptr_t)data && first - (uintptr_t)data < bytes;
    if (is_within && atomic_load(&ranges[i].end) > 1) atomic_store(&ranges[i].end, 0);
  }
}
#endif
