/* A WASI command that uses what a C library offers: arguments, environment, input, files, folders, links, sleep. */
#define _GNU_SOURCE /* for usleep and strdup, which -std=c17 hides */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int failed(const char *what) {
  printf("%s: %s\n", what, strerror(errno));
  return 0;
}

static int by_name(const void *one, const void *other) {
  return strcmp(*(char *const *)one, *(char *const *)other);
}

static void list(const char *path) {
  char *names[64];
  size_t count = 0;
  DIR *folder = opendir(path);
  if (!folder) {
    failed(path);
    return;
  }
  for (struct dirent *entry; count < 64 && (entry = readdir(folder));) names[count++] = strdup(entry->d_name);
  closedir(folder);
  qsort(names, count, sizeof *names, by_name);
  printf("%s:", path);
  for (size_t index = 0; index < count; index++) {
    printf(" %s", names[index]);
    free(names[index]);
  }
  printf("\n");
}

static int files(void) {
  char line[64];
  struct stat found;
  FILE *file = fopen("notes.txt", "w+");
  if (!file) return failed("notes.txt");
  for (int index = 1; index <= 3; index++) fprintf(file, "line %d\n", index);
  fseek(file, 7, SEEK_SET);
  if (fgets(line, sizeof line, file)) printf("read back: %s", line);
  fclose(file);
  file = fopen("notes.txt", "a");
  if (!file) return failed("notes.txt");
  fputs("line 4\n", file);
  fclose(file);
  if (stat("notes.txt", &found) == 0) printf("size: %lld\n", (long long)found.st_size);
  if (truncate("notes.txt", 6) == 0 && stat("notes.txt", &found) == 0) printf("cut to: %lld\n", (long long)found.st_size);
  if (mkdir("made", 0777)) failed("mkdir");
  if (rename("notes.txt", "made/moved.txt")) failed("rename");
  if (symlink("made/moved.txt", "short")) failed("symlink");
  ssize_t length = readlink("short", line, sizeof line);
  if (length > 0) printf("link: %.*s\n", (int)length, line);
  list(".");
  list("made");
  file = fopen("short", "r");
  if (file && fgets(line, sizeof line, file)) printf("through the link: %s\n", line);
  if (file) fclose(file);
  if (rmdir("made") == 0 || errno != ENOTEMPTY) printf("a full folder was removed\n");
  if (unlink("made/moved.txt") || unlink("short") || rmdir("made")) failed("clean up");
  list(".");
  return 1;
}

int main(int count, char **values) {
  char line[128];
  struct timespec before, after;
  for (int index = 0; index < count; index++) printf("argument %d: %s\n", index, values[index]);
  for (char **entry = environ; *entry; entry++) printf("environment: %s\n", *entry);
  for (int index = 1; fgets(line, sizeof line, stdin); index++) printf("input %d: %s", index, line);
  if (count > 1) {
    if (chdir(values[1])) failed(values[1]);
    else files();
  }
  if (!fopen("/etc/passwd", "r")) failed("/etc/passwd");
  clock_gettime(CLOCK_MONOTONIC, &before);
  usleep(3000);
  clock_gettime(CLOCK_MONOTONIC, &after);
  long long slept = (after.tv_sec - before.tv_sec) * 1000LL + (after.tv_nsec - before.tv_nsec) / 1000000;
  printf("slept: %s\n", slept >= 2 ? "yes" : "no");
  fprintf(stderr, "done\n");
  return count > 2 ? atoi(values[2]) : 0;
}
