// The functions of addon-image.c, for the addon's list.
#ifndef BITNET_ADDON_IMAGE_H
#define BITNET_ADDON_IMAGE_H

#include <node_api.h>

napi_value image_open_call(napi_env env, napi_callback_info info);
napi_value image_dense_call(napi_env env, napi_callback_info info);
napi_value image_sparse_call(napi_env env, napi_callback_info info);
napi_value image_replace_call(napi_env env, napi_callback_info info);

#endif
