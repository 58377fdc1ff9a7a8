/* See line.h. */
#include "line.h"

#include "../lib/json.h"
#include "hal.h"

void line_clear(struct line *line) {
    line->count = 0;
    line->full = false;
}

void line_bytes(struct line *line, const char *bytes, size_t count) {
    if (count > LINE_SIZE - 1 - line->count) { /* one is left for the newline */
        line->full = true;
        return;
    }
    for (size_t i = 0; i < count; i++) line->bytes[line->count++] = bytes[i];
}

void line_text(struct line *line, const char *text) {
    size_t count = 0;
    while (text[count] != 0) count++;
    line_bytes(line, text, count);
}

void line_number(struct line *line, uint32_t number) {
    char digits[10];
    size_t at = sizeof digits;
    do digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    line_bytes(line, digits + at, sizeof digits - at);
}

void line_base64(struct line *line, const uint8_t *bytes, size_t count) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < count; at += 3) {
        size_t have = count - at < 3 ? count - at : 3;
        uint32_t group = (uint32_t)bytes[at] << 16;
        if (have > 1) group |= (uint32_t)bytes[at + 1] << 8;
        if (have > 2) group |= bytes[at + 2];
        char four[4] = {letters[group >> 18], letters[group >> 12 & 63], '=', '='};
        if (have > 1) four[2] = letters[group >> 6 & 63];
        if (have > 2) four[3] = letters[group & 63];
        line_bytes(line, four, 4);
    }
}

void line_value(struct line *line, const char *bytes, size_t count) {
    if (!json_utf8(bytes, count)) {
        line_text(line, "{\"$b64\":\"");
        line_base64(line, (const uint8_t *)bytes, count);
        line_text(line, "\"}");
        return;
    }
    line_text(line, "\"");
    for (size_t i = 0; i < count; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        char escape[6] = {'\\', 'u', '0', '0', "01"[byte >> 4 & 1], "0123456789abcdef"[byte & 15]};
        if (byte < 0x20) line_bytes(line, escape, sizeof escape);
        else {
            if (byte == '"' || byte == '\\') line_text(line, "\\");
            line_bytes(line, bytes + i, 1);
        }
    }
    line_text(line, "\"");
}

void line_send(struct line *line, unsigned uart) {
    if (line->full) return;
    line->bytes[line->count] = '\n';
    hal_uart_write(uart, line->bytes, line->count + 1);
}

bool line_read(struct incoming *line, unsigned uart) {
    if (line->whole) line->count = 0;
    line->whole = false;
    for (int byte; !line->whole && (byte = hal_uart_read(uart)) >= 0;) {
        if (byte == '\n') line->whole = true;
        else if (byte != '\r') {
            if (line->count < INCOMING_SIZE) line->bytes[line->count] = (char)byte;
            line->count += line->count <= INCOMING_SIZE;
        }
    }
    return line->whole;
}
