/* A bridge to a part on a second serial line: a modem, a positioning receiver, a sensor with an
 * interface of text.
 *
 * The text of each message goes to the part as a line, and each line of the part goes, with a number, to
 * who sent the last message. The first line behind a message is its answer. What somebody types on the
 * first line goes to the part as it is. */
#include "../lib/json.h"
#include "hal.h"
#include "line.h"

#define UART 0 /* towards messages */
#define PART 1

static struct line line;   /* the one that is being put together */
static struct line to, re; /* who sent the last message, and its id while it has no answer: JSON texts */

static void value(struct json json) { line_bytes(&line, json.at, (size_t)(json.end - json.at)); }

static void begin(struct json dst, const char *kind, struct json id) {
    line_clear(&line);
    line_text(&line, "{\"dst\":");
    value(dst);
    line_text(&line, ",\"kind\":\"");
    line_text(&line, kind);
    if (id.at != NULL) {
        line_text(&line, "\",\"re\":");
        value(id);
    } else line_text(&line, "\"");
}

static struct json held(const struct line *text) {
    struct json none = {NULL, NULL}, json = {text->bytes, text->bytes + text->count};
    return text->count > 0 ? json : none;
}

static void hold(struct line *text, struct json json) {
    line_clear(text);
    line_bytes(text, json.at, (size_t)(json.end - json.at));
}

/* A line for the part: the text of a message, or what somebody typed. */
static void pass_on(const char *bytes, size_t count) {
    static char text[INCOMING_SIZE];
    struct json message = json_parse(bytes, count);
    struct json src = json_field(message, "src"), id = json_field(message, "id");
    struct json payload = json_field(message, "payload");
    line_clear(&line);
    if (payload.at != NULL && json_is_string(src) && json_is_string(id)) {
        size_t length = json_text(payload, text, sizeof text);
        if (length == JSON_NO_TEXT) {
            begin(src, "refused", id);
            line_text(&line, ",\"payload\":\"no text\"}");
            line_send(&line, UART);
            return;
        }
        hold(&to, src);
        hold(&re, id);
        line_bytes(&line, text, length);
    } else line_bytes(&line, bytes, count);
    line_send(&line, PART);
}

/* A line of the part: numbers that are missing are lines that were too long. */
static void report(const struct incoming *incoming) {
    static uint32_t number;
    number++;
    if (incoming->count == 0 || incoming->count > INCOMING_SIZE) return;
    begin(held(&to), "line", held(&re));
    line_clear(&re);
    line_text(&line, ",\"size\":"); /* four bytes of number, and the text */
    line_number(&line, 4 + (uint32_t)incoming->count);
    line_text(&line, ",\"payload\":{\"n\":");
    line_number(&line, number);
    line_text(&line, ",\"text\":");
    line_value(&line, incoming->bytes, incoming->count);
    line_text(&line, "}}");
    line_send(&line, UART);
}

void app_main(void) {
    static struct incoming command, part;
    line_text(&to, "\"gateway\"");
    for (;;) {
        while (line_read(&command, UART))
            if (command.count > 0 && command.count <= INCOMING_SIZE) pass_on(command.bytes, command.count);
        while (line_read(&part, PART)) report(&part);
        hal_sleep_until(UINT64_MAX);
    }
}
