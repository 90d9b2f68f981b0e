/* The line of the sqlite3 shell: see progress.h. The one file that writes to a terminal. */
#include "progress.h"

#include <errno.h> /* program_invocation_short_name */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/sqlite.h"

#define FIRST_SECONDS 1.0
#define BETWEEN_SECONDS 0.25
enum { LINE = 79 }; /* of the narrowest terminal, less the place of the cursor */

static double seconds_between(const struct timespec *from, const struct timespec *to) {
  return (double)(to->tv_sec - from->tv_sec) + 1e-9 * (double)(to->tv_nsec - from->tv_nsec);
}

/* ---- who is there ------------------------------------------------------------------------------------------------ */

static const char *program_name(void) {
#if defined(__linux__)
  return program_invocation_short_name;
#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__)
  return getprogname();
#else
  return NULL;
#endif
}

/* "sqlite3", or "sqlite3-3.49" and the like, but nothing that merely begins so. */
static int is_shell(const char *name) {
  static const char shell[] = "sqlite3";
  size_t length = sizeof shell - 1;
  return name && strncmp(name, shell, length) == 0 && (!name[length] || name[length] == '-' || name[length] == '.');
}

static int is_wanted(void) {
  const char *choice = getenv("RECOMMEND_PROGRESS"), *terminal = getenv("TERM");
  if (choice && strcmp(choice, "0") == 0) return 0;
  return is_shell(program_name()) && isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
}

/* ---- the line ---------------------------------------------------------------------------------------------------- */

void progress_begin(Progress *progress) {
  *progress = (Progress){0};
  clock_gettime(CLOCK_MONOTONIC, &progress->began);
  progress->said = progress->shown = progress->began;
}

void progress_say(Progress *progress, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  sqlite3_vsnprintf(PROGRESS_TEXT, progress->text, format, arguments);
  va_end(arguments);
  progress->share = 0;
  clock_gettime(CLOCK_MONOTONIC, &progress->said);
}

/* Over what is there: blanks follow where it was longer. */
static void write_line(Progress *progress, const char *line) {
  char text[2 * LINE + 3] = "\r";
  int width = (int)strlen(line), blanks = progress->width > width ? progress->width - width : 0;
  memcpy(text + 1, line, (size_t)width);
  memset(text + 1 + width, ' ', (size_t)blanks);
  size_t size = 1 + (size_t)width + (size_t)blanks;
  if (width == 0) text[size++] = '\r';
  if (write(STDERR_FILENO, text, size) < 0) progress->wanted = -1;
  progress->width = width;
}

/* "recommend_cross_validate: 2 of 3, ease_train: 37 %, about 40 s left" */
static void make_line(const Progress *progress, const struct timespec *now, char line[LINE + 1]) {
  const Progress *outer = progress->outer;
  double share = progress->share, passed = seconds_between(&progress->said, now);
  char time[LINE / 2];
  if (share > 0.01 && share <= 1)
    sqlite3_snprintf(sizeof time, time, "%.0f %%, about %.0f s left", 100 * share, passed * (1 - share) / share);
  else
    sqlite3_snprintf(sizeof time, time, "%.0f s", seconds_between(outer ? &outer->began : &progress->began, now));
  sqlite3_snprintf(LINE + 1, line, "%s%s%s, %s", outer ? outer->text : "", outer ? ", " : "", progress->text, time);
}

void progress_show(Progress *progress, const struct timespec *now) {
  const struct timespec *began = progress->outer ? &progress->outer->began : &progress->began;
  char line[LINE + 1];
  if (progress->wanted < 0 || !progress->text[0] || seconds_between(began, now) < FIRST_SECONDS ||
      seconds_between(&progress->shown, now) < BETWEEN_SECONDS)
    return;
  if (progress->wanted == 0) progress->wanted = is_wanted() ? 1 : -1;
  progress->shown = *now;
  if (progress->wanted < 0) return;
  make_line(progress, now, line);
  write_line(progress, line);
}

void progress_hide(Progress *progress) {
  if (progress->width > 0) write_line(progress, "");
}
