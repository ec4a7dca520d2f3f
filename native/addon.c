// The Node-API surface: memory, pools and recorded programs. src/backends/native/addon.ts is its type.
//
// Everything that comes from JavaScript has been checked there (validate.ts), and addresses are those
// that `allocate` gave out; this file checks only what a bug could turn into a crash.
#include <stdlib.h>
#include <string.h>

#include "addon-image.h"
#include "cpu.h"
#include "image-fault.h"
#include "list.h"
#include "node-call.h"
#include "pool.h"
#include "threads.h"

static napi_value make_function(napi_env env, const char *name, napi_callback run) {
  napi_value f = NULL;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, run, NULL, &f);
  return f;
}

// --- variants() -> [{ isa, missing }] ---

static napi_value list_variants(napi_env env, napi_callback_info info) {
  (void)info;
  int32_t count;
  const variant *variants = cpu_variants(&count);
  napi_value list;
  CHECK(napi_create_array_with_length(env, (size_t)count, &list));
  for (int32_t i = 0; i < count; i++) {
    napi_value entry, isa, missing;
    CHECK(napi_create_object(env, &entry));
    CHECK(napi_create_string_utf8(env, variants[i].table->isa, NAPI_AUTO_LENGTH, &isa));
    if (variants[i].missing) {
      CHECK(napi_create_string_utf8(env, variants[i].missing, NAPI_AUTO_LENGTH, &missing));
    } else {
      CHECK(napi_get_null(env, &missing));
    }
    CHECK(napi_set_named_property(env, entry, "isa", isa));
    CHECK(napi_set_named_property(env, entry, "missing", missing));
    CHECK(napi_set_element(env, list, (uint32_t)i, entry));
  }
  return list;
}

// --- allocate(bytes, huge) -> ArrayBuffer, addressOf(ArrayBuffer) -> number, release(ArrayBuffer) ---

static void release_pages(napi_env env, void *data, void *hint) {
  (void)env;
  // Parts of it may have become a file's.
  image_unwatch(data, (size_t)(uintptr_t)hint);
  pages_release(data, (size_t)(uintptr_t)hint);
}

static napi_value allocate(napi_env env, napi_callback_info info) {
  napi_value argv[2], buffer;
  if (!read_arguments(env, info, 2, argv)) return NULL;
  int64_t bytes;
  bool large_pages;
  CHECK(napi_get_value_int64(env, argv[0], &bytes));
  CHECK(napi_get_value_bool(env, argv[1], &large_pages));
  if (bytes <= 0) return throw_error(env, "native addon: a buffer needs at least one byte");
  void *data = pages_reserve((size_t)bytes, large_pages);
  if (!data) return throw_error(env, "Out of memory. Use a smaller model, context or batch.");
  if (napi_create_external_arraybuffer(env, data, (size_t)bytes, release_pages,
                                       (void *)(uintptr_t)bytes, &buffer) != napi_ok) {
    pages_release(data, (size_t)bytes);
    return throw_error(env, "native addon: this runtime refuses external memory");
  }
  return buffer;
}

static napi_value address_of(napi_env env, napi_callback_info info) {
  napi_value argv[1], address;
  if (!read_arguments(env, info, 1, argv)) return NULL;
  void *data;
  size_t bytes;
  CHECK(napi_get_arraybuffer_info(env, argv[0], &data, &bytes));
  CHECK(napi_create_double(env, (double)(uintptr_t)data, &address));
  return address;
}

// Detaching runs the finalizer, which gives the pages back.
static napi_value release(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (!read_arguments(env, info, 1, argv)) return NULL;
  CHECK(napi_detach_arraybuffer(env, argv[0]));
  return NULL;
}

// --- weigh(bytes): more of external memory to V8, or less ---

static napi_value weigh(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (!read_arguments(env, info, 1, argv)) return NULL;
  int64_t bytes, all;
  CHECK(napi_get_value_int64(env, argv[0], &bytes));
  CHECK(napi_adjust_external_memory(env, bytes, &all));
  return NULL;
}

// --- openPool(isa, threads) -> pool, closePool(pool), poolThreads(pool) -> number ---

typedef struct {
  pool *threads;
  const kernel_table *table;
} open_pool;

static void finalize_pool(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  open_pool *p = data;
  if (p->threads) pool_destroy(p->threads);
  free(p);
}

static napi_value pool_open(napi_env env, napi_callback_info info) {
  napi_value argv[2], handle;
  if (!read_arguments(env, info, 2, argv)) return NULL;
  char isa[64];
  size_t length;
  int32_t threads, count;
  CHECK(napi_get_value_string_utf8(env, argv[0], isa, sizeof isa, &length));
  CHECK(napi_get_value_int32(env, argv[1], &threads));
  const variant *variants = cpu_variants(&count);
  for (int32_t i = 0; i < count; i++) {
    if (strcmp(variants[i].table->isa, isa) != 0 || variants[i].missing) continue;
    open_pool *p = calloc(1, sizeof(open_pool));
    if (p) p->threads = pool_create(threads > 0 ? threads : 1);
    if (!p || !p->threads) {
      free(p);
      return throw_error(env, "native addon: no memory for threads");
    }
    p->table = variants[i].table;
    CHECK(napi_create_external(env, p, finalize_pool, NULL, &handle));
    return handle;
  }
  return throw_error(env, "native addon: this variant cannot run here");
}

