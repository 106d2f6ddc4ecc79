/* A plugin with a C library: `append` adds the input to /journal/log.txt and outputs how many lines that has. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "extism.h"
#include "text.h"

static int32_t failed(const char *what) {
  char text[128];
  snprintf(text, sizeof text, "%s: %s", what, strerror(errno));
  return fail_with(text);
}

EXPORT(append) int32_t append(void) {
  FILE *log = fopen("/journal/log.txt", "a+");
  if (!log) return failed("Cannot open the log");
  uint64_t length = extism_input_length();
  for (uint64_t at = 0; at < length; at++) fputc((int)extism_input_load_u8(at), log);
  fputc('\n', log);
  if (fflush(log)) {
    int32_t result = failed("Cannot write the log");
    fclose(log);
    return result;
  }
  rewind(log);
  uint32_t lines = 0;
  for (int byte; (byte = fgetc(log)) != EOF;) lines += byte == '\n';
  fclose(log);
  char text[24];
  char *end = append_decimal(text, lines);
  return succeed_with(text, (size_t)(end - text));
}
