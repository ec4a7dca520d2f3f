// What functions that JavaScript calls have in common.
#ifndef BITNET_NODE_CALL_H
#define BITNET_NODE_CALL_H

#include <node_api.h>
#include <stdbool.h>

#define CHECK(call) \
  if ((call) != napi_ok) return throw_error(env, "native addon: " #call " failed")

static inline napi_value throw_error(napi_env env, const char *message) {
  napi_throw_error(env, "BACKEND", message);
  return NULL;
}

static inline void reject(napi_env env, napi_deferred deferred, const char *problem) {
  napi_value message, error;
  napi_create_string_utf8(env, problem, NAPI_AUTO_LENGTH, &message);
  napi_create_error(env, NULL, message, &error);
  napi_reject_deferred(env, deferred, error);
}

static inline bool read_arguments(napi_env env, napi_callback_info info, size_t expected,
                                  napi_value *argv) {
  size_t count = expected;
  if (napi_get_cb_info(env, info, &count, argv, NULL, NULL) != napi_ok || count < expected) {
    throw_error(env, "native addon: too few arguments");
    return false;
  }
  return true;
}

#endif
