/* Reading JSON without a heap: a value is a stretch of the text that it stands in.
 *
 * `json_parse` checks a whole text once; every other function relies on that. Nothing here needs
 * more than freestanding C11, so a device and a participant on the host read in the same way. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH 96 /* nesting that is accepted: 64 of a payload, and what surrounds it */
#define JSON_NO_TEXT SIZE_MAX

/* One value, from its first character up to `end`. at == NULL: there is none. */
struct json {
    const char *at, *end;
};

/* What is left of an object or an array while one walks through it. */
struct json_walk {
    const char *at, *end;
};

/* The value that a text consists of; none if the text is not JSON, is not UTF-8, or nests too deep. */
struct json json_parse(const char *text, size_t size);

/* Walk through an object or an array; through anything else in no step.
 * `name` is filled for the members of an object, and may be NULL. */
struct json_walk json_begin(struct json container);
bool json_next(struct json_walk *walk, struct json *name, struct json *value);

/* The value of a field; none if `object` is no object or has no such field. */
struct json json_field(struct json object, const char *name);

bool json_is_string(struct json value);
/* Whether a value is this string, however it is escaped. */
bool json_equals(struct json value, const char *text);
/* Whether a value is an integer of 64 bits without point and exponent; `number` gets it. */
bool json_integer(struct json value, int64_t *number);
/* Write what a string says, in UTF-8, with a 0 behind it.
 * Returns its length, or JSON_NO_TEXT: no string, half of a surrogate pair, or no room. */
size_t json_text(struct json value, char *room, size_t size);

/* Whether bytes are UTF-8 throughout. */
bool json_utf8(const char *bytes, size_t size);

#endif
