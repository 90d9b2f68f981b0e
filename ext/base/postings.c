#include "postings.h"
#include <math.h>
#include "memory.h"
#include "sqlite.h"
int postings_make(Postings *p, SparseMatrix *v, int t, const Cancel *c) { (void)t; (void)c; p->vectors = *v; *v = (SparseMatrix){0}; return 0; }
void postings_free(Postings *p) { sparse_free(&p->vectors); }
int postings_expand(const Postings *p, const PostingsQuery *q, PostingsVector *v) {
  size_t terms = p->vectors.columns;
  double *sum = memory_alloc_zero(terms, sizeof *sum);
  *v = (PostingsVector){0};
  v->weight = memory_alloc_zero(terms, sizeof(float)); v->term = memory_alloc(terms, 4);
  if (!sum || !v->weight || !v->term) { memory_free(sum); postings_vector_free(v); return SQLITE_NOMEM; }
  for (size_t i = 0; i < q->count; i++) { double w = q->weight ? (double)q->weight[i] : 1;
    if (!q->of_items) { sum[q->index[i]] += w; continue; }
    for (size_t e = p->vectors.start[q->index[i]]; e < p->vectors.start[q->index[i] + 1]; e++) sum[p->vectors.index[e]] += w * (double)p->vectors.value[e]; }
  double n = 0;
  for (size_t t = 0; t < terms; t++) { v->weight[t] = (float)sum[t]; if (v->weight[t] != 0) { v->term[v->count++] = (uint32_t)t; n += (double)v->weight[t] * (double)v->weight[t]; } }
  v->norm = sqrt(n); memory_free(sum); return 0; }
void postings_vector_free(PostingsVector *v) { memory_free(v->weight); memory_free(v->term); *v = (PostingsVector){0}; }
float postings_score(const Postings *p, size_t item, const PostingsVector *v) { double s = 0; if (!(v->norm > 0)) return 0;
  for (size_t e = p->vectors.start[item]; e < p->vectors.start[item + 1]; e++) s += (double)p->vectors.value[e] * (double)v->weight[p->vectors.index[e]];
  return (float)(s / v->norm); }
int postings_scores(const Postings *p, const PostingsVector *v, float *s) { for (size_t i = 0; i < p->vectors.rows; i++) s[i] = postings_score(p, i, v); return 0; }
int postings_top_k(const Postings *p, const PostingsQuery *q, size_t n, const Excluded *x, size_t k, Scored *best, size_t *found, int threads, const Cancel *c) {
  (void)threads; (void)c; int code = 0;
  for (size_t i = 0; i < n && !code; i++) { PostingsVector v; code = postings_expand(p, &q[i], &v); TopK top; top_k_init(&top, best + i * k, k); size_t e = 0;
    for (uint32_t j = 0; !code && j < p->vectors.rows; j++) { if (x && e < x[i].count && x[i].index[e] == j) { e++; continue; } top_k_offer(&top, postings_score(p, j, &v), j); }
    found[i] = top_k_sort(&top); postings_vector_free(&v); }
  return code; }
