/* JSON string literals: see json.h. */
#include "json.h"

void json_append_text(sqlite3_str *json, const char *text, size_t size) {
  sqlite3_str_appendchar(json, 1, '"');
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c < 0x20)
      sqlite3_str_appendf(json, "\\u%04x", c);
    else if (c == '"' || c == '\\')
      sqlite3_str_appendf(json, "\\%c", c);
    else
      sqlite3_str_appendchar(json, 1, (char)c);
  }
  sqlite3_str_appendchar(json, 1, '"');
}
