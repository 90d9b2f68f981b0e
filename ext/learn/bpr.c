/* Bayesian personalized ranking (Rendle, Freudenthaler, Gantner & Schmidt-Thieme, "BPR: Bayesian personalized ranking
 * from implicit feedback", UAI 2009): with i an item that user u has, and j one that u does not have,
 *
 *     x = b_i + p·q_i − b_j − p·q_j,    loss = −log σ(x) + λ / 2 (‖p‖² + ‖q_i‖² + ‖q_j‖²) + λ_b / 2 (b_i² + b_j²)
 *
 *     s = σ(−x),  p += γ (s (q_i − q_j) − λ p)        b_i += γ (s − λ_b b_i)
 *                 q_i += γ (s p − λ q_i)              b_j += γ (−s − λ_b b_j)
 *                 q_j += γ (−s p − λ q_j)
 *
 * How i and j are drawn, and what γ is: sampled.c. */
#include "bpr.h"

int bpr_create(Factorizer *factorizer, const SparseMatrix *by_user, const SampledOptions *options, const Cancel *cancel,
               Error *error) {
  SampledOptions pairs = *options;
  pairs.pairs = 1;
  pairs.alpha = 0;
  return sampled_create(factorizer, by_user, sampled_kernels()->pairs, &pairs, cancel, error);
}
