/* How far apart two words are, for "did you mean …?". */
#ifndef RECOMMEND_BASE_EDIT_DISTANCE_H
#define RECOMMEND_BASE_EDIT_DISTANCE_H

/* Letters to insert, delete, change or swap with their neighbour to make b of a, in any case of letters (the optimal
 * string alignment distance, after Damerau 1964). Large for words longer than 63: those are no typing errors. */
int nearest_distance(const char *a, const char *b);

/* The largest distance at which one may have been meant for the other. */
int nearest_limit(const char *word);

#endif
