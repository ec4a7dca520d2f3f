// Where Node-API is found on Windows. An import library would name node.exe, and so shut out processes of
// other names: Bun, Electron, a renamed Node. node_api.h declares the functions as imported, so that
// callers go by the pointers here; the linker notices a function that is not in the list.
#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#define NODE_FUNCTIONS(X)                                                                            \
  X(napi_adjust_external_memory) X(napi_create_array_with_length) X(napi_create_async_work)          \
  X(napi_create_double) X(napi_create_error) X(napi_create_external)                                 \
  X(napi_create_external_arraybuffer) X(napi_create_function) X(napi_create_int32)                   \
  X(napi_create_object) X(napi_create_promise) X(napi_create_reference) X(napi_create_string_utf8)   \
  X(napi_delete_async_work) X(napi_delete_reference) X(napi_detach_arraybuffer)                      \
  X(napi_get_arraybuffer_info) X(napi_get_boolean) X(napi_get_cb_info) X(napi_get_null)              \
  X(napi_get_typedarray_info) X(napi_get_undefined) X(napi_get_value_bool) X(napi_get_value_double)  \
  X(napi_get_value_external) X(napi_get_value_int32) X(napi_get_value_int64)                         \
  X(napi_get_value_string_utf8) X(napi_queue_async_work) X(napi_reject_deferred)                     \
  X(napi_resolve_deferred) X(napi_set_element) X(napi_set_named_property) X(napi_throw_error)

#define POINTER(name) void *__imp_##name;
NODE_FUNCTIONS(POINTER)

static const struct {
  const char *name;
  void **pointer;
} functions[] = {
#define ENTRY(name) {#name, &__imp_##name},
    NODE_FUNCTIONS(ENTRY)};

static int find_all(HMODULE host) {
  for (size_t i = 0; host && i < sizeof functions / sizeof *functions; i++) {
    *functions[i].pointer = (void *)GetProcAddress(host, functions[i].name);
    if (!*functions[i].pointer) return 0;
  }
  return host != NULL;
}

// Before anything else of the addon runs. Some builds of Node keep its functions in a library.
BOOL WINAPI DllMain(HINSTANCE self, DWORD reason, void *reserved) {
  (void)self;
  (void)reserved;
  if (reason != DLL_PROCESS_ATTACH) return TRUE;
  return find_all(GetModuleHandleW(NULL)) || find_all(GetModuleHandleW(L"libnode.dll"));
}
#endif
