#include "tfidf.h"
int latent_begin(Training *training, TfidfState *state, Error *error) { (void)training; (void)state; return error_set(error, SQLITE_ERROR, "not yet"); }
int latent_step(Training *training, TfidfState *state, float **item_vectors, FitRow *row, int *done, Error *error) { (void)training; (void)state; (void)item_vectors; (void)row; (void)done; return error_set(error, SQLITE_ERROR, "not yet"); }
void latent_end(TfidfState *state) { (void)state; }
