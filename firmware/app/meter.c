/* A meter with a camera: takes a picture per period, and sends the image or the digit that it shows.
 *
 * README.md of the firmware says which lines it sends and obeys. Whom it reports to, how often and
 * in which mode are its whole state; nothing is kept over a reset. */
#include "../lib/json.h"
#include "digits.h"
#include "hal.h"
#include "line.h"

#define UART 0
#define MS 1000000u /* ns */
#define LONGEST_PERIOD 3600000u /* ms */
#define REPORT_EVERY 10u /* pictures */
#define NAME_SIZE 65 /* of a node, with the 0 behind it */
#define COMMAND_SIZE 80

enum mode { RAW, LOCAL };

static struct {
    char to[NAME_SIZE];
    enum mode mode;
    uint64_t period, next; /* ns; next: when the next picture is due */
    uint32_t index;        /* of the next picture */
    uint32_t pictures, acks, commands, refused, overlong;
} meter;

static struct line line; /* the one that is being put together */

/* What a message from outside, or a line that somebody typed, says. */
struct request {
    struct json src, id, payload; /* none of a line that was typed */
    char command[COMMAND_SIZE];
};

static void head(const char *kind) {
    line_clear(&line);
    line_text(&line, "{\"dst\":\"");
    line_text(&line, meter.to);
    line_text(&line, "\",\"kind\":\"");
    line_text(&line, kind);
    line_text(&line, "\"");
}

static void field(const char *name, uint32_t number) {
    line_text(&line, name);
    line_number(&line, number);
}

static void value(struct json json) { line_bytes(&line, json.at, (size_t)(json.end - json.at)); }

static void take_picture(void) {
    const uint8_t *picture = digit_pictures[meter.index];
    meter.pictures++;
    head(meter.mode == RAW ? "image" : "digit");
    /* 64 bytes of image, or the digit, after a header of 8: what a compact radio frame would take. */
    field(",\"size\":", meter.mode == RAW ? 8 + DIGIT_PIXELS : 16);
    field(",\"payload\":{\"n\":", meter.pictures);
    field(",\"index\":", meter.index);
    if (meter.mode == RAW) {
        line_text(&line, ",\"image\":{\"$b64\":\"");
        line_base64(&line, picture, DIGIT_PIXELS);
        line_text(&line, "\"}}}");
    } else {
        field(",\"digit\":", (uint32_t)digit_classify(picture));
        line_text(&line, "}}");
    }
    line_send(&line, UART);
    meter.index = (meter.index + 1) % DIGIT_PICTURES;
}

static void counts(void) {
    field(",\"payload\":{\"pictures\":", meter.pictures);
    field(",\"acks\":", meter.acks);
    field(",\"commands\":", meter.commands);
    field(",\"refused\":", meter.refused);
    field(",\"lost\":", meter.overlong + hal_uart_lost(UART));
    line_text(&line, "}}");
    line_send(&line, UART);
}

/* Begin the answer to a request: to who sent it, if it was a message. */
static void head_of_answer(const struct request *request, const char *kind) {
    line_clear(&line);
    line_text(&line, "{\"dst\":");
    value(request->src);
    line_text(&line, ",\"kind\":\"");
    line_text(&line, kind);
    line_text(&line, "\",\"re\":");
    value(request->id);
}

static void answer(const struct request *request, const char *kind) {
    if (request->src.at == NULL) {
        line_clear(&line);
        line_text(&line, kind);
        line_text(&line, " ");
        line_text(&line, request->command);
    } else {
        head_of_answer(request, kind);
        line_text(&line, ",\"payload\":");
        value(request->payload);
        line_text(&line, "}");
    }
    line_send(&line, UART);
}

/* What follows a word and a space at the beginning of a command, or NULL. */
static const char *behind(const char *command, const char *word) {
    while (*word != 0)
        if (*command++ != *word++) return NULL;
    return *command++ == ' ' ? command : NULL;
}

static bool same(const char *a, const char *b) {
    while (*a != 0 && *a == *b) a++, b++;
    return *a == *b;
}

