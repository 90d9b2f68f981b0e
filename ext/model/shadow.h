/* The shadow tables of a model: their names and their making, and the one way to run SQL on them.
 *
 *   m_config        key, value                     what the model is: see config.c
 *   m_user, m_item  idx, id, n[, history]          the dictionaries
 *   m_userfactor, m_itemfactor  chunk, n, data   64 vectors a row
 *   m_term      idx, term, df, idf                 the words of models of content
 *   m_weight    name, shape, data                  their vectors; weights between items
 *   m_neighbor  idx, n, data                       the nearest of each item or user
 *
 * Every model has all of them, whatever its family. */
#ifndef RECOMMEND_MODEL_SHADOW_H
#define RECOMMEND_MODEL_SHADOW_H

#include "../data/database_error.h"

/* Where a model lives. Both borrowed. */
typedef struct ModelName {
  const char *schema; /* "main" */
  const char *name;   /* "ratings_mf" */
} ModelName;

/* Runs one or more statements. `format` is sqlite3_mprintf's. */
int shadow_execute(sqlite3 *db, Error *error, const char *format, ...);

/* Prepares a statement whose text names shadow tables; a missing table or column is SQLITE_CORRUPT_VTAB. Whatever else
 * SQLite finds wrong, a limit or an authorizer say, it says itself. */
int shadow_prepare(sqlite3 *db, ModelName model, sqlite3_stmt **statement, Error *error, const char *format, ...);

/* Records what such a statement, whose text is `sql`, failed with when it was prepared or stepped. */
int shadow_failed(sqlite3 *db, ModelName model, const char *sql, int code, Error *error);

/* SQLITE_CORRUPT_VTAB and: model "m" is damaged: <format>. */
int shadow_damaged(Error *error, ModelName model, const char *format, ...);

int shadow_is_suffix(const char *suffix); /* for xShadowName: 1 for "config", "user", … */

/* SQLITE_ERROR where one of the tables' names is taken already, by whatever. */
int shadow_create(sqlite3 *db, ModelName model, Error *error);
int shadow_clear(sqlite3 *db, ModelName model, Error *error); /* empties them all */
int shadow_drop(sqlite3 *db, ModelName model, Error *error);  /* those that are there */
int shadow_rename(sqlite3 *db, ModelName model, const char *new_name, Error *error);

#endif
