/* Counting the terms of many texts on all cores: a step inside documents_read. */
#ifndef RECOMMEND_DATA_TERM_COUNTS_H
#define RECOMMEND_DATA_TERM_COUNTS_H

#include "documents.h"

typedef struct TermCounter TermCounter;

int term_counter_create(TermCounter **counter, sqlite3 *db, const DocumentOptions *options, const Cancel *cancel,
                        Error *error);
void term_counter_destroy(TermCounter *counter); /* NULL is fine */

/* One text of row `row`, copied. Rows come in order, 0, 1, …, and each is ended. */
int term_counter_add(TermCounter *counter, const char *text, size_t size, Error *error);
int term_counter_end_row(TermCounter *counter, Error *error);

/* Fills documents->terms, counts and words. row_item says to which item each row belongs (DICTIONARY_NONE: it does not
 * count); the terms of an item's rows are added up. */
int term_counter_finish(TermCounter *counter, const uint32_t *row_item, size_t rows, Documents *documents,
                        Error *error);

#endif
