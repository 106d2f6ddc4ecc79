/* Nine compute kernels without imports, for metering benchmarks; the same algorithms and checksums
 * as kernels.rs and kernels.ts. */
#include <stddef.h>
#include <stdint.h>

#include "heap.h"
#include "sha256_digest.h"

#define EXPORT(name) __attribute__((export_name(#name)))
#define NOINLINE __attribute__((noinline))

/* ---- Shared: checksum, random numbers, growable text ---- */

#define HASH_START 2166136261u
#define HASH_PRIME 16777619u
#define RANDOM_SEED 2463534242u

static inline uint32_t mix(uint32_t hash, uint32_t value) {
  return (hash ^ value) * HASH_PRIME;
}

/* xorshift32 */
static inline uint32_t next_random(uint32_t *state) {
  uint32_t x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}

typedef struct {
  char *bytes;
  uint32_t length;
  uint32_t capacity;
} string;

static void string_reserve(string *s, uint32_t capacity) {
  if (capacity <= s->capacity) return;
  uint32_t larger = s->capacity * 2 > capacity ? s->capacity * 2 : capacity;
  if (larger < 16) larger = 16;
  char *bytes = heap_take(larger);
  for (uint32_t i = 0; i < s->length; i++) bytes[i] = s->bytes[i];
  s->bytes = bytes;
  s->capacity = larger;
}

static inline void string_push(string *s, char byte) {
  string_reserve(s, s->length + 1);
  s->bytes[s->length++] = byte;
}

static void string_append(string *s, const char *text) {
  while (*text != 0) string_push(s, *text++);
}

