/* A reader: takes a picture per period, and keeps what it sees on it, or asks somebody who knows better.
 *
 * README.md of the firmware says which messages it sends and takes; rules.h when it asks. Nothing is kept
 * over a reset: it then says `boot` until it is set up. */
#include "../lib/json.h"
#include "digits.h"
#include "hal.h"
#include "line.h"
#include "rules.h"
#include "tiny_digits.h"

#define UART 0
#define MS 1000000u /* ns */
#define AGAIN (1000 * (uint64_t)MS) /* a device without a rule asks for one so often */
#define NAME_SIZE 65 /* of a node, with the 0 behind it */
#define TEXT_SIZE 160 /* of a setup */

static struct {
    char to[NAME_SIZE];
    struct rule rule;
    bool quiet;
    uint64_t period, next; /* ns; next: when the next picture, or boot, is due */
    uint32_t index;        /* of the next picture */
    uint32_t taken, refused;
} reader;

static struct line line; /* the one that is being put together */

/* What comes over the line: a message, or what somebody typed (then there is no src). */
struct message {
    struct json src, id, payload;
};

static uint64_t microseconds(void) { return hal_now() / 1000; }

/* Putting lines together. */

static void head(const char *kind) {
    line_clear(&line);
    line_text(&line, "{\"dst\":\"");
    line_text(&line, reader.to);
    line_text(&line, "\",\"kind\":\"");
    line_text(&line, kind);
    line_text(&line, "\"");
}

static void value(struct json json) { line_bytes(&line, json.at, (size_t)(json.end - json.at)); }

static void field(const char *name, uint32_t number) {
    line_text(&line, name);
    line_number(&line, number);
}

/* So many digits, with zeros before them. */
static void padded(uint32_t number, uint32_t unit) {
    for (; unit > 0; unit /= 10) line_number(&line, number / unit % 10);
}

/* A time (us), which may have more than 32 bits. */
static void clock_field(uint64_t at) {
    if (at >= 1000000) {
        field(",\"at\":", (uint32_t)(at / 1000000));
        padded((uint32_t)(at % 1000000), 100000);
    } else field(",\"at\":", (uint32_t)at);
}

static void shows(uint32_t label) {
    line_clear(&line);
    field("shows ", label);
    line_send(&line, UART);
}

/* Count what cannot be obeyed, and say so in the log. */
static void refuse(const char *bytes, size_t count) {
    reader.refused++;
    line_clear(&line);
    field("refused ", reader.refused);
    line_text(&line, ": ");
    for (size_t i = 0; i < count && i < TEXT_SIZE; i++)
        line_bytes(&line, bytes[i] >= ' ' && bytes[i] <= '~' ? bytes + i : "?", 1);
    line_send(&line, UART);
}

/* With what the clock shows, so that who is told can tell this life from the one before. */
static void boot(void) {
    head("boot");
    line_text(&line, ",\"payload\":{\"firmware\":\"reader\",\"version\":1");
    clock_field(microseconds());
    line_text(&line, "}}");
    line_send(&line, UART);
}

/* Pictures. */

static void take_picture(void) {
    const uint8_t *picture = digit_pictures[reader.index];
    bool computes = reader.rule.kind != RULE_REMOTE;
    struct tiny_answer own = {0, 0};
    uint64_t at = microseconds();
    reader.taken++;
    rule_sample(&reader.rule, at);
    if (computes) own = tiny_classify(picture);
    struct verdict verdict = rule_decide(&reader.rule, own.confidence);
    head(verdict.asks ? "image" : "reading");
    /* A header of 8 bytes, 64 of image, 4 of an answer: what a compact radio frame would take. */
    field(",\"size\":", verdict.asks ? 8 + DIGIT_PIXELS + (computes ? 4 : 0) : 16);
    field(",\"payload\":{\"n\":", reader.taken);
    field(",\"index\":", reader.index);
    clock_field(at);
    line_text(&line, ",\"why\":\"");
    line_text(&line, verdict.why);
    line_text(&line, "\"");
    if (computes) {
        field(",\"label\":", own.label);
        field(",\"confidence\":", own.confidence / 1000u);
        line_text(&line, ".");
        padded(own.confidence % 1000u, 100);
    }
    if (verdict.asks) {
        line_text(&line, ",\"image\":{\"$b64\":\"");
        line_base64(&line, picture, DIGIT_PIXELS);
        line_text(&line, "\"}");
        rule_asked(&reader.rule, reader.taken, microseconds());
    }
    line_text(&line, "}}");
    line_send(&line, UART);
    if (computes) shows(own.label);
    reader.index = (reader.index + 1) % DIGIT_PICTURES;
}

