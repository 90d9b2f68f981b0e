/* The arguments of a table function's call, and those that scalar functions have in common with them. All of these are
 * steps: see base/error.h. */
#ifndef RECOMMEND_API_ARGUMENTS_H
#define RECOMMEND_API_ARGUMENTS_H

#include "../data/source.h"
#include "../model/resumable_read.h"
#include "table_function.h"

/* Was it given, and is it not NULL? */
int argument_is_given(const TableCall *call, int argument);

/* k: a whole number from 0, INT64_MAX where it is not given or NULL. */
int64_t argument_k(const TableCall *call, int argument, Error *error);

/* Another whole number from 0; `otherwise` where it is not given or NULL. */
int64_t argument_count(const TableCall *call, int argument, const char *name, int64_t otherwise, Error *error);

/* A text, or NULL where it is not given or NULL. Lives as long as the call's arguments. */
const char *argument_text(const TableCall *call, int argument, Error *error);

/* A source, a table's name or a SELECT, which can't be NULL; to be freed by source_free in either case. */
void argument_source(const TableCall *call, int argument, Source *source, Error *error);

/* The model that is named, or the only one that can answer. It has begun, with *items, which are the caller's to
 * release. NULL where an error is recorded: then there is nothing to be ended. */
Model *argument_model(const TableCall *call, int argument, Ability need, ModelItems **items, Error *error);

/* The same, to be read on from row to row. `reading` is to be ended in either case. */
Model *argument_reading(const TableCall *call, int argument, Ability need, Reading *reading, Error *error);

/* The index of the item whose id it is; DICTIONARY_NONE where there is none. */
uint32_t argument_item(const TableCall *call, int argument, const ModelItems *items, Error *error);

/* The id of a user, with the affinity of the model's; it borrows from the call's arguments. 0: it is NULL. */
int argument_user(const TableCall *call, int argument, const ModelItems *items, Id *id, Error *error);

/* The last three of these (model, item, user) for the arguments of a scalar function; `name` is NULL where no model was
 * given. */
Model *value_model(Connection *connection, const char *caller, Ability need, sqlite3_value *name, ModelItems **items,
                   Error *error);
uint32_t value_item(sqlite3_value *value, const ModelItems *items, Error *error);
int value_user(sqlite3_value *value, const ModelItems *items, Id *id, Error *error);

#endif
