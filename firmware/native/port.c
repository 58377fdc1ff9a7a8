/* The HAL on the host: a participant of simcore, one process for each device.
 *
 * Time passes only while the application sleeps: it is advanced when it wants to wake, or when a
 * message comes. So it costs nothing in between, and code takes no time. The UART has no speed here:
 * a line is complete at the instant at which it is written, and bears that time.
 *
 * Lines that the application writes become messages, and messages become lines; README.md of the
 * firmware says how. What is no message goes to standard error, which is the log of the run. */
#include "../app/hal.h"
#include "simcore_wire.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_LINE 65536                 /* bytes; what is longer is cut */
#define INSTANT_LIMIT (8u * 1024 * 1024)   /* bytes that may be sent at one instant */
#define NAME_SIZE 4096

static struct simcore wire;
static uint64_t now;                       /* ns since boot */
static bool raw;                           /* the firmware knows nothing of messages ... */
static char peer[NAME_SIZE];               /* ... and all that it says goes to this node */
static struct simcore_bytes line;          /* what was written since the last newline */
static size_t sent;                        /* bytes at this instant */
static struct simcore_bytes received;      /* bytes for the application, from `taken` on */
static size_t taken;

_Noreturn static void leave(int code) {
    simcore_close(&wire);
    free(line.at);
    free(received.at);
    exit(code);
}

/* The connection is of no use any more. */
_Noreturn static void gone(void) {
    fprintf(stderr, "%s\n", wire.trouble);
    leave(1);
}

/* This device cannot go on: the run ends, and its report quotes this. */
_Noreturn static void give_up(const char *why) {
    fprintf(stderr, "%s\n", why);
    simcore_fail(&wire, why, NULL);
    leave(1);
}

