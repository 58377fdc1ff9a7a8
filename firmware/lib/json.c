/* See json.h. The checks follow RFC 8259; UTF-8 is that of RFC 3629. */
#include "json.h"

static const char *space(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) p++;
    return p;
}

static bool digit(const char *p, const char *end) { return p < end && *p >= '0' && *p <= '9'; }

static int hexadecimal(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The four digits at p, or -1. */
static int32_t code_unit(const char *p, const char *end) {
    int32_t unit = 0;
    if (end - p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int value = hexadecimal(p[i]);
        if (value < 0) return -1;
        unit = unit * 16 + value;
    }
    return unit;
}

/* Behind the UTF-8 character at p, or NULL. */
static const char *character_end(const char *p, const char *end) {
    unsigned char first = (unsigned char)*p;
    ptrdiff_t size = first < 0x80 ? 1 : first >= 0xC2 && first < 0xE0 ? 2
                   : first >= 0xE0 && first < 0xF0 ? 3 : first >= 0xF0 && first < 0xF5 ? 4 : 0;
    if (size == 0 || end - p < size) return NULL;
    for (int i = 1; i < size; i++)
        if (((unsigned char)p[i] & 0xC0) != 0x80) return NULL;
    if (size > 2) { /* overlong forms, surrogates, and what is beyond U+10FFFF */
        unsigned char second = (unsigned char)p[1];
        if (first == 0xE0 && second < 0xA0) return NULL;
        if (first == 0xED && second >= 0xA0) return NULL;
        if (first == 0xF0 && second < 0x90) return NULL;
        if (first == 0xF4 && second >= 0x90) return NULL;
    }
    return p + size;
}

bool json_utf8(const char *bytes, size_t size) {
    const char *p = bytes, *end = bytes + size;
    while (p < end)
        if ((p = character_end(p, end)) == NULL) return false;
    return true;
}

/* Behind the string whose quote is at p, or NULL. */
static const char *string_end(const char *p, const char *end) {
    if (p == end || *p != '"') return NULL;
    for (p++; p < end && *p != '"';) {
        unsigned char byte = (unsigned char)*p;
        if (byte < 0x20) return NULL;
        if (byte != '\\') {
            if (byte < 0x80) { /* as nearly all are */
                p++;
                continue;
            }
            if ((p = character_end(p, end)) == NULL) return NULL;
            continue;
        }
        if (++p == end) return NULL;
        switch (*p++) {
        case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't': break;
        case 'u':
            if (code_unit(p, end) < 0) return NULL;
            p += 4;
            break;
        default: return NULL;
        }
    }
    return p < end ? p + 1 : NULL;
}

static const char *number_end(const char *p, const char *end) {
    if (p < end && *p == '-') p++;
    if (!digit(p, end)) return NULL;
    if (*p++ != '0')
        while (digit(p, end)) p++;
    if (p < end && *p == '.') {
        if (!digit(++p, end)) return NULL;
        while (digit(p, end)) p++;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        if (!digit(p, end)) return NULL;
        while (digit(p, end)) p++;
    }
    return p;
}

static const char *word_end(const char *p, const char *end, const char *word) {
    for (; *word != 0; p++, word++)
        if (p == end || *p != *word) return NULL;
    return p;
}

static const char *scalar_end(const char *p, const char *end) {
    switch (*p) {
    case '"': return string_end(p, end);
    case 't': return word_end(p, end, "true");
    case 'f': return word_end(p, end, "false");
    case 'n': return word_end(p, end, "null");
    default: return number_end(p, end);
    }
}

/* Behind the name of a member and its colon, or NULL. */
static const char *name_end(const char *p, const char *end) {
    p = string_end(space(p, end), end);
    if (p == NULL) return NULL;
    p = space(p, end);
    return p < end && *p == ':' ? p + 1 : NULL;
}

/* Behind the value at p (white space may precede it), or NULL. Without recursion, for small stacks. */
static const char *value_end(const char *p, const char *end) {
    bool objects[JSON_DEPTH];
    int depth = 0;
    for (;;) {
        p = space(p, end);
        if (p == end) return NULL;
        if (*p == '{' || *p == '[') {
            bool object = *p == '{';
            if (depth == JSON_DEPTH) return NULL;
            objects[depth++] = object;
            p = space(p + 1, end);
            if (p == end) return NULL;
            if (*p != (object ? '}' : ']')) {
                if (object && (p = name_end(p, end)) == NULL) return NULL;
                continue;
            }
            p++, depth--;
        } else if ((p = scalar_end(p, end)) == NULL) return NULL;
        for (;;) { /* a value has ended, and with it perhaps what it stands in */
            if (depth == 0) return p;
            p = space(p, end);
            if (p == end) return NULL;
            bool object = objects[depth - 1];
            char mark = *p++;
            if (mark == (object ? '}' : ']')) depth--;
            else if (mark != ',') return NULL;
            else {
                if (object && (p = name_end(p, end)) == NULL) return NULL;
                break;
            }
        }
    }
}

struct json json_parse(const char *text, size_t size) {
    const char *end = text + size, *at = space(text, end), *behind = value_end(at, end);
    struct json none = {NULL, NULL}, found = {at, behind};
    return behind != NULL && space(behind, end) == end ? found : none;
}

struct json_walk json_begin(struct json container) {
    struct json_walk none = {NULL, NULL}, walk = {container.at + 1, container.end};
    if (container.at == NULL || (*container.at != '{' && *container.at != '[')) return none;
    return walk;
}

bool json_next(struct json_walk *walk, struct json *name, struct json *value) {
    if (walk->at == NULL) return false;
    const char *p = space(walk->at, walk->end), *end = walk->end;
    if (*p == ',') p = space(p + 1, end);
    if (*p == '}' || *p == ']') return walk->at = NULL, false;
    if (end[-1] == '}') { /* the walk ends with its container's last character */
        const char *behind = string_end(p, end);
        if (name != NULL) name->at = p, name->end = behind;
        p = space(name_end(p, end), end);
    }
    value->at = p;
    walk->at = value->end = value_end(p, end);
    return true;
}

struct json json_field(struct json object, const char *name) {
    struct json none = {NULL, NULL}, key, value;
    struct json_walk walk = json_begin(object);
    if (object.at == NULL || *object.at != '{') return none;
    while (json_next(&walk, &key, &value))
        if (json_equals(key, name)) return value;
    return none;
}

bool json_is_string(struct json value) { return value.at != NULL && *value.at == '"'; }

/* The next character of a string as UTF-8 in `out`; returns its bytes, 0 for half of a pair. */
static size_t unescape(const char **at, const char *end, char out[4]) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *p = *at;
    if (*p != '\\') { /* bytes were checked when the text was parsed */
        out[0] = *p;
        *at = p + 1;
        return 1;
    }
    p++;
    if (*p != 'u') {
        size_t i = 0;
        while (from[i] != *p) i++;
        out[0] = to[i];
        *at = p + 1;
        return 1;
    }
    uint32_t code = (uint32_t)code_unit(p + 1, end);
    p += 5;
    if (code >= 0xDC00 && code < 0xE000) return 0;
    if (code >= 0xD800 && code < 0xDC00) {
        int32_t low = end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? code_unit(p + 2, end) : -1;
        if (low < 0xDC00 || low >= 0xE000) return 0;
        code = 0x10000u + ((code - 0xD800u) << 10) + ((uint32_t)low - 0xDC00u);
        p += 6;
    }
    *at = p;
    if (code < 0x80) return out[0] = (char)code, 1;
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = size - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80u | (code & 0x3Fu));
    out[0] = (char)(lead[size] | code);
    return size;
}

