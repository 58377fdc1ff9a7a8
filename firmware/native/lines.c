/* A line that the application says becomes a message, and a message a line that it hears.
 *
 * README.md of the firmware says how. What is no message goes to standard error, which is the log of
 * the run. */
#include "port.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_LIMIT ((int64_t)1 << 40) /* bytes of a message on the network */

static struct simcore_bytes text; /* what is being put together */

void lines_close(void) { free(text.at); }

void write_log(uint64_t at, const char *why, const char *bytes, size_t count) {
    char head[64];
    snprintf(head, sizeof head, "%" PRIu64 ".%09" PRIu64 " s: ", at / 1000000000, at % 1000000000);
    text.count = 0;
    add_text(&text, head);
    add_text(&text, why);
    for (size_t i = 0; i < count; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        char escape[8] = {(char)byte};
        if (byte < ' ' || byte >= 127) snprintf(escape, sizeof escape, "\\x%02x", byte);
        add_text(&text, escape);
    }
    add_text(&text, "\n");
    fwrite(text.at, 1, text.count, stderr);
}

/* From the device to simcore. */

static void send(const struct uart *uart, struct simcore_output *output, uint64_t at) {
    output->at = wire.time + (int64_t)at;
    output->order = uart - uarts;
    if (!simcore_output(&wire, output)) give_up(wire.trouble);
}

/* All that the firmware says goes to one node: text as text, anything else as bytes. */
static void say_raw(const struct uart *uart, uint64_t at, const char *bytes, size_t count) {
    text.count = 0;
    if (json_utf8(bytes, count)) {
        add_text(&text, "\"");
        for (size_t i = 0; i < count; i++) {
            char escape[8] = {bytes[i]};
            size_t size = 1;
            if (bytes[i] == '"' || bytes[i] == '\\') escape[0] = '\\', escape[1] = bytes[i], size = 2;
            else if ((unsigned char)bytes[i] < 0x20)
                size = (size_t)snprintf(escape, sizeof escape, "\\u%04x", bytes[i]);
            add(&text, escape, size);
        }
        add_text(&text, "\"");
    } else {
        add_text(&text, "{\"$b64\":\"");
        add_base64(&text, bytes, count);
        add_text(&text, "\"}");
    }
    struct simcore_output output = {
        .dst = uart->peer, .kind = "line", .payload = {text.at, text.at + text.count}, .size = (int64_t)count + 1,
    };
    send(uart, &output, at);
}

/* What a line asks for; NULL if it is a message, else why it is none. */
static const char *message_of(struct json found, struct simcore_output *output, char texts[3][NAME_SIZE]) {
    static const char *const fields[] = {"dst", "kind", "re"};
    struct json_walk walk = json_begin(found);
    for (struct json name, value; json_next(&walk, &name, &value);) {
        if (json_equals(name, "payload")) output->payload = value;
        else if (json_equals(name, "size")) {
            if (!json_integer(value, &output->size) || output->size < 1 || output->size >= SIZE_LIMIT)
                return "size is no whole number above 0: ";
        } else {
            size_t i = 0;
            while (i < 3 && !json_equals(name, fields[i])) i++;
            if (i == 3) return "a field that no message has: ";
            size_t length = json_text(value, texts[i], NAME_SIZE);
            if (length == JSON_NO_TEXT || length == 0 || memchr(texts[i], 0, length) != NULL)
                return "dst, kind and re are texts: ";
        }
    }
    if (texts[0][0] == 0 || texts[1][0] == 0) return "a message needs dst and kind: ";
    output->dst = texts[0];
    output->kind = texts[1];
    output->cause = texts[2][0] != 0 ? texts[2] : NULL;
    return NULL;
}

void line_said(const struct uart *uart, uint64_t at, const char *bytes, size_t count) {
    if (count > 0 && bytes[count - 1] == '\r') count--;
    if (count == 0) return;
    if (uart->mode == RAW) {
        say_raw(uart, at, bytes, count);
        return;
    }
    static char texts[3][NAME_SIZE];
    struct simcore_output output = {.at = 0};
    const char *why = "";
    if (uart->mode == ADDRESSED && *bytes == '{') {
        struct json found = json_parse(bytes, count);
        texts[0][0] = texts[1][0] = texts[2][0] = 0;
        if (found.at != NULL) why = message_of(found, &output, texts);
    }
    if (why != NULL) write_log(at, why, bytes, count);
    else send(uart, &output, at);
}

/* From simcore to the device. */

/* With firmware that knows nothing of messages, a payload is the line itself. */
static void hear_raw(struct simcore_bytes *line, struct json payload) {
    size_t room = (size_t)(payload.end - payload.at) + 1, count;
    struct json bytes = json_field(payload, "$b64"), said = json_is_string(bytes) ? bytes : payload;
    text.count = 0;
    add(&text, payload.at, room - 1);
    add(&text, "", 1); /* room for what it says, which is not longer than what stands for it */
    if ((count = json_text(said, text.at, room)) == JSON_NO_TEXT) add_json(line, "", payload);
    else if (json_is_string(bytes)) add_decoded(line, text.at, count);
    else add(line, text.at, count);
}

static void hear(struct simcore_bytes *line, const struct simcore_input *input) {
    add_json(line, "{\"src\":", input->src);
    add_json(line, ",\"kind\":", input->kind);
    add_json(line, ",\"id\":", input->id);
    add_json(line, ",\"payload\":", input->payload);
    add_text(line, "}");
}

/* The UART that is for the source alone; else the first that takes any; NULL: there is none. */
static struct uart *uart_for(struct json source) {
    struct uart *first = NULL;
    for (struct uart *uart = uarts; uart < uarts + HAL_UARTS; uart++) {
        if (uart->mode == RAW && json_equals(source, uart->peer)) return uart;
        if (first == NULL && (uart->mode == RAW || uart->mode == ADDRESSED)) first = uart;
    }
    return first;
}

void message_came(uint64_t now, const struct simcore_input *input) {
    struct uart *uart = uart_for(input->src);
    if (uart == NULL) {
        struct simcore_bytes line = {NULL, 0, 0};
        hear(&line, input);
        write_log(now, "there is no UART for a message: ", line.at, line.count);
        free(line.at);
        return;
    }
    size_t from = uart->received.count;
    if (uart->mode == RAW) hear_raw(&uart->received, input->payload);
    else hear(&uart->received, input);
    add(&uart->received, "\n", 1);
    uart_receive(uart, now, from);
}
