/* The kinds of models, and what they can do: see kind.h. */
#include "kind.h"

#include <string.h>

#include "../base/sqlite.h"

const char *const ability_words[ABILITIES] = {
    [ABILITY_RECOMMEND] = "recommend",
    [ABILITY_PREDICT] = "predict",
    [ABILITY_FOLD_IN] = "fold in",
    [ABILITY_SIMILAR_ITEMS] = "similar items",
    [ABILITY_SIMILAR_USERS] = "similar users",
    [ABILITY_EXPLAIN] = "explain",
    [ABILITY_LIVE] = "live ratings",
    [ABILITY_FORGET] = "forget",
    [ABILITY_NEIGHBORS] = "neighbors",
    [ABILITY_CLUSTERS] = "clusters",
    [ABILITY_TEXT] = "text",
};

#define ROW(kind) &kind,
static const ModelKind *const kinds[] = {MODEL_KINDS(ROW)};
#undef ROW

const ModelKind *kind_find(const char *name) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(kinds[i]->name, name) == 0) return kinds[i];
  return NULL;
}

/* ---- abilities as words ------------------------------------------------------------------------------------------ */

char *abilities_text(unsigned abilities) {
  sqlite3_str *text = sqlite3_str_new(NULL);
  for (int ability = 1; ability < ABILITIES; ability++)
    if (abilities & ABLE(ability))
      sqlite3_str_appendf(text, "%s%s", sqlite3_str_length(text) ? ", " : "", ability_words[ability]);
  return sqlite3_str_finish(text);
}

static int ability_of_word(const char *word, size_t length) {
  for (int ability = 1; ability < ABILITIES; ability++)
    if (strlen(ability_words[ability]) == length && strncmp(ability_words[ability], word, length) == 0) return ability;
  return -1;
}

int64_t abilities_of_text(const char *text) {
  unsigned abilities = 0;
  while (*text) {
    const char *end = strstr(text, ", ");
    int ability = ability_of_word(text, end ? (size_t)(end - text) : strlen(text));
    if (ability < 0) return -1;
    abilities |= ABLE(ability);
    if (!end) break;
    text = end + 2;
  }
  return abilities;
}

/* ---- what a model can do ----------------------------------------------------------------------------------------- */

enum { OF_HISTORIES = ABLE(ABILITY_EXPLAIN) | ABLE(ABILITY_LIVE) };

int ability_is_of_users(Ability ability) {
  return ability == ABILITY_RECOMMEND || ability == ABILITY_PREDICT || ability == ABILITY_SIMILAR_USERS;
}

unsigned kind_abilities(const ModelShape *shape, int64_t users) {
  unsigned abilities = shape->kind->abilities;
  if (shape->prediction_head < 0) abilities &= ~ABLE(ABILITY_PREDICT);
  if (shape->history == HISTORY_NONE) abilities &= ~(unsigned)OF_HISTORIES;
  /* Which users had which items must be known, unless there are no users. */
  if (shape->history == HISTORY_NONE && users) abilities &= ~ABLE(ABILITY_FORGET);
  return shape->kind->lacks ? abilities & ~shape->kind->lacks(shape) : abilities;
}

static const char keeps_no_histories[] =
    "keeps no histories, so that it can't take or remove ratings: train it without \"history\": false, or, if it is "
    "a model of content, with the option \"ratings\"";

/* What to say where the kind has nothing special to say: of what needs histories, that they were not kept. */
static const char *const reasons[ABILITIES] = {
    [ABILITY_ANY] = "",
    [ABILITY_RECOMMEND] = "can't recommend anything",
    [ABILITY_PREDICT] = "was not trained on ratings, and can't predict any",
    [ABILITY_FOLD_IN] = "can't take in a history that it was not trained on",
    [ABILITY_SIMILAR_ITEMS] = "can't compare items",
    [ABILITY_SIMILAR_USERS] = "can't compare users",
    [ABILITY_EXPLAIN] = "keeps no histories, which explanations are made of: train it without \"history\": false",
    [ABILITY_LIVE] = keeps_no_histories,
    [ABILITY_FORGET] = "was trained with \"history\": false, and does not know who had what: it can't forget",
    [ABILITY_NEIGHBORS] = "keeps no neighbours, as knn_train makes them",
    [ABILITY_CLUSTERS] = "has no clusters: name a model that kmeans_train made",
    [ABILITY_TEXT] = "was trained on ratings, not on content: train one with tfidf_train",
};

const char *kind_reason(const ModelShape *shape, Ability ability) {
  const ModelKind *kind = shape->kind;
  unsigned lacks = kind->lacks ? kind->lacks(shape) : 0;
  int could = (kind->abilities & ~lacks & ABLE(ability)) != 0; /* were there histories */
  const char *reason = could || !kind->reason ? NULL : kind->reason(shape, ability);
  return reason ? reason : reasons[ability];
}

int kind_check(const ModelShape *shape, const char *model, Ability ability, Error *error) {
  if (ability == ABILITY_ANY || shape_can(shape, ability)) return CODE_OK;
  return error_set(error, CODE_ERROR, "model \"%s\" %s", model, kind_reason(shape, ability));
}
