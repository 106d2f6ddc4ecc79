/* Appends text and numbers to a buffer that the caller made large enough. */
#ifndef GUEST_TEXT_H
#define GUEST_TEXT_H

#include <stdint.h>

static inline char *append_text(char *to, const char *text) {
  while (*text != 0) *to++ = *text++;
  *to = 0;
  return to;
}

static inline char *append_decimal(char *to, uint64_t value) {
  char digits[20];
  int count = 0;
  do {
    digits[count++] = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (count > 0) *to++ = digits[--count];
  *to = 0;
  return to;
}

/* `digits` hexadecimal digits, most significant first. */
static inline char *append_hex(char *to, uint64_t value, int digits) {
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) {
    *to++ = "0123456789abcdef"[(value >> shift) & 15];
  }
  *to = 0;
  return to;
}

#endif
