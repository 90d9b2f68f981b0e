/* The name of a table or a model as a user writes it into a text: ratings, aux.ratings, "my table", aux."my table",
 * [my table], `my table`. */
#ifndef RECOMMEND_DATA_NAME_H
#define RECOMMEND_DATA_NAME_H

static inline int name_is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Past blanks and comments. */
const char *name_skip_blanks(const char *text);

/* Splits the text into the schema, "" where there is none, and the name, each without its quotes: both have room for
 * all of the text. Unquoted, only the first dot divides. Returns 0 where the text is not a name. */
int name_split(const char *text, char *schema, char *name);

#endif
