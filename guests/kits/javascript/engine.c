/* QuickJS with a script inside, in the shape that Extism's JavaScript kit gives a plugin: one export for each function
   of the script. The build makes script.h (the script and the prelude as text) and interface.h (exports and imports). */
#include <string.h>

#include "interface.h"
#include "quickjs.h"
#include "script.h"

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define ENV(name) IMPORT("extism:host/env", name)

ENV("alloc") extern uint64_t extism_alloc(uint64_t length);
ENV("free") extern void extism_free(uint64_t block);
ENV("length") extern uint64_t extism_length(uint64_t block);
ENV("load_u8") extern uint32_t extism_load_u8(uint64_t address);
ENV("load_u64") extern uint64_t extism_load_u64(uint64_t address);
ENV("store_u8") extern void extism_store_u8(uint64_t address, uint32_t value);
ENV("store_u64") extern void extism_store_u64(uint64_t address, uint64_t value);
ENV("input_length") extern uint64_t extism_input_length(void);
ENV("input_load_u8") extern uint32_t extism_input_load_u8(uint64_t offset);
ENV("input_load_u64") extern uint64_t extism_input_load_u64(uint64_t offset);
ENV("output_set") extern void extism_output_set(uint64_t address, uint64_t length);
ENV("error_set") extern void extism_error_set(uint64_t block);
ENV("config_get") extern uint64_t extism_config_get(uint64_t key);
ENV("var_get") extern uint64_t extism_var_get(uint64_t key);
ENV("var_set") extern void extism_var_set(uint64_t key, uint64_t value);
ENV("http_request") extern uint64_t extism_http_request(uint64_t request, uint64_t body);
ENV("http_status_code") extern int32_t extism_http_status_code(void);
ENV("http_headers") extern uint64_t extism_http_headers(void);
ENV("log_trace") extern void extism_log_trace(uint64_t message);
ENV("log_debug") extern void extism_log_debug(uint64_t message);
ENV("log_info") extern void extism_log_info(uint64_t message);
ENV("log_warn") extern void extism_log_warn(uint64_t message);
ENV("log_error") extern void extism_log_error(uint64_t message);

/* The interpreter's own limit, below the stack that the linker was told to give. */
#define STACK_BYTES (512 * 1024)

static JSContext *context;
static JSValue script_exports;

static uint64_t block_from(const void *bytes, size_t length) {
  const uint8_t *from = bytes;
  uint64_t block = extism_alloc(length);
  size_t at = 0;
  for (; at + 8 <= length; at += 8) {
    uint64_t word;
    memcpy(&word, from + at, 8);
    extism_store_u64(block + at, word);
  }
  for (; at < length; at++) extism_store_u8(block + at, from[at]);
  return block;
}

/* A block as an ArrayBuffer; null for no block. The block stays. */
static JSValue buffer_of(JSContext *ctx, uint64_t block) {
  if (block == 0) return JS_NULL;
  size_t length = (size_t)extism_length(block);
  uint8_t *bytes = js_malloc(ctx, length + 8);
  if (bytes == NULL) return JS_EXCEPTION;
  size_t at = 0;
  for (; at + 8 <= length; at += 8) {
    uint64_t word = extism_load_u64(block + at);
    memcpy(bytes + at, &word, 8);
  }
  for (; at < length; at++) bytes[at] = (uint8_t)extism_load_u8(block + at);
  JSValue buffer = JS_NewArrayBufferCopy(ctx, bytes, length);
  js_free(ctx, bytes);
  return buffer;
}

/* The block of an ArrayBuffer or typed array; 0 and an exception for anything else. */
static uint64_t block_of_buffer(JSContext *ctx, JSValueConst value) {
  size_t length = 0;
  size_t offset = 0;
  size_t unit = 0;
  uint8_t *bytes = JS_GetArrayBuffer(ctx, &length, value);
  if (bytes != NULL || !JS_HasException(ctx)) return length == 0 ? 0 : block_from(bytes, length);
  JS_FreeValue(ctx, JS_GetException(ctx));
  JSValue buffer = JS_GetTypedArrayBuffer(ctx, value, &offset, &length, &unit);
  if (JS_IsException(buffer)) return 0;
  size_t whole = 0;
  bytes = JS_GetArrayBuffer(ctx, &whole, buffer);
  JS_FreeValue(ctx, buffer);
  return bytes == NULL ? 0 : block_from(bytes + offset, length);
}

static uint64_t block_of_text(JSContext *ctx, JSValueConst value) {
  size_t length;
  const char *text = JS_ToCStringLen(ctx, &length, value);
  if (text == NULL) return 0;
  uint64_t block = block_from(text, length);
  JS_FreeCString(ctx, text);
  return block;
}

