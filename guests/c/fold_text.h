/* Makes texts comparable that look alike to a reader: letters without case, width, accents and style, one space for whatever
   separates words, nothing for what cannot be seen. */
#ifndef GUEST_FOLD_TEXT_H
#define GUEST_FOLD_TEXT_H

#include <stdint.h>

#include "fold_table.h"

/* What a character becomes: itself, another one, a space, or 0 for nothing. */
#define DROP 0u
/* Up to three letters instead of a character, in seven bits each. */
#define LETTERS 0x80000000u

/* Small letters and digits; nothing for what cannot be seen, a space for everything else. */
static inline uint32_t fold_ascii(uint32_t c) {
  if (c >= 'A' && c <= 'Z') return c + 32;
  if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) return c;
  return c == 0x7f || (c < ' ' && c != '\t' && c != '\n' && c != '\r') ? DROP : ' ';
}

static inline uint32_t fold(uint32_t c) {
  if (c < 0x80) return fold_ascii(c);
  // Tags and further selectors: texts that nobody sees.
  if (c >= 0xe0000 && c <= 0xe0fff) return c >= 0xe0020 && c <= 0xe007e ? fold_ascii(c - 0xe0000) : DROP;
  uint32_t page = c >> 8;
  if (page >= FOLD_PAGES) return c;
  uint32_t low = FOLD_STARTS[page];
  uint32_t high = FOLD_STARTS[page + 1];
  uint32_t here = c & 255;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    const fold_run *run = &FOLD_RUNS[middle];
    if (run->to < here) low = middle + 1;
    else if (run->from > here) high = middle;
    else if (run->kind == 0) return run->target;
    else return run->target + (here - run->from & (run->kind == 1 ? ~0u : ~1u));
  }
  return c;
}

/* True for what is dropped although some show it as a space: controls, blanks of several scripts, and halves of pairs. */
static inline int may_be_space(uint32_t c) {
  return c < 0xa0 || c == 0x115f || c == 0x1160 || c == 0x180e || c == 0x200b || c == 0x2800 || c == 0x3164 || c == 0xffa0 || (c >= 0xd800 && c <= 0xdfff);
}

/* Appends a folded character in UTF-8, never with more bytes than it had itself. */
static inline char *append_point(char *to, uint32_t c) {
  if (c < 0x80) *to++ = (char)c;
  else if (c < 0x800) {
    *to++ = (char)(0xc0 | c >> 6);
    *to++ = (char)(0x80 | (c & 63));
  } else if (c < 0x10000) {
    *to++ = (char)(0xe0 | c >> 12);
    *to++ = (char)(0x80 | (c >> 6 & 63));
    *to++ = (char)(0x80 | (c & 63));
  } else if (c & LETTERS) {
    for (c &= ~LETTERS; c != 0; c >>= 7) *to++ = (char)(c & 127);
  } else {
    *to++ = (char)(0xf0 | c >> 18);
    *to++ = (char)(0x80 | (c >> 12 & 63));
    *to++ = (char)(0x80 | (c >> 6 & 63));
    *to++ = (char)(0x80 | (c & 63));
  }
  return to;
}

#endif
