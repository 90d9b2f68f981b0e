/* How long work learns that the user wants it stopped.
 *
 * `poll` is called on the thread that started the work, as often as the work likes: it keeps the clock itself and
 * costs some 30 ns. A code other than CODE_OK (CODE_INTERRUPT as a rule) ends the work, which returns that code. */
#ifndef RECOMMEND_BASE_CANCEL_H
#define RECOMMEND_BASE_CANCEL_H

typedef struct Cancel {
  int (*poll)(void *context); /* NULL: never cancelled */
  void *context;
} Cancel;

static inline int cancel_poll(const Cancel *cancel) {
  return cancel && cancel->poll ? cancel->poll(cancel->context) : 0;
}

#endif
