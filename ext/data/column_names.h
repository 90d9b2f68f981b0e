/* What a column holds (the user, the item, the rating or the timestamp), if its name is unmistakable. */
#ifndef RECOMMEND_DATA_COLUMN_NAMES_H
#define RECOMMEND_DATA_COLUMN_NAMES_H

typedef enum ColumnRole {
  COLUMN_USER,
  COLUMN_ITEM,
  COLUMN_RATING,
  COLUMN_TIME,
  COLUMN_ROLES,
  COLUMN_CHANGED = COLUMN_ROLES, /* a time too, but of a change to the row (updated_at): never taken, and no rating */
  COLUMN_NONE                    /* the name says nothing */
} ColumnRole;

extern const char *const column_roles[COLUMN_ROLES]; /* as the options call them: "user", …, "timestamp" */

/* The role that a column's name stands for, in any case of letters, with or without _, - and blanks: user_id, userId,
 * "User-ID". */
ColumnRole column_role(const char *name);

/* Whether the name is the text of an expression that was not given one by AS, as "count(*)" is. `declared`: the column
 * has a declared type, which an expression has not. */
int column_is_expression(const char *name, int declared);

#endif
