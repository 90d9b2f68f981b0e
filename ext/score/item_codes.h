/* A sieve before the scores: most items are shown by eight-bit arithmetic, four times as fast, to be too low.
 *
 * A vector v is v = s c + r, with whole numbers c in -127 … 127, a scale s and a rest r. By Cauchy and Schwarz
 *
 *     |query · item - s s' (c · c')| ≤ ‖r‖ ‖s' c'‖ + ‖query‖ ‖r'‖
 *
 * so that c · c', which is exact, bounds the score from both sides; the bounds leave room for the rounding of
 * item_panel.h and their own. k lower bounds make a threshold, and an item whose upper bound is below it is not among
 * the k best. Those that are left are scored as always: the answer has the same bytes with the sieve and without.
 *
 * Items that are not finite, or absurdly large, have no bound and always pass. A query that is so itself, or that lets
 * too many items pass to be worth it (equal scores, as from a query of zeros), is given up, and the caller scores
 * without the sieve. */
#ifndef RECOMMEND_SCORE_ITEM_CODES_H
#define RECOMMEND_SCORE_ITEM_CODES_H

#include "item_panel.h"

#define CODES_TILE 12  /* queries that are done at once */
#define CODES_MOST 128 /* k at most */

typedef struct ScoreCodes {
  const ScorePanel *panel;
  size_t blocks; /* the panel's, made even: of 16 vectors */
  uint8_t *code; /* 128 + c: code[(block * stride + lane / 4 * 4) * 16 + vector * 4 + lane % 4] */
  float *term;   /* what the bounds are made of, five rows of 16 a block */
  float *most;   /* the largest ‖s c‖ and ‖r‖ of each two blocks */
} ScoreCodes;

/* One query on its way over the items, which must come in ascending order. */
typedef struct CodedQuery {
  float *lower;      /* the k best lower bounds, padded with infinity to a multiple of 16 */
  size_t k, least;   /* which of them is the threshold */
  Scored *candidate; /* upper bounds, in ascending order of index; those below the threshold are out */
  size_t candidates, capacity;
  const uint32_t *excluded, *excluded_end; /* those not yet passed */
  int given_up;                            /* the candidates are not complete */
} CodedQuery;

/* Queries that are done at once, and what is looked at for every item: */
typedef struct CodedTile {
  float scale[16], norm[16], rest[16]; /* s, ‖query‖ and ‖r‖ */
  float threshold[16];                 /* the k-th best lower bound so far, -infinity before there are k */
  int32_t start[16];                   /* less what the 128 in the codes of the items adds to c · c' */
  CodedQuery query[CODES_TILE];        /* lower … excluded_end are the caller's to fill in */
} __attribute__((aligned(64))) CodedTile;

int score_codes_available(void); /* whether this processor can: nothing else may be called where it can't */

/* CODE_OK, CODE_NOMEM or what cancel says; after an error nothing is kept. */
int score_codes_make(ScoreCodes *codes, const ScorePanel *panel, int threads, const Cancel *cancel);
void score_codes_free(ScoreCodes *codes); /* a cleared one is fine */

/* Enters a query at a place of a tile and writes its codes (stride bytes). NULL: nothing, given up. */
void score_codes_query(CodedTile *tile, int place, const float *query, int stride, int8_t *code);

/* Passes the blocks first … end-1, both even, to the queries of `tiles` tiles, with their codes one after the other. */
void score_codes_select(const ScoreCodes *codes, const int8_t *query_code, size_t tiles, size_t first, size_t end,
                        CodedTile *tile);

#endif
