/* Logistic matrix factorization (Johnson, "Logistic matrix factorization for implicit feedback data", NIPS workshop
 * 2014): with x = b_u + b_i + p·q, the log-odds of user u having item i,
 *
 *     loss = Σ_has −(1 + α r) log σ(x) + Σ_has not −log σ(−x) + λ / 2 (‖p‖² + ‖q‖²) + λ_b / 2 (b_u² + b_i²)
 *
 *     s = (1 + α r) σ(−x) or −σ(x),    p += γ (s q − λ p)    b_u += γ (s − λ_b b_u)
 *                                      q += γ (s p − λ q)    b_i += γ (s − λ_b b_i)
 *
 * In place of all cells that a user does not have, `negatives` of them are drawn for each one that the user has, anew
 * in each epoch. How they are drawn, and what γ is: sampled.c. */
#include "logistic.h"

int logistic_create(Factorizer *factorizer, const SparseMatrix *by_user, const SampledOptions *options,
                    const Cancel *cancel, Error *error) {
  SampledOptions cells = *options;
  cells.pairs = 0;
  return sampled_create(factorizer, by_user, sampled_kernels()->cells, &cells, cancel, error);
}