static open_pool *get_pool(napi_env env, napi_value value) {
  void *data = NULL;
  if (napi_get_value_external(env, value, &data) != napi_ok || !((open_pool *)data)->threads) {
    throw_error(env, "native addon: the pool is closed");
    return NULL;
  }
  return data;
}

static napi_value pool_close(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  if (!read_arguments(env, info, 1, argv)) return NULL;
  open_pool *p = get_pool(env, argv[0]);
  if (!p) return NULL;
  pool_destroy(p->threads);
  p->threads = NULL;
  return NULL;
}

static napi_value pool_size(napi_env env, napi_callback_info info) {
  napi_value argv[1], size;
  if (!read_arguments(env, info, 1, argv)) return NULL;
  const open_pool *p = get_pool(env, argv[0]);
  if (!p) return NULL;
  CHECK(napi_create_int32(env, pool_threads(p->threads), &size));
  return size;
}

// --- ranIsa(pool) -> string or null ---

static napi_value ran_isa(napi_env env, napi_callback_info info) {
  napi_value argv[1], isa;
  if (!read_arguments(env, info, 1, argv)) return NULL;
  const open_pool *p = get_pool(env, argv[0]);
  if (!p) return NULL;
  const char *name = pool_ran_isa(p->threads);
  if (!name) {
    CHECK(napi_get_null(env, &isa));
  } else {
    CHECK(napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &isa));
  }
  return isa;
}

// --- record(Float64Array) -> program ---

typedef struct {
  int32_t count;
  _Alignas(8) command commands[];
} program;

static void finalize_program(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  free(data);
}

static napi_value record(napi_env env, napi_callback_info info) {
  napi_value argv[1], handle;
  if (!read_arguments(env, info, 1, argv)) return NULL;
  napi_typedarray_type type;
  size_t length;
  void *data;
  CHECK(napi_get_typedarray_info(env, argv[0], &type, &length, &data, NULL, NULL));
  int32_t count = 0;
  const size_t bytes = type == napi_float64_array ? list_bytes(data, length, &count) : 0;
  if (type != napi_float64_array || (bytes == 0 && length > 0)) {
    return throw_error(env, "native addon: malformed program");
  }
  program *list = malloc(sizeof(program) + bytes);
  if (!list) return throw_error(env, "native addon: no memory for a program");
  list->count = count;
  list_decode(list->commands, data, count);
  CHECK(napi_create_external(env, list, finalize_program, NULL, &handle));
  return handle;
}

// --- submit(pool, program) -> Promise ---

typedef struct {
  napi_async_work work;
  napi_deferred deferred;
  napi_ref pool_ref, program_ref;
  const open_pool *pool;
  const program *list;
  const char *problem;
} submission;

static void submission_run(napi_env env, void *data) {
  (void)env;
  submission *s = data;
  const program *list = s->list;
  pool_run(s->pool->threads, s->pool->table, list->commands, list->count);
  const command *c = list->commands;
  for (int32_t i = 0; i < list->count; i++, c = next_command(c)) {
    const sparse_source *source = sparse_source_of(c);
    if (source && source->failed) s->problem = "the file of its weights was cut, or cannot be read";
  }
}

static void submission_done(napi_env env, napi_status status, void *data) {
  submission *s = data;
  napi_value undefined;
  napi_get_undefined(env, &undefined);
  if (status == napi_ok && !s->problem) {
    napi_resolve_deferred(env, s->deferred, undefined);
  } else {
    reject(env, s->deferred, s->problem ? s->problem : "it was not started");
  }
  napi_delete_reference(env, s->pool_ref);
  napi_delete_reference(env, s->program_ref);
  napi_delete_async_work(env, s->work);
  free(s);
}

static napi_value submit(napi_env env, napi_callback_info info) {
  napi_value argv[2], promise, name;
  if (!read_arguments(env, info, 2, argv)) return NULL;
  const open_pool *p = get_pool(env, argv[0]);
  if (!p) return NULL;
  void *list;
  CHECK(napi_get_value_external(env, argv[1], &list));
  submission *s = calloc(1, sizeof(submission));
  if (!s) return throw_error(env, "native addon: no memory for a submission");
  s->pool = p;
  s->list = list;
  CHECK(napi_create_promise(env, &s->deferred, &promise));
  CHECK(napi_create_reference(env, argv[0], 1, &s->pool_ref));
  CHECK(napi_create_reference(env, argv[1], 1, &s->program_ref));
  CHECK(napi_create_string_utf8(env, "bitnet:submit", NAPI_AUTO_LENGTH, &name));
  CHECK(napi_create_async_work(env, NULL, name, submission_run, submission_done, s, &s->work));
  CHECK(napi_queue_async_work(env, s->work));
  return promise;
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback run;
  } functions[] = {
      {"variants", list_variants}, {"allocate", allocate},   {"addressOf", address_of}, {"weigh", weigh},
      {"release", release},        {"openPool", pool_open},  {"closePool", pool_close},
      {"poolThreads", pool_size},  {"ranIsa", ran_isa},       {"record", record},       {"submit", submit},
      {"openImage", image_open_call}, {"markDense", image_dense_call},
      {"readSparse", image_sparse_call}, {"replace", image_replace_call},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value f = make_function(env, functions[i].name, functions[i].run);
    CHECK(napi_set_named_property(env, exports, functions[i].name, f));
  }
  return exports;
}
