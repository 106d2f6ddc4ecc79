/* A Bifrost plugin of the first generation: hooks over two and three buffers, `malloc` alone, and never a `free`. */
#include "linear.h"

/* As a plugin may have it whose author did not think of freeing: at the end of the array there is no memory left. */
static char heap[256 << 10];
static size_t used;

EXPORT(malloc) void *guest_malloc(size_t length) {
  size_t size = (length + 7) & ~(size_t)7;
  if (length == 0 || size > sizeof heap - used) return 0;
  used += size;
  return heap + used - size;
}

static char out[16 << 10];

EXPORT(get_name) uint64_t get_name(void) {
  return packed_text("bifrost-first");
}

/* Paths below /admin are answered here; requests are counted in the context. */
EXPORT(http_transport_intercept)
uint64_t http_transport_intercept(const char *context, size_t context_length, const char *request, size_t request_length) {
  (void)context, (void)context_length;
  slice path = json_text(json_get((slice){request, request_length}, "path"));
  if (path.length >= 6 && slice_is((slice){path.at, 6}, "/admin"))
    return packed_text("{\"response\":{\"status_code\":403,\"headers\":{\"x-plugin\":\"bifrost-first\"},\"body\":\"bm8=\"},\"error\":\"\"}");
  return packed_text("{\"response\":null,\"error\":\"\"}");
}

/* Answers the model "canned" itself, and caps what a request may ask for at 100 tokens. */
EXPORT(pre_hook) uint64_t pre_hook(const char *context, size_t context_length, const char *request, size_t length) {
  (void)context, (void)context_length;
  slice json = {request, length};
  if (slice_is(json_text(json_get(json, "model")), "canned"))
    return packed_text(
        "{\"request\":null,\"short_circuit\":{\"response\":{\"chat_response\":{\"model\":\"canned\",\"choices\":[{\"index\":0,"
        "\"message\":{\"role\":\"assistant\",\"content\":\"from the plugin\"}}]}}},\"error\":\"\"}");
  slice params = json_get(json, "params");
  slice most = json_get(params, "max_completion_tokens");
  if (most.length == 0 || json_number(most) <= 100 || length > sizeof out / 2) return packed_text("{\"request\":null,\"short_circuit\":null,\"error\":\"\"}");
  char *to = append_text(out, "{\"request\":");
  to = append_bytes(to, request, (size_t)(most.at - request));
  to = append_text(to, "100");
  to = append_bytes(to, most.at + most.length, (size_t)(request + length - most.at) - most.length);
  to = append_text(to, ",\"short_circuit\":null,\"error\":\"\"}");
  return packed(out, (size_t)(to - out));
}

/* Turns one error of the provider into an answer of its own; leaves everything else. */
EXPORT(post_hook)
uint64_t post_hook(const char *context, size_t context_length, const char *response, size_t response_length, const char *error, size_t error_length) {
  (void)context, (void)context_length, (void)response, (void)response_length;
  slice message = json_text(json_get(json_get((slice){error, error_length}, "error"), "message"));
  if (slice_find(message, "overloaded") < message.length)
    return packed_text("{\"response\":null,\"bifrost_error\":{\"status_code\":503,\"error\":{\"message\":\"try again later\",\"type\":\"busy\"}},\"error\":\"\"}");
  return packed_text("{\"response\":null,\"bifrost_error\":null,\"error\":\"\"}");
}
