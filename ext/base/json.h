/* JSON string literals: RFC 8259, section 7. */
#ifndef RECOMMEND_BASE_JSON_H
#define RECOMMEND_BASE_JSON_H

#include <stddef.h>

#include "sqlite.h"

/* Appends `size` bytes of UTF-8 in quotes, with what JSON does not allow in them escaped. */
void json_append_text(sqlite3_str *json, const char *text, size_t size);

#endif