/* A result has come: false if it is none. */
static bool act(const struct message *message) {
    int64_t n, label;
    char text[TEXT_SIZE];
    struct json rule = json_field(message->payload, "rule");
    if (reader.rule.kind == RULE_NONE || !json_integer(json_field(message->payload, "n"), &n) || n < 0 ||
        n > UINT32_MAX || !json_integer(json_field(message->payload, "label"), &label) || label < 0 || label > 9)
        return false;
    rule_answered(&reader.rule, (uint32_t)n, microseconds());
    bool obeyed = rule.at == NULL ||
                  (json_text(rule, text, sizeof text) != JSON_NO_TEXT && rule_take(&reader.rule, text));
    if (!reader.quiet) {
        line_clear(&line);
        line_text(&line, "{\"dst\":");
        value(message->src);
        line_text(&line, ",\"kind\":\"shown\",\"re\":");
        value(message->id);
        field(",\"size\":8,\"payload\":{\"n\":", (uint32_t)n);
        field(",\"label\":", (uint32_t)label);
        line_text(&line, "}}");
        line_send(&line, UART);
    }
    shows((uint32_t)label);
    return obeyed;
}

/* Setting up. */

static bool set_name(const char *name) {
    size_t count = 0;
    for (; name[count] != 0; count++)
        if (count == NAME_SIZE - 1 || name[count] < '!' || name[count] > '~' || name[count] == '"' ||
            name[count] == '\\')
            return false;
    if (count == 0) return false;
    for (size_t i = 0; i <= count; i++) reader.to[i] = name[i];
    return true;
}

static bool is(const char *word, const char *expected) {
    while (*word != 0 && *word == *expected) word++, expected++;
    return *word == *expected;
}

/* Cut off the first command of a text: its word, and what is behind it. */
static char *cut(char *text, char **word, char **rest) {
    char *end = text;
    while (*end != 0 && *end != ';') end++;
    char *next = *end == 0 ? end : end + 1;
    while (*text == ' ') text++;
    while (end > text && end[-1] == ' ') end--;
    *end = 0;
    *word = text;
    while (*text != 0 && *text != ' ') text++;
    *rest = *text == 0 ? text : text + 1;
    *text = 0;
    return next;
}

/* Be set up, once, if all of it makes sense. Commands that are not known may be for others. */
static bool set_up(char *text) {
    char none[] = "", zero[] = "0", second[] = "1000", *word, *rest;
    char *rule = none, *next = zero, *period = second, *first = NULL, *to = reader.to;
    uint32_t index, ms, wait;
    bool quiet = false;
    if (reader.rule.kind != RULE_NONE) return true;
    while (*text != 0) {
        text = cut(text, &word, &rest);
        if (is(word, "rule")) rule = rest;
        else if (is(word, "next")) next = rest;
        else if (is(word, "period")) period = rest;
        else if (is(word, "first")) first = rest;
        else if (is(word, "to")) to = rest;
        else if (is(word, "quiet")) quiet = true;
    }
    if (!number_of(next, 9, UINT32_MAX, &index) || !number_of(period, 9, UINT32_MAX, &ms) || ms == 0) return false;
    if (first == NULL) wait = ms;
    else if (!number_of(first, 9, UINT32_MAX, &wait)) return false;
    struct rule taken = {.kind = RULE_NONE};
    if (!rule_take(&taken, rule) || !set_name(to)) return false;
    reader.rule = taken;
    reader.index = index % DIGIT_PICTURES;
    reader.quiet = quiet;
    reader.period = (uint64_t)ms * MS;
    reader.next = hal_now() + (uint64_t)wait * MS;
    return true;
}

/* Whether a text is one, ends where it should and not at a 0 within. */
static bool whole(const char *text, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (count == JSON_NO_TEXT || text[i] == 0) return false;
    return true;
}

/* A line has come: a message, if it is JSON, else what somebody typed: a setup. */
static bool take_line(const char *bytes, size_t count) {
    char text[TEXT_SIZE];
    struct json json = json_parse(bytes, count), kind = json_field(json, "kind");
    struct message message = {json_field(json, "src"), json_field(json, "id"), json_field(json, "payload")};
    if (message.payload.at != NULL && json_is_string(message.src) && json_is_string(message.id)) {
        if (json_equals(kind, "result")) return act(&message);
        return json_equals(kind, "setup") && whole(text, json_text(message.payload, text, sizeof text)) && set_up(text);
    }
    if (count >= sizeof text) return false;
    for (size_t i = 0; i < count; i++) text[i] = bytes[i];
    text[count] = 0;
    return whole(text, count) && set_up(text);
}

static void read_lines(void) {
    static struct incoming incoming;
    while (line_read(&incoming, UART)) {
        if (incoming.count == 0) continue;
        bool fits = incoming.count <= INCOMING_SIZE;
        if (!fits || !take_line(incoming.bytes, incoming.count))
            refuse(incoming.bytes, fits ? incoming.count : INCOMING_SIZE);
    }
}

void app_main(void) {
    set_name("gateway");
    boot();
    reader.period = AGAIN;
    reader.next = AGAIN;
    for (;;) {
        read_lines();
        if (hal_now() >= reader.next) {
            if (reader.rule.kind == RULE_NONE) boot();
            else take_picture();
            do reader.next += reader.period; /* pictures that were missed are not made up for */
            while (reader.next <= hal_now());
        }
        hal_sleep_until(reader.next);
    }
}
