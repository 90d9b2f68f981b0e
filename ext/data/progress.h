/* How far work is, for a person who waits for it at the sqlite3 shell: one line on the terminal, after the first
 * second, which is gone when the work is done.
 *
 * Only where the program is the sqlite3 shell and stderr a terminal. Any other program may use its terminal for
 * something else, and gets nothing. RECOMMEND_PROGRESS=0 in the environment keeps the shell quiet, too. */
#ifndef RECOMMEND_DATA_PROGRESS_H
#define RECOMMEND_DATA_PROGRESS_H

#include <time.h>

#define PROGRESS_TEXT 60

typedef struct Progress {
  const struct Progress *outer; /* what this work is a part of, whose words come first, or NULL */
  char text[PROGRESS_TEXT];     /* what is done, in words; "": there is nothing to say */
  double share;                 /* how much of that is done; 0: nobody knows. The work writes it as it goes */
  struct timespec began, said, shown;
  int wanted; /* 1 and -1: yes and no; 0: nobody has asked yet */
  int width;  /* of the line on the terminal; 0: there is none */
} Progress;

void progress_begin(Progress *progress);

/* Says what is done from now on, in the words of sqlite3_mprintf; its share is 0. */
void progress_say(Progress *progress, const char *format, ...);

/* Shows the line if it is time, four times a second: to be called every millisecond or so, on one thread. */
void progress_show(Progress *progress, const struct timespec *now);

/* Takes the line away, if there is one: before anything else is printed, and at the end. */
void progress_hide(Progress *progress);

#endif