static void add(struct simcore_bytes *bytes, const char *at, size_t count) {
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

static void add_text(struct simcore_bytes *bytes, const char *text) { add(bytes, text, strlen(text)); }

static void add_json(struct simcore_bytes *bytes, const char *label, struct json json) {
    add_text(bytes, label);
    add(bytes, json.at, (size_t)(json.end - json.at));
}

/* Base64, both ways, as it stands for bytes in payloads: {"$b64": "AAE="}. */

static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void add_base64(struct simcore_bytes *bytes, const char *from, size_t count) {
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

static void add_decoded(struct simcore_bytes *bytes, const char *text, size_t count) {
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

/* From simcore to the device. */

/* With firmware that knows nothing of messages, a payload is the line itself. */
static void receive_raw(struct json payload) {
    size_t room = (size_t)(payload.end - payload.at) + 1, count;
    struct json bytes = json_field(payload, "$b64"), text = json_is_string(bytes) ? bytes : payload;
    char *said = malloc(room);
    if (said == NULL) give_up("no memory");
    if ((count = json_text(text, said, room)) == JSON_NO_TEXT) add_json(&received, "", payload);
    else if (json_is_string(bytes)) add_decoded(&received, said, count);
    else add(&received, said, count);
    free(said);
}

static void receive(const struct simcore_input *input) {
    if (raw) receive_raw(input->payload);
    else {
        add_json(&received, "{\"src\":", input->src);
        add_json(&received, ",\"kind\":", input->kind);
        add_json(&received, ",\"id\":", input->id);
        add_json(&received, ",\"payload\":", input->payload);
        add_text(&received, "}");
    }
    add_text(&received, "\n");
}

/* From the device to simcore. */

static void write_log(const char *why, const char *bytes, size_t count) {
    fprintf(stderr, "%" PRIu64 ".%09" PRIu64 " s: %s", now / 1000000000, now % 1000000000, why);
    for (size_t i = 0; i < count; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte >= ' ' && byte < 127) fputc(byte, stderr);
        else fprintf(stderr, "\\x%02x", byte);
    }
    fputc('\n', stderr);
}

/* All that the firmware says goes to one node: text as text, anything else as bytes. */
static void send_raw(const char *bytes, size_t count) {
    struct simcore_bytes payload = {NULL, 0, 0};
    if (json_utf8(bytes, count)) {
        add_text(&payload, "\"");
        for (size_t i = 0; i < count; i++) {
            char escape[8] = {bytes[i]};
            if (bytes[i] == '"' || bytes[i] == '\\') escape[0] = '\\', escape[1] = bytes[i];
            else if ((unsigned char)bytes[i] < 0x20) snprintf(escape, sizeof escape, "\\u%04x", bytes[i]);
            add_text(&payload, escape);
        }
        add_text(&payload, "\"");
    } else {
        add_text(&payload, "{\"$b64\":\"");
        add_base64(&payload, bytes, count);
        add_text(&payload, "\"}");
    }
    struct simcore_output output = {
        .at = wire.until, .dst = peer, .kind = "line", .payload = {payload.at, payload.at + payload.count},
        .size = (int64_t)count + 1,
    };
    bool added = simcore_output(&wire, &output);
    free(payload.at);
    if (!added) give_up(wire.trouble);
}

/* What a line asks for; NULL if it is a message, else why it is none. */
static const char *message_of(struct json found, struct simcore_output *output, char texts[3][NAME_SIZE]) {
    static const char *const fields[] = {"dst", "kind", "re"};
    struct json_walk walk = json_begin(found);
    for (struct json name, value; json_next(&walk, &name, &value);) {
        if (json_equals(name, "payload")) output->payload = value;
        else if (json_equals(name, "size")) {
            if (!json_integer(value, &output->size) || output->size < 1)
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

static void send_line(const char *bytes, size_t count) {
    if (count > 0 && bytes[count - 1] == '\r') count--;
    if (count == 0) return;
    if (raw) {
        send_raw(bytes, count);
        return;
    }
    static char texts[3][NAME_SIZE];
    struct simcore_output output = {.at = wire.until};
    struct json found = json_parse(bytes, count);
    const char *why = "";
    texts[0][0] = texts[1][0] = texts[2][0] = 0;
    if (found.at != NULL && *found.at == '{') why = message_of(found, &output, texts);
    if (why != NULL) write_log(why, bytes, count);
    else if (!simcore_output(&wire, &output)) give_up(wire.trouble);
}

/* The HAL. */

uint64_t hal_now(void) { return now; }

void hal_uart_write(const char *bytes, size_t count) {
    if ((sent += count) > INSTANT_LIMIT)
        give_up("the firmware writes more than 8 MiB at one instant: it never sleeps");
    while (count > 0) {
        const char *newline = memchr(bytes, '\n', count);
        size_t part = newline != NULL ? (size_t)(newline - bytes) : count;
        if (part > LONGEST_LINE - line.count) part = LONGEST_LINE - line.count;
        add(&line, bytes, part);
        bytes += part;
        count -= part;
        bool whole = count > 0 && *bytes == '\n';
        if (whole) bytes++, count--;
        else if (line.count < LONGEST_LINE) continue;
        else write_log("no newline in 65536 bytes", "", 0);
        send_line(line.at, line.count);
        line.count = 0;
    }
}

int hal_uart_read(void) { return taken < received.count ? (unsigned char)received.at[taken++] : -1; }

uint32_t hal_uart_lost(void) { return 0; }

/* Wait until simcore wants something of this device. */
static void advance(void) {
    enum simcore_turn turn = simcore_wait(&wire);
    if (turn == SIMCORE_END) {
        if (line.count > 0) write_log("a line without its end: ", line.at, line.count);
        leave(0);
    }
    if (turn == SIMCORE_GONE) gone();
    now = (uint64_t)(wire.until - wire.time);
    sent = 0;
    if (taken == received.count) taken = received.count = 0;
    wire.trouble[0] = 0;
    struct json_walk inputs = json_begin(wire.inputs);
    for (struct simcore_input input; simcore_input(&wire, &inputs, &input);) receive(&input);
    if (wire.trouble[0] != 0) gone();
}

void hal_sleep_until(uint64_t time) {
    while (now < time && taken == received.count) {
        bool ends = time < (uint64_t)(wire.end - wire.time);
        if (!simcore_done(&wire, ends ? wire.time + (int64_t)time : SIMCORE_NEVER)) gone();
        advance();
    }
}

/* Starting. */

static void read_config(void) {
    struct json_walk walk = json_begin(wire.config);
    static char why[NAME_SIZE + 64];
    for (struct json name, value; json_next(&walk, &name, &value);) {
        bool fine = false;
        if (json_equals(name, "uart")) {
            raw = json_equals(value, "raw");
            fine = raw || json_equals(value, "addressed");
        } else if (json_equals(name, "peer")) {
            size_t length = json_text(value, peer, sizeof peer);
            fine = length > 0 && length != JSON_NO_TEXT;
        }
        if (fine) continue;
        snprintf(why, sizeof why, "config: %.*s: %.*s is not known; there is uart (raw or addressed) and peer",
                 (int)(name.end - name.at), name.at, (int)(value.end - value.at), value.at);
        give_up(why);
    }
    if (raw != (peer[0] != 0))
        give_up("config: 'peer' names the node that all goes to with 'uart: raw', and only then");
}

static void check_nodes(void) {
    struct json_walk walk = json_begin(wire.nodes);
    struct json name;
    if (json_next(&walk, NULL, &name) && json_next(&walk, NULL, &name))
        give_up("one process is one device: take 'hosts: node'");
}

int main(void) {
    if (!simcore_connect(&wire)) gone();
    check_nodes();
    read_config();
    if (!simcore_ready(&wire, "reactive", wire.time, 1)) gone();
    advance();
    app_main();
}