static uint64_t address_of(JSContext *ctx, JSValueConst value) {
  int64_t address = 0;
  JS_ToInt64Ext(ctx, &address, value);
  return (uint64_t)address;
}

#define NATIVE(name) static JSValue name(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)

NATIVE(host_input) {
  size_t length = (size_t)extism_input_length();
  uint8_t *bytes = js_malloc(ctx, length + 8);
  if (bytes == NULL) return JS_EXCEPTION;
  size_t at = 0;
  for (; at + 8 <= length; at += 8) {
    uint64_t word = extism_input_load_u64(at);
    memcpy(bytes + at, &word, 8);
  }
  for (; at < length; at++) bytes[at] = (uint8_t)extism_input_load_u8(at);
  JSValue buffer = JS_NewArrayBufferCopy(ctx, bytes, length);
  js_free(ctx, bytes);
  return buffer;
}

NATIVE(host_output) {
  uint64_t block = block_of_buffer(ctx, argv[0]);
  if (JS_HasException(ctx)) return JS_EXCEPTION;
  extism_output_set(block, extism_length(block));
  return JS_UNDEFINED;
}

NATIVE(host_config) {
  uint64_t key = block_of_text(ctx, argv[0]);
  uint64_t block = extism_config_get(key);
  JSValue value = buffer_of(ctx, block);
  extism_free(block);
  return value;
}

NATIVE(host_var_get) {
  uint64_t key = block_of_text(ctx, argv[0]);
  uint64_t block = extism_var_get(key);
  JSValue value = buffer_of(ctx, block);
  extism_free(block);
  return value;
}

NATIVE(host_var_set) {
  uint64_t value = block_of_buffer(ctx, argv[1]);
  if (JS_HasException(ctx)) return JS_EXCEPTION;
  extism_var_set(block_of_text(ctx, argv[0]), value);
  return JS_UNDEFINED;
}

NATIVE(host_http) {
  uint64_t body = JS_IsNull(argv[1]) ? 0 : block_of_buffer(ctx, argv[1]);
  uint64_t request = block_of_buffer(ctx, argv[0]);
  if (JS_HasException(ctx)) return JS_EXCEPTION;
  uint64_t answer = extism_http_request(request, body);
  uint64_t headers = extism_http_headers();
  JSValue result = JS_NewObject(ctx);
  JS_SetPropertyStr(ctx, result, "status", JS_NewInt32(ctx, extism_http_status_code()));
  JS_SetPropertyStr(ctx, result, "body", buffer_of(ctx, answer));
  JS_SetPropertyStr(ctx, result, "headers", buffer_of(ctx, headers));
  extism_free(answer);
  extism_free(headers);
  return result;
}

NATIVE(host_log) {
  static void (*const levels[])(uint64_t) = {extism_log_trace, extism_log_debug, extism_log_info, extism_log_warn, extism_log_error};
  int32_t level = 0;
  JS_ToInt32(ctx, &level, argv[0]);
  uint64_t message = block_of_buffer(ctx, argv[1]);
  if (JS_HasException(ctx)) return JS_EXCEPTION;
  if (level >= 0 && level < 5) levels[level](message);
  return JS_UNDEFINED;
}

NATIVE(memory_store) {
  uint64_t block = block_of_buffer(ctx, argv[0]);
  return JS_HasException(ctx) ? JS_EXCEPTION : JS_NewInt64(ctx, (int64_t)block);
}

NATIVE(memory_read) {
  return buffer_of(ctx, address_of(ctx, argv[0]));
}

NATIVE(memory_length) {
  return JS_NewInt64(ctx, (int64_t)extism_length(address_of(ctx, argv[0])));
}

NATIVE(memory_free) {
  extism_free(address_of(ctx, argv[0]));
  return JS_UNDEFINED;
}

/* Calls the host function of a number; each takes one address and returns one. */
NATIVE(host_invoke) {
  int32_t index = -1;
  JS_ToInt32(ctx, &index, argv[0]);
  if (index < 0 || index >= HOST_FUNCTION_COUNT) return JS_ThrowRangeError(ctx, "no such host function");
  return JS_NewInt64(ctx, (int64_t)host_functions[index](argc < 2 ? 0 : address_of(ctx, argv[1])));
}

NATIVE(text_encode) {
  size_t length;
  const char *text = JS_ToCStringLen(ctx, &length, argv[0]);
  if (text == NULL) return JS_EXCEPTION;
  JSValue buffer = JS_NewArrayBufferCopy(ctx, (const uint8_t *)text, length);
  JS_FreeCString(ctx, text);
  return buffer;
}