static void string_append_decimal(string *s, uint32_t value) {
  char digits[10];
  int count = 0;
  do {
    digits[count++] = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (count > 0) string_push(s, digits[--count]);
}

static uint32_t mix_text(uint32_t hash, const char *bytes, uint32_t length) {
  for (uint32_t i = 0; i < length; i++) hash = mix(hash, (uint8_t)bytes[i]);
  return hash;
}

/* ---- sieve: primes below n ---- */

EXPORT(sieve) int32_t sieve(int32_t n) {
  heap_reset();
  uint8_t *composite = heap_take((size_t)n);
  for (int32_t i = 0; i < n; i++) composite[i] = 0;
  uint32_t count = 0;
  uint32_t sum = 0;
  for (int32_t i = 2; i < n; i++) {
    if (composite[i]) continue;
    count++;
    sum += (uint32_t)i;
    if (i > n / i) continue;
    for (int32_t j = i * i; j < n; j += i) composite[j] = 1;
  }
  return (int32_t)mix(sum, count);
}

/* ---- fib: the naive recursion ---- */

/* The mask keeps the sum from being turned into a loop by tail recursion elimination. */
static NOINLINE uint32_t fib_recursive(uint32_t n) {
  if (n < 2) return n;
  return (fib_recursive(n - 1) + fib_recursive(n - 2)) & 0x7fffffff;
}

EXPORT(fib) int32_t fib(int32_t n) {
  return (int32_t)fib_recursive((uint32_t)n);
}

/* ---- matmul: two n by n matrices of doubles ---- */

EXPORT(matmul) int32_t matmul(int32_t n) {
  heap_reset();
  size_t cells = (size_t)n * (size_t)n;
  double *a = heap_take(cells * sizeof(double));
  double *b = heap_take(cells * sizeof(double));
  double *c = heap_take(cells * sizeof(double));
  for (int32_t i = 0; i < n; i++) {
    for (int32_t j = 0; j < n; j++) {
      a[i * n + j] = (i * 7 + j * 3) % 17 - 8;
      b[i * n + j] = (i * 5 + j * 11) % 19 - 9;
    }
  }
  for (int32_t i = 0; i < n; i++) {
    for (int32_t j = 0; j < n; j++) {
      double sum = 0;
      for (int32_t k = 0; k < n; k++) sum += a[i * n + k] * b[k * n + j];
      c[i * n + j] = sum;
    }
  }
  uint32_t hash = HASH_START;
  for (size_t i = 0; i < cells; i++) hash = mix(hash, (uint32_t)(int32_t)c[i]);
  return (int32_t)hash;
}

/* ---- mandelbrot: n by n points, at most 64 steps each ---- */

static uint32_t mandelbrot_steps(double cr, double ci) {
  double zr = 0;
  double zi = 0;
  uint32_t steps = 0;
  while (steps < 64 && zr * zr + zi * zi <= 4.0) {
    double next = zr * zr - zi * zi + cr;
    zi = 2.0 * zr * zi + ci;
    zr = next;
    steps++;
  }
  return steps;
}

EXPORT(mandelbrot) int32_t mandelbrot(int32_t n) {
  uint32_t hash = HASH_START;
  for (int32_t y = 0; y < n; y++) {
    double ci = 2.0 * y / n - 1.0;
    for (int32_t x = 0; x < n; x++) hash = mix(hash, mandelbrot_steps(3.0 * x / n - 2.0, ci));
  }
  return (int32_t)hash;
}

/* ---- sha256: the first word of the digest of n random bytes ---- */

EXPORT(sha256) int32_t sha256(int32_t n) {
  heap_reset();
  uint8_t *message = heap_take((size_t)n);
  uint32_t random = RANDOM_SEED;
  for (int32_t i = 0; i < n; i++) message[i] = (uint8_t)next_random(&random);
  sha256_digest digest;
  sha256_start(&digest);
  sha256_update(&digest, message, (size_t)n);
  sha256_finish(&digest);
  return (int32_t)digest.state[0];
}

/* ---- json_parse: a text of n records into a tree, then a walk over the tree ---- */

typedef enum { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } json_kind;

typedef struct json {
  json_kind kind;
  uint32_t count;
  double number;
  string text;
  string key;
  struct json *first;
  struct json *next;
} json;

typedef struct {
  const char *text;
  uint32_t at;
  uint32_t length;
} json_parser;

static void json_record(string *out, uint32_t i) {
  string_append(out, "{\"id\": ");
  string_append_decimal(out, i);
  string_append(out, ", \"name\": \"item ");
  string_append_decimal(out, i * 7);
  string_append(out, "\", \"price\": ");
  string_append_decimal(out, i % 1000);
  string_append(out, ".");
  string_append_decimal(out, 10 + i % 90);
  string_append(out, ", \"delta\": -");
  string_append_decimal(out, i % 50);
  string_append(out, "e-1, \"tags\": [\"t");
  string_append_decimal(out, i % 7);
  string_append(out, "\", \"two\\nlines\", \"\\u0041 \\\"quote\\\"\"], \"active\": ");
  string_append(out, i % 3 == 0 ? "true" : "false");
  string_append(out, ", \"parent\": null}");
}

static char json_peek(const json_parser *p) {
  return p->at < p->length ? p->text[p->at] : 0;
}

static void json_skip_space(json_parser *p) {
  char c = json_peek(p);
  while (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
    p->at++;
    c = json_peek(p);
  }
}

static void json_expect(json_parser *p, char c) {
  if (json_peek(p) != c) __builtin_trap();
  p->at++;
}

static void json_expect_word(json_parser *p, const char *word) {
  while (*word != 0) json_expect(p, *word++);
}

static uint32_t json_hex4(json_parser *p) {
  uint32_t code = 0;
  for (int i = 0; i < 4; i++) {
    char c = json_peek(p);
    p->at++;
    if (c >= '0' && c <= '9') code = code * 16 + (uint32_t)(c - '0');
    else if (c >= 'a' && c <= 'f') code = code * 16 + (uint32_t)(c - 'a' + 10);
    else if (c >= 'A' && c <= 'F') code = code * 16 + (uint32_t)(c - 'A' + 10);
    else __builtin_trap();
  }
  return code;
}

static void push_utf8(string *s, uint32_t code) {
  if (code < 0x80) {
    string_push(s, (char)code);
  } else if (code < 0x800) {
    string_push(s, (char)(0xc0 | code >> 6));
    string_push(s, (char)(0x80 | (code & 63)));
  } else {
    string_push(s, (char)(0xe0 | code >> 12));
    string_push(s, (char)(0x80 | (code >> 6 & 63)));
    string_push(s, (char)(0x80 | (code & 63)));
  }
}

static void json_escape(json_parser *p, string *out) {
  char c = json_peek(p);
  p->at++;
  switch (c) {
    case 'n': string_push(out, '\n'); return;
    case 't': string_push(out, '\t'); return;
    case 'r': string_push(out, '\r'); return;
    case 'b': string_push(out, '\b'); return;
    case 'f': string_push(out, '\f'); return;
    case '"':
    case '\\':
    case '/': string_push(out, c); return;
    case 'u': push_utf8(out, json_hex4(p)); return;
    default: __builtin_trap();
  }
}

static string json_string(json_parser *p) {
  string out = {0};
  json_expect(p, '"');
  for (;;) {
    char c = json_peek(p);
    if (c == 0) __builtin_trap();
    p->at++;
    if (c == '"') return out;
    if (c == '\\') json_escape(p, &out);
    else string_push(&out, c);
  }
}

static int32_t json_exponent(json_parser *p) {
  p->at++;
  int32_t sign = 1;
  char c = json_peek(p);
  if (c == '-' || c == '+') {
    if (c == '-') sign = -1;
    p->at++;
  }
  int32_t exponent = 0;
  for (c = json_peek(p); c >= '0' && c <= '9'; c = json_peek(p)) {
    exponent = exponent * 10 + (c - '0');
    p->at++;
  }
  return sign * exponent;
}

static double json_number(json_parser *p) {
  double sign = 1;
  if (json_peek(p) == '-') {
    sign = -1;
    p->at++;
  }
  double value = 0;
  int32_t exponent = 0;
  int32_t step = 0;
  for (;;) {
    char c = json_peek(p);
    if (c == '.') step = 1;
    else if (c >= '0' && c <= '9') {
      value = value * 10 + (c - '0');
      exponent -= step;
    } else break;
    p->at++;
  }
  if (json_peek(p) == 'e' || json_peek(p) == 'E') exponent += json_exponent(p);
  for (; exponent > 0; exponent--) value *= 10;
  for (; exponent < 0; exponent++) value /= 10;
  return sign * value;
}

static json *json_value(json_parser *p);

/* The members of an array or, with keys, of an object. */
static void json_members(json_parser *p, json *parent, char close) {
  json **link = &parent->first;
  p->at++;
  json_skip_space(p);
  if (json_peek(p) == close) {
    p->at++;
    return;
  }
  for (;;) {
    string key = {0};
    json_skip_space(p);
    if (close == '}') {
      key = json_string(p);
      json_skip_space(p);
      json_expect(p, ':');
    }
    json *member = json_value(p);
    member->key = key;
    *link = member;
    link = &member->next;
    parent->count++;
    json_skip_space(p);
    if (json_peek(p) == close) break;
    json_expect(p, ',');
  }
  p->at++;
}

static json *json_value(json_parser *p) {
  json *value = heap_take(sizeof(json));
  *value = (json){0};
  json_skip_space(p);
  switch (json_peek(p)) {
    case 'n':
      value->kind = JSON_NULL;
      json_expect_word(p, "null");
      break;
    case 'f':
      value->kind = JSON_FALSE;
      json_expect_word(p, "false");
      break;
    case 't':
      value->kind = JSON_TRUE;
      json_expect_word(p, "true");
      break;
    case '"':
      value->kind = JSON_STRING;
      value->text = json_string(p);
      break;
    case '[':
      value->kind = JSON_ARRAY;
      json_members(p, value, ']');
      break;
    case '{':
      value->kind = JSON_OBJECT;
      json_members(p, value, '}');
      break;
    default:
      value->kind = JSON_NUMBER;
      value->number = json_number(p);
  }
  return value;
}

static uint32_t json_checksum(uint32_t hash, const json *value) {
  hash = mix(hash, value->kind);
  if (value->kind == JSON_NUMBER) return mix(hash, (uint32_t)(int32_t)(value->number * 100));
  if (value->kind == JSON_STRING) {
    return mix_text(mix(hash, value->text.length), value->text.bytes, value->text.length);
  }
  if (value->kind < JSON_ARRAY) return hash;
  hash = mix(hash, value->count);
  for (const json *member = value->first; member != 0; member = member->next) {
    hash = json_checksum(mix_text(hash, member->key.bytes, member->key.length), member);
  }
  return hash;
}

EXPORT(json_parse) int32_t json_parse(int32_t n) {
  heap_reset();
  string text = {0};
  string_push(&text, '[');
  for (int32_t i = 0; i < n; i++) {
    if (i > 0) string_append(&text, ",\n");
    json_record(&text, (uint32_t)i);
  }
  string_push(&text, ']');
  json_parser parser = {text.bytes, 0, text.length};
  return (int32_t)json_checksum(HASH_START, json_value(&parser));
}

/* ---- regex: Thompson's matcher, four patterns over n generated log lines ---- */

typedef enum { RE_BYTE, RE_ANY, RE_CLASS, RE_SPLIT, RE_JUMP, RE_MATCH } re_operation;

/* Jumps are relative, so that code can be moved when an operator follows its operand. */
typedef struct {
  re_operation operation;
  int32_t first;
  int32_t second;
} re_instruction;

#define RE_MAX 96
#define RE_CLASSES 8

typedef struct {
  re_instruction code[RE_MAX];
  int32_t length;
  uint8_t classes[RE_CLASSES][256];
  int32_t class_count;
  const char *pattern;
} re_program;

static void re_emit(re_program *re, re_operation operation, int32_t first, int32_t second) {
  if (re->length == RE_MAX) __builtin_trap();
  re->code[re->length++] = (re_instruction){operation, first, second};
}

static void re_insert(re_program *re, int32_t at, re_operation operation, int32_t first, int32_t second) {
  re_emit(re, RE_MATCH, 0, 0);
  for (int32_t i = re->length - 1; i > at; i--) re->code[i] = re->code[i - 1];
  re->code[at] = (re_instruction){operation, first, second};
}

static void re_class(re_program *re) {
  if (re->class_count == RE_CLASSES) __builtin_trap();
  uint8_t *set = re->classes[re->class_count];
  for (int i = 0; i < 256; i++) set[i] = 0;
  while (*re->pattern != ']') {
    uint8_t from = (uint8_t)*re->pattern++;
    uint8_t to = from;
    if (*re->pattern == '-') {
      to = (uint8_t)re->pattern[1];
      re->pattern += 2;
    }
    for (uint32_t c = from; c <= to; c++) set[c] = 1;
  }
  re->pattern++;
  re_emit(re, RE_CLASS, re->class_count++, 0);
}

static void re_alternatives(re_program *re);

static void re_atom(re_program *re) {
  char c = *re->pattern++;
  if (c == '(') {
    re_alternatives(re);
    re->pattern++;
  } else if (c == '[') {
    re_class(re);
  } else if (c == '.') {
    re_emit(re, RE_ANY, 0, 0);
  } else {
    if (c == '\\') c = *re->pattern++;
    re_emit(re, RE_BYTE, (uint8_t)c, 0);
  }
}

static void re_repeat(re_program *re) {
  int32_t start = re->length;
  re_atom(re);
  int32_t length = re->length - start;
  char c = *re->pattern;
  if (c == '*') {
    re_insert(re, start, RE_SPLIT, 1, length + 2);
    re_emit(re, RE_JUMP, -(length + 1), 0);
  } else if (c == '+') {
    re_emit(re, RE_SPLIT, -length, 1);
  } else if (c == '?') {
    re_insert(re, start, RE_SPLIT, 1, length + 1);
  } else {
    return;
  }
  re->pattern++;
}

static void re_alternatives(re_program *re) {
  int32_t start = re->length;
  while (*re->pattern != 0 && *re->pattern != ')' && *re->pattern != '|') re_repeat(re);
  if (*re->pattern != '|') return;
  re->pattern++;
  re_insert(re, start, RE_SPLIT, 1, re->length - start + 2);
  int32_t jump = re->length;
  re_emit(re, RE_JUMP, 0, 0);
  re_alternatives(re);
  re->code[jump].first = re->length - jump;
}

static void re_compile(re_program *re, const char *pattern) {
  re->length = 0;
  re->class_count = 0;
  re->pattern = pattern;
  re_alternatives(re);
  re_emit(re, RE_MATCH, 0, 0);
}

typedef struct {
  int32_t at[RE_MAX];
  int32_t count;
} re_threads;

/* `seen` holds the position at which each instruction was last added, plus one. */
static void re_add(const re_program *re, re_threads *threads, int32_t *seen, int32_t at, int32_t mark) {
  if (seen[at] == mark) return;
  seen[at] = mark;
  const re_instruction *i = &re->code[at];
  if (i->operation == RE_JUMP) {
    re_add(re, threads, seen, at + i->first, mark);
  } else if (i->operation == RE_SPLIT) {
    re_add(re, threads, seen, at + i->first, mark);
    re_add(re, threads, seen, at + i->second, mark);
  } else {
    threads->at[threads->count++] = at;
  }
}

static int re_accepts(const re_program *re, const re_instruction *i, uint8_t byte) {
  if (i->operation == RE_BYTE) return i->first == byte;
  if (i->operation == RE_ANY) return 1;
  return i->operation == RE_CLASS && re->classes[i->first][byte];
}

/* Where the match that ends first ends, or -1. */
static int32_t re_search(const re_program *re, const char *text, int32_t length) {
  re_threads lists[2];
  re_threads *now = &lists[0];
  re_threads *then = &lists[1];
  int32_t seen[RE_MAX] = {0};
  now->count = 0;
  for (int32_t at = 0; at <= length; at++) {
    re_add(re, now, seen, 0, at + 1);
    then->count = 0;
    for (int32_t t = 0; t < now->count; t++) {
      const re_instruction *i = &re->code[now->at[t]];
      if (i->operation == RE_MATCH) return at;
      if (at < length && re_accepts(re, i, (uint8_t)text[at])) re_add(re, then, seen, now->at[t] + 1, at + 2);
    }
    re_threads *swap = now;
    now = then;
    then = swap;
  }
  return -1;
}

static void append_letters(string *s, uint32_t *random, uint32_t count, uint32_t letters) {
  for (uint32_t i = 0; i < count; i++) string_push(s, (char)('a' + next_random(random) % letters));
}

static void log_line(string *line, uint32_t *random) {
  static const char *const methods[3] = {"GET", "POST", "PUT"};
  static const char *const codes[3] = {"200", "404", "503"};
  static const char *const domains[3] = {"com", "org", "io"};
  line->length = 0;
  string_append(line, methods[next_random(random) % 3]);
  string_append(line, " /");
  append_letters(line, random, 3 + next_random(random) % 8, 26);
  string_append(line, "?id=");
  string_append_decimal(line, next_random(random) % 10000);
  string_append(line, " ");
  string_append(line, codes[next_random(random) % 3]);
  string_append(line, " ");
  append_letters(line, random, 4, 26);
  string_append(line, "@");
  append_letters(line, random, 5, 26);
  string_append(line, ".");
  string_append(line, domains[next_random(random) % 3]);
  string_append(line, " ");
  append_letters(line, random, 12, 2);
}

EXPORT(regex) int32_t regex(int32_t n) {
  static const char *const patterns[4] = {"(GET|POST) /[a-z]*\\?id=[0-9]+ ", "[a-z]+@[a-z]+\\.(com|org)",
                                          " 5[0-9][0-9] .*b?a", "(a|b)*abb(ab)+"};
  heap_reset();
  re_program *programs = heap_take(4 * sizeof(re_program));
  for (int i = 0; i < 4; i++) re_compile(&programs[i], patterns[i]);
  uint32_t random = RANDOM_SEED;
  uint32_t hash = HASH_START;
  string line = {0};
  for (int32_t i = 0; i < n; i++) {
    log_line(&line, &random);
    for (int k = 0; k < 4; k++) hash = mix(hash, (uint32_t)re_search(&programs[k], line.bytes, (int32_t)line.length));
  }
  return (int32_t)hash;
}

/* ---- sort: quicksort of n random integers ---- */

static void insertion_sort(int32_t *values, int32_t low, int32_t high) {
  for (int32_t i = low + 1; i <= high; i++) {
    int32_t value = values[i];
    int32_t j = i - 1;
    while (j >= low && values[j] > value) {
      values[j + 1] = values[j];
      j--;
    }
    values[j + 1] = value;
  }
}

static void quicksort(int32_t *values, int32_t low, int32_t high) {
  if (high - low < 16) {
    insertion_sort(values, low, high);
    return;
  }
  int32_t pivot = values[low + (high - low) / 2];
  int32_t i = low;
  int32_t j = high;
  while (i <= j) {
    while (values[i] < pivot) i++;
    while (values[j] > pivot) j--;
    if (i > j) break;
    int32_t swap = values[i];
    values[i++] = values[j];
    values[j--] = swap;
  }
  quicksort(values, low, j);
  quicksort(values, i, high);
}

EXPORT(sort) int32_t sort(int32_t n) {
  heap_reset();
  int32_t *values = heap_take((size_t)n * sizeof(int32_t));
  uint32_t random = RANDOM_SEED;
  for (int32_t i = 0; i < n; i++) values[i] = (int32_t)next_random(&random);
  quicksort(values, 0, n - 1);
  uint32_t hash = HASH_START;
  for (int32_t i = 0; i < n; i++) hash = mix(hash, (uint32_t)values[i]);
  return (int32_t)hash;
}

/* ---- string_build: n short strings joined into lines, each line hashed ---- */

EXPORT(string_build) int32_t string_build(int32_t n) {
  heap_reset();
  uint32_t random = RANDOM_SEED;
  uint32_t hash = HASH_START;
  string line = {0};
  string item = {0};
  for (int32_t i = 0; i < n; i++) {
    item.length = 0;
    string_append(&item, "item-");
    string_append_decimal(&item, (uint32_t)i);
    string_append(&item, ":");
    string_append_decimal(&item, next_random(&random));
    string_append(&item, ";");
    for (uint32_t k = 0; k < item.length; k++) string_push(&line, item.bytes[k]);
    if (line.length < 256) continue;
    hash = mix_text(hash, line.bytes, line.length);
    line.length = 0;
  }
  return (int32_t)mix_text(hash, line.bytes, line.length);
}
