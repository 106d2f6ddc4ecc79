/* Makes texts comparable that look alike to a reader: letters without case, width, accents and style, one space for whatever
   separates words, nothing for what cannot be seen. */
#ifndef GUEST_FOLD_TEXT_H
#define GUEST_FOLD_TEXT_H

#include <stdint.h>

/* What a character becomes: itself, another one, a space, or 0 for nothing. */
#define DROP 0u

/* Small letters and digits; a space for everything else. */
static inline uint32_t fold_ascii(uint32_t c) {
  if (c >= 'A' && c <= 'Z') return c + 32;
  if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) return c;
  return ' ';
}

/* U+00C0 to U+017F without accents; a dot where a character stays as it is. */
static const char LATIN[] =
    "aaaaaaaceeeeiiii.nooooo ouuuuy.saaaaaaaceeeeiiii.nooooo ouuuuy.y"
    "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkklllllll"
    "lllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";

/* Letters of other scripts that look like Latin ones. */
static const struct {
  uint16_t from;
  char to;
} LOOKALIKES[] = {
    {0x131, 'i'},  {0x237, 'j'},  {0x251, 'a'},  {0x261, 'g'},  {0x269, 'i'},  {0x26a, 'i'},  {0x274, 'n'},  {0x280, 'r'},  {0x29c, 'h'},
    {0x29f, 'l'},  {0x391, 'a'},  {0x392, 'b'},  {0x395, 'e'},  {0x396, 'z'},  {0x397, 'h'},  {0x399, 'i'},  {0x39a, 'k'},  {0x39c, 'm'},
    {0x39d, 'n'},  {0x39f, 'o'},  {0x3a1, 'p'},  {0x3a4, 't'},  {0x3a5, 'y'},  {0x3a7, 'x'},  {0x3b1, 'a'},  {0x3b5, 'e'},  {0x3b9, 'i'},
    {0x3ba, 'k'},  {0x3bd, 'v'},  {0x3bf, 'o'},  {0x3c1, 'p'},  {0x3c4, 't'},  {0x3c5, 'u'},  {0x3c7, 'x'},  {0x405, 's'},  {0x406, 'i'},
    {0x407, 'i'},  {0x408, 'j'},  {0x410, 'a'},  {0x412, 'b'},  {0x415, 'e'},  {0x41a, 'k'},  {0x41c, 'm'},  {0x41d, 'h'},  {0x41e, 'o'},
    {0x420, 'p'},  {0x421, 'c'},  {0x422, 't'},  {0x423, 'y'},  {0x425, 'x'},  {0x430, 'a'},  {0x432, 'b'},  {0x435, 'e'},  {0x43a, 'k'},
    {0x43c, 'm'},  {0x43d, 'h'},  {0x43e, 'o'},  {0x440, 'p'},  {0x441, 'c'},  {0x442, 't'},  {0x443, 'y'},  {0x445, 'x'},  {0x451, 'e'},
    {0x455, 's'},  {0x456, 'i'},  {0x457, 'i'},  {0x458, 'j'},  {0x4ae, 'y'},  {0x4af, 'y'},  {0x4ba, 'h'},  {0x4bb, 'h'},  {0x4c0, 'i'},
    {0x4cf, 'l'},  {0x501, 'd'},  {0x51b, 'q'},  {0x51d, 'w'},  {0x54f, 's'},  {0x561, 'w'},  {0x566, 'q'},  {0x570, 'h'},  {0x578, 'n'},
    {0x57d, 'u'},  {0x581, 'g'},  {0x585, 'o'},
};

static inline uint32_t fold_lookalike(uint32_t c) {
  int low = 0;
  int high = (int)(sizeof LOOKALIKES / sizeof LOOKALIKES[0]) - 1;
  while (low <= high) {
    int middle = (low + high) / 2;
    if (LOOKALIKES[middle].from == c) return (uint32_t)LOOKALIKES[middle].to;
    if (LOOKALIKES[middle].from < c) low = middle + 1;
    else high = middle - 1;
  }
  // Greek and Cyrillic capitals.
  if ((c >= 0x391 && c <= 0x3a9) || (c >= 0x410 && c <= 0x42f)) return c + 32;
  if (c >= 0x400 && c <= 0x40f) return c + 80;
  return c;
}