NATIVE(text_decode) {
  size_t length;
  uint8_t *bytes = JS_GetArrayBuffer(ctx, &length, argv[0]);
  return bytes == NULL && JS_HasException(ctx) ? JS_EXCEPTION : JS_NewStringLen(ctx, (const char *)bytes, length);
}

static void add(JSContext *ctx, JSValueConst object, const char *name, JSCFunction *function, int length) {
  JS_SetPropertyStr(ctx, object, name, JS_NewCFunction(ctx, function, name, length));
}

static JSValue native_functions(JSContext *ctx) {
  JSValue host = JS_NewObject(ctx);
  JSValue memory = JS_NewObject(ctx);
  JSValue names = JS_NewArray(ctx);
  add(ctx, host, "input", host_input, 0);
  add(ctx, host, "output", host_output, 1);
  add(ctx, host, "config", host_config, 1);
  add(ctx, host, "varGet", host_var_get, 1);
  add(ctx, host, "varSet", host_var_set, 2);
  add(ctx, host, "http", host_http, 2);
  add(ctx, host, "log", host_log, 2);
  add(ctx, host, "invoke", host_invoke, 2);
  add(ctx, host, "encode", text_encode, 1);
  add(ctx, host, "decode", text_decode, 1);
  add(ctx, memory, "store", memory_store, 1);
  add(ctx, memory, "read", memory_read, 1);
  add(ctx, memory, "length", memory_length, 1);
  add(ctx, memory, "free", memory_free, 1);
  JS_SetPropertyStr(ctx, host, "memory", memory);
  for (uint32_t index = 0; index < HOST_FUNCTION_COUNT; index++)
    JS_SetPropertyUint32(ctx, names, index, JS_NewString(ctx, host_function_names[index]));
  JS_SetPropertyStr(ctx, host, "functions", names);
  return host;
}

/* Makes the pending exception the plugin's error: the message, and the stack if there is one. */
static int32_t report(JSContext *ctx) {
  JSValue exception = JS_GetException(ctx);
  JSValue stack = JS_GetPropertyStr(ctx, exception, "stack");
  JSValue whole = JS_ToString(ctx, exception);
  if (JS_IsString(stack)) {
    JSValue parts[] = {JS_NewString(ctx, "\n"), stack};
    JSAtom concat = JS_NewAtom(ctx, "concat");
    JSValue joined = JS_Invoke(ctx, whole, concat, 2, parts);
    JS_FreeAtom(ctx, concat);
    JS_FreeValue(ctx, parts[0]);
    JS_FreeValue(ctx, whole);
    whole = joined;
  }
  extism_error_set(block_of_text(ctx, whole));
  JS_FreeValue(ctx, whole);
  JS_FreeValue(ctx, stack);
  JS_FreeValue(ctx, exception);
  return 1;
}

static bool run(JSContext *ctx, const char *text, size_t length, const char *name) {
  JSValue result = JS_Eval(ctx, text, length, name, JS_EVAL_TYPE_GLOBAL);
  bool failed = JS_IsException(result);
  JS_FreeValue(ctx, result);
  return !failed;
}

/* Runs the script once, when the instance is made. */
__attribute__((constructor)) static void begin(void) {
  JSRuntime *runtime = JS_NewRuntime();
  JS_SetMaxStackSize(runtime, STACK_BYTES);
  context = JS_NewContext(runtime);
  JSValue global = JS_GetGlobalObject(context);
  JS_SetPropertyStr(context, global, "__host", native_functions(context));
  if (run(context, prelude_text, sizeof prelude_text - 1, "prelude.js") && run(context, script_text, sizeof script_text - 1, "script.js")) {
    JSValue module = JS_GetPropertyStr(context, global, "module");
    script_exports = JS_GetPropertyStr(context, module, "exports");
    JS_FreeValue(context, module);
  } else {
    report(context);
    script_exports = JS_UNDEFINED;
  }
  JS_FreeValue(context, global);
}

int32_t call_script(const char *name) {
  /* The host may enter at another depth than before. */
  JS_UpdateStackTop(JS_GetRuntime(context));
  JSValue function = JS_GetPropertyStr(context, script_exports, name);
  JSValue result = JS_IsException(function) ? JS_EXCEPTION : JS_Call(context, function, JS_UNDEFINED, 0, NULL);
  JS_FreeValue(context, function);
  int32_t code = 0;
  if (JS_IsException(result) || (JS_IsNumber(result) && JS_ToInt32(context, &code, result) < 0)) code = report(context);
  JS_FreeValue(context, result);
  return code;
}