/* A whole number from `least` to `most`; nothing may follow it. */
static bool number(const char *text, uint32_t least, uint32_t most, uint32_t *result) {
    uint32_t sum = 0;
    if (*text == 0) return false;
    for (; *text != 0; text++) {
        if (*text < '0' || *text > '9' || sum > 99999999u) return false;
        sum = sum * 10 + (uint32_t)(*text - '0');
    }
    *result = sum;
    return sum >= least && sum <= most;
}

static bool set_name(const char *name) {
    size_t count = 0;
    for (; name[count] != 0; count++)
        if (count == NAME_SIZE - 1 || name[count] < '!' || name[count] > '~' || name[count] == '"' ||
            name[count] == '\\')
            return false;
    if (count == 0) return false;
    for (size_t i = 0; i <= count; i++) meter.to[i] = name[i];
    return true;
}

/* Do what a command says; false: it is none. */
static bool obey(const char *command) {
    const char *rest;
    uint32_t argument;
    if ((rest = behind(command, "period")) != NULL) {
        if (!number(rest, 1, LONGEST_PERIOD, &argument)) return false;
        meter.period = (uint64_t)argument * MS;
        meter.next = hal_now() + meter.period;
    } else if (same(command, "mode raw")) meter.mode = RAW;
    else if (same(command, "mode local")) meter.mode = LOCAL;
    else if ((rest = behind(command, "next")) != NULL) {
        if (!number(rest, 0, DIGIT_PICTURES - 1, &argument)) return false;
        meter.index = argument;
    } else if ((rest = behind(command, "to")) != NULL) return set_name(rest);
    else return false;
    return true;
}

static void handle(const struct request *request, bool acknowledges) {
    const char *rest = behind(request->command, "ack");
    uint32_t picture;
    if (acknowledges || (rest != NULL && number(rest, 1, meter.pictures, &picture))) {
        meter.acks++; /* and no answer: two that acknowledge acknowledgements never end */
    } else if (same(request->command, "report")) {
        meter.commands++;
        if (request->src.at == NULL) head("report");
        else head_of_answer(request, "report");
        counts();
    } else if (obey(request->command)) {
        meter.commands++;
        answer(request, "ok");
    } else {
        meter.refused++;
        answer(request, "refused");
    }
}

/* Whether a text ends where it should, and not at a 0 within. */
static bool whole(const char *text, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (count == JSON_NO_TEXT || text[i] == 0) return false;
    return true;
}

/* A line has come: a message, if it is JSON, else what somebody typed. */
static void take_line(const char *bytes, size_t count) {
    struct request request = {.command = ""};
    struct json message = json_parse(bytes, count);
    request.src = json_field(message, "src");
    request.id = json_field(message, "id");
    request.payload = json_field(message, "payload");
    if (request.payload.at != NULL && json_is_string(request.src) && json_is_string(request.id)) {
        if (!whole(request.command, json_text(request.payload, request.command, sizeof request.command)))
            request.command[0] = 0; /* no text, or none that could be a command: refused */
        handle(&request, json_equals(json_field(message, "kind"), "ack"));
        return;
    }
    request.src.at = NULL;
    if (count == 0 || count >= sizeof request.command) {
        meter.overlong += count > 0;
        return;
    }
    for (size_t i = 0; i < count; i++) request.command[i] = bytes[i];
    handle(&request, false);
}

static void read_lines(void) {
    static struct incoming incoming;
    while (line_read(&incoming, UART))
        if (incoming.count > INCOMING_SIZE) meter.overlong++;
        else take_line(incoming.bytes, incoming.count);
}

void app_main(void) {
    set_name("gateway");
    meter.period = 1000 * (uint64_t)MS;
    meter.next = meter.period;
    head("boot");
    line_text(&line, ",\"payload\":{\"firmware\":\"meter\",\"version\":1}}");
    line_send(&line, UART);
    for (;;) {
        read_lines();
        if (hal_now() >= meter.next) {
            take_picture();
            if (meter.pictures % REPORT_EVERY == 0) {
                head("report");
                counts();
            }
            do meter.next += meter.period; /* pictures that were missed are not made up for */
            while (meter.next <= hal_now());
        }
        hal_sleep_until(meter.next);
    }
}