static inline uint32_t fold(uint32_t c) {
  if (c < 0x80) return fold_ascii(c);
  if (c == 0xaa) return 'a';
  if (c == 0xba) return 'o';
  if (c == 0xad) return DROP;
  if (c < 0xc0) return ' ';
  if (c < 0x180) {
    uint32_t to = (uint8_t)LATIN[c - 0xc0];
    return to == '.' ? (c == 0xde ? 0xfe : c == 0xd0 ? 0xf0 : c) : to;
  }
  // Accents that stand by themselves.
  if ((c >= 0x300 && c <= 0x36f) || (c >= 0x483 && c <= 0x489) || (c >= 0x1ab0 && c <= 0x1aff) || (c >= 0x1dc0 && c <= 0x1dff)) return DROP;
  if (c < 0x590) return fold_lookalike(c);
  if (c == 0x61c || c == 0x115f || c == 0x1160 || (c >= 0x17b4 && c <= 0x17b5) || (c >= 0x180b && c <= 0x180f)) return DROP;
  if (c < 0x1680) return c;
  if (c == 0x1680) return ' ';
  if (c >= 0x1e00 && c <= 0x1ef9) {
    // In pairs of capital and small, by the letters that they begin with.
    static const struct {
      uint16_t from;
      char to;
    } RUNS[] = {{0x1ef2, 'y'}, {0x1ee4, 'u'}, {0x1ecc, 'o'}, {0x1ec8, 'i'}, {0x1eb8, 'e'}, {0x1ea0, 'a'}, {0x1e90, 'z'}, {0x1e8e, 'y'},
                {0x1e8a, 'x'}, {0x1e80, 'w'}, {0x1e7c, 'v'}, {0x1e72, 'u'}, {0x1e6a, 't'}, {0x1e60, 's'}, {0x1e58, 'r'}, {0x1e54, 'p'},
                {0x1e4c, 'o'}, {0x1e44, 'n'}, {0x1e3e, 'm'}, {0x1e36, 'l'}, {0x1e30, 'k'}, {0x1e2c, 'i'}, {0x1e22, 'h'}, {0x1e20, 'g'},
                {0x1e1e, 'f'}, {0x1e14, 'e'}, {0x1e0a, 'd'}, {0x1e08, 'c'}, {0x1e02, 'b'}, {0x1e00, 'a'}};
    for (int i = 0;; i++)
      if (c >= RUNS[i].from) return (uint32_t)RUNS[i].to;
  }
  if (c >= 0x2000 && c <= 0x206f) return (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) || c >= 0x2060 ? DROP : ' ';
  if (c == 0x212a) return 'k';
  if (c >= 0x20d0 && c <= 0x20ff) return DROP;
  if (c >= 0x2460 && c <= 0x2468) return c - 0x2460 + '1';
  if (c >= 0x249c && c <= 0x24b5) return c - 0x249c + 'a';
  if (c >= 0x24b6 && c <= 0x24cf) return c - 0x24b6 + 'a';
  if (c >= 0x24d0 && c <= 0x24e9) return c - 0x24d0 + 'a';
  if (c == 0x2800 || c == 0x3164 || c == 0xffa0) return DROP;
  if ((c >= 0x2190 && c <= 0x2bff) || (c >= 0x3000 && c <= 0x303f)) return ' ';
  if (c >= 0xfe00 && c <= 0xfe0f) return DROP;
  if (c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb)) return DROP;
  if (c >= 0xff01 && c <= 0xff5e) return fold_ascii(c - 0xfee0);
  if (c == 0xfffd) return ' ';
  // Letters and digits for mathematics: bold, italic, script, and so on, 52 and 10 of each.
  if (c >= 0x1d400 && c <= 0x1d6a3) return 'a' + (c - 0x1d400) % 52 % 26;
  if (c >= 0x1d7ce && c <= 0x1d7ff) return '0' + (c - 0x1d7ce) % 10;
  if (c >= 0x1f130 && c <= 0x1f149) return 'a' + (c - 0x1f130);
  if (c >= 0x1f150 && c <= 0x1f169) return 'a' + (c - 0x1f150);
  if (c >= 0x1f170 && c <= 0x1f189) return 'a' + (c - 0x1f170);
  if (c >= 0x1f1e6 && c <= 0x1f1ff) return 'a' + (c - 0x1f1e6);
  if (c >= 0x1f000 && c <= 0x1faff) return ' ';
  // Tags and further selectors: texts that nobody sees.
  if (c >= 0xe0000 && c <= 0xe007f) return c >= 0xe0020 && c <= 0xe007e ? fold_ascii(c - 0xe0000) : DROP;
  if (c >= 0xe0100 && c <= 0xe01ef) return DROP;
  return c;
}

/* Appends a character in UTF-8, never with more bytes than it has itself. */
static inline char *append_point(char *to, uint32_t c) {
  if (c < 0x80) *to++ = (char)c;
  else if (c < 0x800) {
    *to++ = (char)(0xc0 | c >> 6);
    *to++ = (char)(0x80 | (c & 63));
  } else if (c < 0x10000) {
    *to++ = (char)(0xe0 | c >> 12);
    *to++ = (char)(0x80 | (c >> 6 & 63));
    *to++ = (char)(0x80 | (c & 63));
  } else {
    *to++ = (char)(0xf0 | c >> 18);
    *to++ = (char)(0x80 | (c >> 12 & 63));
    *to++ = (char)(0x80 | (c >> 6 & 63));
    *to++ = (char)(0x80 | (c & 63));
  }
  return to;
}

#endif
