/* Counts lines, words and bytes of the files in its arguments, or of its input: a program for WASI, with the C library. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  unsigned long lines, words, bytes;
} Counts;

static Counts count(FILE *file) {
  Counts counts = {0};
  bool inside = false;
  for (int byte; (byte = getc(file)) != EOF;) {
    bool blank = isspace(byte) != 0;
    counts.words += inside && blank;
    counts.lines += byte == '\n';
    counts.bytes++;
    inside = !blank;
  }
  counts.words += inside;
  return counts;
}

static void print(Counts counts, const char *name) {
  printf("%7lu %7lu %7lu%s%s\n", counts.lines, counts.words, counts.bytes, *name == 0 ? "" : "  ", name);
}

static bool complain(const char *program, const char *name) {
  fprintf(stderr, "%s: %s: %s\n", program, name, strerror(errno));
  return false;
}

static bool count_file(const char *program, const char *name) {
  FILE *file = fopen(name, "r");
  if (file == NULL) return complain(program, name);
  Counts counts = count(file);
  bool read = ferror(file) == 0 || complain(program, name);
  fclose(file);
  if (read) print(counts, name);
  return read;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    Counts counts = count(stdin);
    if (ferror(stdin) != 0) return !complain(argc == 0 ? "" : argv[0], "input");
    print(counts, "");
    return 0;
  }
  bool all = true;
  for (int index = 1; index < argc; index++) all &= count_file(argv[0], argv[index]);
  return all ? 0 : 1;
}