bool json_equals(struct json value, const char *text) {
    if (!json_is_string(value)) return false;
    const char *end = value.end - 1;
    for (const char *p = value.at + 1; p < end;) {
        if (*p != '\\') {
            if (*p++ != *text++) return false; /* also where the text ends: no byte is 0 */
            continue;
        }
        char bytes[4];
        size_t count = unescape(&p, end, bytes);
        if (count == 0) return false;
        for (size_t i = 0; i < count; i++, text++)
            if (*text == 0 || *text != bytes[i]) return false;
    }
    return *text == 0;
}

size_t json_text(struct json value, char *room, size_t size) {
    size_t length = 0;
    if (!json_is_string(value)) return JSON_NO_TEXT;
    const char *end = value.end - 1;
    for (const char *p = value.at + 1; p < end;) {
        char bytes[4];
        size_t count = unescape(&p, end, bytes);
        if (count == 0 || length + count >= size) return JSON_NO_TEXT;
        for (size_t i = 0; i < count; i++) room[length++] = bytes[i];
    }
    if (length >= size) return JSON_NO_TEXT;
    room[length] = 0;
    return length;
}

bool json_integer(struct json value, int64_t *number) {
    if (value.at == NULL) return false;
    const char *p = value.at;
    bool negative = *p == '-';
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX, sum = 0;
    if (negative) p++;
    if (!digit(p, value.end)) return false;
    for (; p < value.end; p++) {
        if (!digit(p, value.end)) return false;
        uint64_t next = (uint64_t)(*p - '0');
        if (sum > (INT64_MAX / 10) || sum * 10 + next > limit) return false;
        sum = sum * 10 + next;
    }
    *number = negative && sum > 0 ? -(int64_t)(sum - 1) - 1 : (int64_t)sum;
    return true;
}
