/* Bytes that grow, and base64 as it stands for bytes in payloads: {"$b64": "AAE="}. */
#include "port.h"

#include <stdlib.h>
#include <string.h>

static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void add(struct simcore_bytes *bytes, const char *at, size_t count) {
    if (bytes->room - bytes->count < count) {
        size_t room = (bytes->count + count) * 2;
        char *grown = realloc(bytes->at, room);
        if (grown == NULL) give_up("no memory");
        bytes->at = grown;
        bytes->room = room;
    }
    if (count > 0) memcpy(bytes->at + bytes->count, at, count);
    bytes->count += count;
}

void add_text(struct simcore_bytes *bytes, const char *text) { add(bytes, text, strlen(text)); }

void add_json(struct simcore_bytes *bytes, const char *label, struct json json) {
    add_text(bytes, label);
    add(bytes, json.at, (size_t)(json.end - json.at));
}

void add_base64(struct simcore_bytes *bytes, const char *from, size_t count) {
    const unsigned char *at = (const unsigned char *)from;
    for (; count > 0; at += 3, count -= count < 3 ? count : 3) {
        unsigned group = (unsigned)at[0] << 16;
        if (count > 1) group |= (unsigned)at[1] << 8;
        if (count > 2) group |= at[2];
        char four[4] = {LETTERS[group >> 18], LETTERS[group >> 12 & 63], '=', '='};
        if (count > 1) four[2] = LETTERS[group >> 6 & 63];
        if (count > 2) four[3] = LETTERS[group & 63];
        add(bytes, four, 4);
    }
}

void add_decoded(struct simcore_bytes *bytes, const char *text, size_t count) {
    unsigned group = 0, bits = 0;
    for (size_t i = 0; i < count && text[i] != '='; i++) {
        const char *letter = strchr(LETTERS, text[i]);
        if (letter == NULL || *letter == 0) continue;
        group = group << 6 | (unsigned)(letter - LETTERS);
        if ((bits += 6) >= 8) {
            char byte = (char)(group >> (bits -= 8) & 0xFF);
            add(bytes, &byte, 1);
        }
    }
}
