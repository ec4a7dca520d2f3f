// Node-API for image.h: files of packed weights as memory that JavaScript sees too.
#include "addon-image.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "image.h"
#include "node-call.h"

// --- openImage(path, threads, map) -> Promise<{ bytes, checksum, file }> ---

typedef struct {
  napi_async_work work;
  napi_deferred deferred;
  char *path;
  int32_t threads;
  bool map;
  // Becomes the property of the bytes that JavaScript gets.
  image_file *file;
  const char *problem;
} opening;

static void open_run(napi_env env, void *data) {
  (void)env;
  opening *o = data;
  o->problem = image_open(o->path, o->threads, o->map, o->file);
}

static void close_file(image_file *file) {
  image_close(file);
  free(file);
}

static void unmap(napi_env env, void *data, void *hint) {
  (void)env;
  (void)data;
  close_file(hint);
}

// bytes is null where only the checksum was asked for; file is an address.
static napi_value opened(napi_env env, opening *o) {
  napi_value result, bytes, checksum, file;
  char digits[17];
  snprintf(digits, sizeof digits, "%016llx", (unsigned long long)o->file->checksum);
  if (napi_create_object(env, &result) != napi_ok ||
      napi_create_string_utf8(env, digits, 16, &checksum) != napi_ok ||
      napi_set_named_property(env, result, "checksum", checksum) != napi_ok ||
      napi_create_double(env, (double)(uintptr_t)o->file, &file) != napi_ok ||
      napi_set_named_property(env, result, "file", file) != napi_ok) {
    return NULL;
  }
  if (!o->file->data) {
    napi_get_null(env, &bytes);
  } else if (napi_create_external_arraybuffer(env, o->file->data, o->file->bytes, unmap, o->file,
                                              &bytes) == napi_ok) {
    o->file = NULL;
  } else {
    o->problem = "this runtime refuses external memory";
    return NULL;
  }
  return napi_set_named_property(env, result, "bytes", bytes) == napi_ok ? result : NULL;
}

static void free_opening(opening *o) {
  if (!o) return;
  if (o->file) close_file(o->file);
  free(o->path);
  free(o);
}

static void open_done(napi_env env, napi_status status, void *data) {
  opening *o = data;
  napi_value result = NULL;
  if (status == napi_ok && !o->problem) result = opened(env, o);
  if (result) {
    napi_resolve_deferred(env, o->deferred, result);
  } else {
    reject(env, o->deferred, o->problem ? o->problem : "it cannot be shown to JavaScript");
  }
  napi_delete_async_work(env, o->work);
  free_opening(o);
}

napi_value image_open_call(napi_env env, napi_callback_info info) {
  napi_value argv[3], promise, name;
  if (!read_arguments(env, info, 3, argv)) return NULL;
  size_t length;
  CHECK(napi_get_value_string_utf8(env, argv[0], NULL, 0, &length));
  opening *o = calloc(1, sizeof(opening));
  if (o) {
    o->path = malloc(length + 1);
    o->file = calloc(1, sizeof(image_file));
  }
  if (!o || !o->path || !o->file) {
    free_opening(o);
    return throw_error(env, "native addon: no memory to open a file");
  }
  if (napi_get_value_string_utf8(env, argv[0], o->path, length + 1, &length) != napi_ok ||
      napi_get_value_int32(env, argv[1], &o->threads) != napi_ok ||
      napi_get_value_bool(env, argv[2], &o->map) != napi_ok ||
      napi_create_promise(env, &o->deferred, &promise) != napi_ok ||
      napi_create_string_utf8(env, "bitnet:image", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_async_work(env, NULL, name, open_run, open_done, o, &o->work) != napi_ok ||
      napi_queue_async_work(env, o->work) != napi_ok) {
    free_opening(o);
    return throw_error(env, "native addon: a file cannot be opened this way");
  }
  return promise;
}

// --- markDense(bytes, offset, length), replace(bytes, offset, length, file, at) -> boolean ---

// The range of a buffer that three arguments name; NULL, and an error is thrown, if it is none.
static void *range_of(napi_env env, const napi_value *argv, size_t *bytes) {
  void *data;
  size_t room;
  int64_t offset, length;
  if (napi_get_arraybuffer_info(env, argv[0], &data, &room) != napi_ok ||
      napi_get_value_int64(env, argv[1], &offset) != napi_ok ||
      napi_get_value_int64(env, argv[2], &length) != napi_ok || offset < 0 || length < 0 ||
      (uint64_t)offset > room || (uint64_t)length > room - (uint64_t)offset) {
    throw_error(env, "native addon: a range outside of its buffer");
    return NULL;
  }
  *bytes = (size_t)length;
  return (char *)data + offset;
}

napi_value image_dense_call(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  size_t bytes;
  if (!read_arguments(env, info, 3, argv)) return NULL;
  void *data = range_of(env, argv, &bytes);
  if (data) image_mark_dense(data, bytes);
  return NULL;
}

napi_value image_replace_call(napi_env env, napi_callback_info info) {
  napi_value argv[5], result;
  size_t bytes;
  double file;
  int64_t at;
  if (!read_arguments(env, info, 5, argv)) return NULL;
  void *data = range_of(env, argv, &bytes);
  if (!data) return NULL;
  CHECK(napi_get_value_double(env, argv[3], &file));
  CHECK(napi_get_value_int64(env, argv[4], &at));
  const int replaced =
      image_replace(data, bytes, (const image_file *)(uintptr_t)file, (size_t)at);
  CHECK(napi_get_boolean(env, replaced, &result));
  return result;
}

// --- readSparse(source, file, address, at) ---

napi_value image_sparse_call(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  if (!read_arguments(env, info, 4, argv)) return NULL;
  void *source;
  size_t bytes;
  double file, address;
  int64_t at;
  CHECK(napi_get_arraybuffer_info(env, argv[0], &source, &bytes));
  CHECK(napi_get_value_double(env, argv[1], &file));
  CHECK(napi_get_value_double(env, argv[2], &address));
  CHECK(napi_get_value_int64(env, argv[3], &at));
  if (bytes < sizeof(sparse_source)) return throw_error(env, "native addon: no room for a source");
  image_read_sparse(source, (const image_file *)(uintptr_t)file, (const void *)(uintptr_t)address,
                    (size_t)at);
  return NULL;
}
