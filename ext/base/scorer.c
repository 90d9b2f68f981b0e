/* Whichever kind of items: see scorer.h. */
#include "scorer.h"

#include "sqlite.h"

int scorer_scores(const Scorer *scorer, const Queries *queries, size_t query, float *scores) {
  if (scorer->panel) {
    score_panel_scores(scorer->panel, queries->vector + query * (size_t)scorer->panel->stride, scores);
    return SQLITE_OK;
  }
  if (scorer->links) {
    links_scores(scorer->links, &queries->sparse[query], scores);
    return SQLITE_OK;
  }
  PostingsVector spread;
  int code = postings_expand(scorer->postings, &queries->sparse[query], &spread);
  if (code == SQLITE_OK) code = postings_scores(scorer->postings, &spread, scores, 1, NULL);
  postings_vector_free(&spread);
  return code;
}

int scorer_top_k(const Scorer *scorer, const Queries *queries, const Excluded *excluded, size_t k, Scored *best,
                 size_t *found, int threads, const Cancel *cancel) {
  size_t count = queries->count;
  if (scorer->panel)
    return score_panel_top_k(scorer->panel, queries->vector, count, excluded, k, best, found, threads, cancel);
  if (scorer->links)
    return links_top_k(scorer->links, queries->sparse, count, excluded, k, best, found, threads, cancel);
  return postings_top_k(scorer->postings, queries->sparse, count, excluded, k, best, found, threads, cancel);
}
