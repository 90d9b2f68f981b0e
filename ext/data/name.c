/* Names of tables and models as texts: see name.h. */
#include "name.h"

#include <string.h>

const char *name_skip_blanks(const char *text) {
  for (;;) {
    if (name_is_blank(*text)) {
      text++;
    } else if (text[0] == '-' && text[1] == '-') {
      while (*text && *text != '\n') text++;
    } else if (text[0] == '/' && text[1] == '*') {
      const char *end = strstr(text + 2, "*/");
      if (!end) return text + strlen(text);
      text = end + 2;
    } else {
      return text;
    }
  }
}

/* Reads one part of a name, quoted or up to a dot, into `part` (room for all of text); returns what comes after it, or
 * NULL where a quote is not closed. */
static const char *read_part(const char *text, char *part) {
  text = name_skip_blanks(text);
  char close = 0;
  if (*text == '"' || *text == '`') close = *text;
  if (*text == '[') close = ']';
  if (close) {
    for (text++; *text; text++) {
      if (*text == close) {
        if (close == ']' || text[1] != close) break;
        text++; /* a doubled quote stands for one */
      }
      *part++ = *text;
    }
    *part = 0;
    return *text ? name_skip_blanks(text + 1) : NULL;
  }
  char *start = part;
  while (*text && *text != '.') *part++ = *text++;
  while (part > start && name_is_blank(part[-1])) part--;
  *part = 0;
  return text;
}

int name_split(const char *text, char *schema, char *name) {
  const char *rest = read_part(text, name);
  if (!rest) return 0;
  if (*rest == 0) {
    *schema = 0;
    return *name != 0;
  }
  if (*rest != '.') return 0;
  memcpy(schema, name, strlen(name) + 1);
  rest = name_skip_blanks(rest + 1);
  if (*rest == '"' || *rest == '`' || *rest == '[') {
    rest = read_part(rest, name);
    return rest && *rest == 0;
  }
  memcpy(name, rest, strlen(rest) + 1);
  size_t length = strlen(name);
  while (length && name_is_blank(name[length - 1])) name[--length] = 0;
  return length > 0;
}
