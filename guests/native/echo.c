// A native plugin in C, a Node-API addon: the simplest things, and what goes wrong.

#include <stdlib.h>
#include <string.h>

#define NAPI_VERSION 8
#include <node_api.h>

typedef struct {
  const uint8_t *data;
  size_t length;
  napi_value context;
} call;

/** Reads the arguments: bytes and the host's context. */
static call read_call(napi_env env, napi_callback_info info) {
  napi_value values[2];
  size_t count = 2;
  call made = {NULL, 0, NULL};
  void *data = NULL;
  if (napi_get_cb_info(env, info, &count, values, NULL, NULL) != napi_ok || count < 2) return made;
  if (napi_get_typedarray_info(env, values[0], NULL, &made.length, &data, NULL, NULL) != napi_ok) made.length = 0;
  made.data = data;
  made.context = values[1];
  return made;
}

static napi_value bytes(napi_env env, const void *data, size_t length) {
  napi_value result = NULL;
  napi_create_buffer_copy(env, length, data, NULL, &result);
  return result;
}

static napi_value echo(napi_env env, napi_callback_info info) {
  call c = read_call(env, info);
  return bytes(env, c.data, c.length);
}

/** Nothing. */
static napi_value noop(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  return NULL;
}

/** How often it was called since this copy was loaded. */
static napi_value count(napi_env env, napi_callback_info info) {
  static unsigned calls = 0;
  (void)info;
  char text[16];
  size_t at = sizeof text;
  for (unsigned n = ++calls; n != 0; n /= 10) text[--at] = (char)('0' + n % 10);
  napi_value result = NULL;
  napi_create_string_utf8(env, text + at, sizeof text - at, &result);
  return result;
}

/** Fails with the input as message. */
static napi_value fail(napi_env env, napi_callback_info info) {
  call c = read_call(env, info);
  napi_value message, error;
  napi_create_string_utf8(env, (const char *)c.data, c.length, &message);
  napi_create_error(env, NULL, message, &error);
  napi_throw(env, error);
  return NULL;
}

/** A number, which is no output. */
static napi_value number(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result = NULL;
  napi_create_uint32(env, 42, &result);
  return result;
}

/** The configuration value whose key is the input. */
static napi_value config(napi_env env, napi_callback_info info) {
  call c = read_call(env, info);
  napi_value all, key, value;
  napi_get_named_property(env, c.context, "config", &all);
  napi_create_string_utf8(env, (const char *)c.data, c.length, &key);
  napi_get_property(env, all, key, &value);
  return value;
}

typedef struct {
  napi_async_work work;
  napi_deferred deferred;
  size_t length;
  uint8_t *data;
} job;

static void reverse(napi_env env, void *data) {
  (void)env;
  job *j = data;
  for (size_t a = 0, b = j->length; a + 1 < b; a++) {
    uint8_t byte = j->data[a];
    j->data[a] = j->data[--b];
    j->data[b] = byte;
  }
}

static void reversed(napi_env env, napi_status status, void *data) {
  (void)status;
  job *j = data;
  napi_resolve_deferred(env, j->deferred, bytes(env, j->data, j->length));
  napi_delete_async_work(env, j->work);
  free(j->data);
  free(j);
}

/** The input backwards, done on another thread. */
static napi_value backwards(napi_env env, napi_callback_info info) {
  call c = read_call(env, info);
  job *j = malloc(sizeof *j);
  j->length = c.length;
  j->data = malloc(c.length + 1);
  if (c.length > 0) memcpy(j->data, c.data, c.length);
  napi_value promise, name;
  napi_create_promise(env, &j->deferred, &promise);
  napi_create_string_utf8(env, "backwards", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, reverse, reversed, j, &j->work);
  napi_queue_async_work(env, j->work);
  return promise;
}

/** A promise that nothing ever settles. */
static napi_value never(napi_env env, napi_callback_info info) {
  (void)info;
  napi_deferred deferred;
  napi_value promise = NULL;
  napi_create_promise(env, &deferred, &promise);
  return promise;
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback work;
  } functions[] = {
      {"echo", echo}, {"noop", noop},     {"count", count},         {"fail", fail},
      {"number", number}, {"config", config}, {"backwards", backwards}, {"never", never},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value value;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].work, NULL, &value);
    napi_set_named_property(env, exports, functions[i].name, value);
  }
  napi_value version;
  napi_create_string_utf8(env, "1", 1, &version);
  napi_set_named_property(env, exports, "version", version);
  return exports;
}
