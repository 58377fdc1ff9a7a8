/* See simcore_wire.h. */
#define _POSIX_C_SOURCE 200809L
#include "simcore_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool trouble(struct simcore *wire, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(wire->trouble, sizeof wire->trouble, format, arguments);
    va_end(arguments);
    return false;
}

/* Bytes that grow. */

static bool reserve(struct simcore *wire, struct simcore_bytes *bytes, size_t more) {
    if (bytes->room - bytes->count >= more) return true;
    size_t room = bytes->room ? bytes->room : 1024;
    while (room - bytes->count < more) room *= 2;
    char *at = realloc(bytes->at, room);
    if (at == NULL) return trouble(wire, "no memory for %zu bytes", room);
    bytes->at = at;
    bytes->room = room;
    return true;
}

static bool add(struct simcore *wire, struct simcore_bytes *bytes, const char *at, size_t count) {
    if (count == 0) return true;
    if (!reserve(wire, bytes, count)) return false;
    memcpy(bytes->at + bytes->count, at, count);
    bytes->count += count;
    return true;
}

static bool add_text(struct simcore *wire, struct simcore_bytes *bytes, const char *text) {
    return add(wire, bytes, text, strlen(text));
}

static bool add_number(
    struct simcore *wire, struct simcore_bytes *bytes, const char *label, int64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do digits[--at] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (number < 0) digits[--at] = '-';
    return add_text(wire, bytes, label) && add(wire, bytes, digits + at, sizeof digits - at);
}

static bool add_string(
    struct simcore *wire, struct simcore_bytes *bytes, const char *label, const char *text) {
    if (!add_text(wire, bytes, label) || !add(wire, bytes, "\"", 1)) return false;
    for (const char *p = text; *p != 0; p++) {
        char escape[8];
        if (*p == '"' || *p == '\\') snprintf(escape, sizeof escape, "\\%c", *p);
        else if ((unsigned char)*p < 0x20) snprintf(escape, sizeof escape, "\\u%04x", *p);
        else escape[0] = *p, escape[1] = 0;
        if (!add_text(wire, bytes, escape)) return false;
    }
    return add(wire, bytes, "\"", 1);
}

/* Lines. */

static struct simcore_bytes *begin_line(struct simcore *wire) {
    wire->line.count = 0;
    return &wire->line;
}

static bool put(struct simcore *wire, const char *at, size_t count) {
    while (count > 0) {
        ssize_t written = write(wire->out, at, count);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return trouble(wire, "simcore is gone: %s", strerror(errno));
        at += written;
        count -= (size_t)written;
    }
    return true;
}

/* The next line without its newline; it holds until the next call. */
static bool get(struct simcore *wire, const char **line, size_t *size) {
    struct simcore_bytes *bytes = &wire->received;
    if (bytes->count > wire->used) memmove(bytes->at, bytes->at + wire->used, bytes->count - wire->used);
    bytes->count -= wire->used;
    wire->used = 0;
    for (size_t seen = 0;;) {
        const char *newline = NULL;
        if (bytes->count > seen) newline = memchr(bytes->at + seen, '\n', bytes->count - seen);
        if (newline != NULL) {
            *line = bytes->at;
            *size = (size_t)(newline - bytes->at);
            wire->used = *size + 1;
            return true;
        }
        seen = bytes->count;
        if (seen > SIMCORE_LINE_LIMIT) return trouble(wire, "a line of more than 16 MiB came");
        if (!reserve(wire, bytes, 65536)) return false;
        ssize_t got = read(wire->in, bytes->at + bytes->count, bytes->room - bytes->count);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return trouble(wire, "simcore is gone: %s", strerror(errno));
        if (got == 0) return trouble(wire, "simcore is gone: it closed the connection");
        bytes->count += (size_t)got;
    }
}

/* Fields of an object, in one walk; those that it lacks are none. */
static void get_fields(struct json object, const char *const names[], struct json values[], size_t count) {
    struct json_walk walk = json_begin(object);
    memset(values, 0, count * sizeof *values);
    for (struct json name, value; json_next(&walk, &name, &value);)
        for (size_t i = 0; i < count; i++)
            if (values[i].at == NULL && json_equals(name, names[i])) {
                values[i] = value;
                break;
            }
}

/* The next frame, unless it is an ERROR. */
static bool frame(struct simcore *wire, struct json *found) {
    const char *line = NULL;
    size_t size = 0;
    if (!get(wire, &line, &size)) return false;
    *found = json_parse(line, size);
    if (found->at == NULL || *line != '{') return trouble(wire, "simcore sent what is no frame");
    if (!json_equals(json_field(*found, "type"), "ERROR")) return true;
    char message[200];
    if (json_text(json_field(*found, "message"), message, sizeof message) == JSON_NO_TEXT)
        return trouble(wire, "simcore gave up");
    return trouble(wire, "simcore says: %s", message);
}

/* Connecting. */

static bool failed(struct simcore *wire, const char *address) {
    return trouble(wire, "cannot connect to %s: %s", address, strerror(errno));
}

static bool connect_unix(struct simcore *wire, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return trouble(wire, "the address %s is too long", path);
    strcpy(address.sun_path, path);
    wire->in = wire->out = socket(AF_UNIX, SOCK_STREAM, 0);
    if (wire->in < 0 || connect(wire->in, (struct sockaddr *)&address, sizeof address) < 0)
        return failed(wire, path);
    return true;
}

static bool connect_tcp(struct simcore *wire, const char *place) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64];
    const char *colon = strrchr(place, ':');
    size_t length = colon != NULL ? (size_t)(colon - place) : sizeof host;
    if (length >= sizeof host) return trouble(wire, "%s is no address", place);
    memcpy(host, place, length);
    host[length] = 0;
    long port = strtol(colon + 1, NULL, 10);
    if (port < 1 || port > 65535 || inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return trouble(wire, "%s is no address", place);
    address.sin_port = htons((uint16_t)port);
    wire->in = wire->out = socket(AF_INET, SOCK_STREAM, 0);
    if (wire->in < 0 || connect(wire->in, (struct sockaddr *)&address, sizeof address) < 0)
        return failed(wire, place);
    int yes = 1;
    if (setsockopt(wire->in, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) < 0) return failed(wire, place);
    return true;
}

static bool connect_stdio(struct simcore *wire) {
    wire->in = dup(STDIN_FILENO);
    wire->out = dup(STDOUT_FILENO);
    int nothing = open("/dev/null", O_RDONLY);
    bool connected = wire->in >= 0 && wire->out >= 0 && nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 &&
                     dup2(STDERR_FILENO, STDOUT_FILENO) >= 0;
    if (nothing >= 0) close(nothing);
    return connected || failed(wire, "stdio");
}

static bool hello(struct simcore *wire, const char *token, const char *name) {
    struct simcore_bytes *line = begin_line(wire);
    return add_text(wire, line, "{\"type\":\"HELLO\",\"protocol\":1,") &&
           add_string(wire, line, "\"token\":", token) && add_string(wire, line, ",\"name\":", name) &&
           add_text(wire, line, "}\n") && put(wire, line->at, line->count);
}

static bool init(struct simcore *wire) {
    struct json found, value;
    if (!frame(wire, &found)) return false;
    /* What is read from INIT stays, so its line gets a place of its own. */
    if (!add(wire, &wire->init, found.at, (size_t)(found.end - found.at))) return false;
    found.at = wire->init.at;
    found.end = wire->init.at + wire->init.count;
    int64_t protocol;
    if (!json_equals(json_field(found, "type"), "INIT") ||
        !json_integer(json_field(found, "seed"), &wire->seed) ||
        !json_integer(json_field(found, "protocol"), &protocol) ||
        !json_integer(json_field(found, "time"), &wire->time) ||
        !json_integer(json_field(found, "end"), &wire->end) ||
        !json_integer(json_field(found, "life"), &wire->life))
        return trouble(wire, "what came is no INIT");
    if (protocol != SIMCORE_PROTOCOL) return trouble(wire, "simcore speaks protocol %" PRId64, protocol);
    wire->nodes = json_field(found, "nodes");
    wire->config = json_field(found, "config");
    value = json_field(found, "name");
    size_t room = value.at != NULL ? (size_t)(value.end - value.at) + 1 : 1;
    wire->name = malloc(room);
    if (wire->name == NULL) return trouble(wire, "no memory for %zu bytes", room);
    if (json_text(value, wire->name, room) == JSON_NO_TEXT) return trouble(wire, "INIT has no name");
    return true;
}

bool simcore_connect(struct simcore *wire) {
    memset(wire, 0, sizeof *wire);
    wire->in = wire->out = -1;
    const char *address = getenv("SIMCORE_ADDRESS"), *token = getenv("SIMCORE_TOKEN");
    const char *name = getenv("SIMCORE_NAME");
    if (address == NULL || token == NULL || name == NULL)
        return trouble(wire, "SIMCORE_ADDRESS, _TOKEN or _NAME is not set: simcore has to start this");
    signal(SIGPIPE, SIG_IGN);
    bool connected = !strncmp(address, "unix:", 5)  ? connect_unix(wire, address + 5)
                     : !strncmp(address, "tcp:", 4) ? connect_tcp(wire, address + 4)
                     : !strcmp(address, "stdio")    ? connect_stdio(wire)
                                                    : trouble(wire, "%s is no address", address);
    return connected && hello(wire, token, name) && init(wire);
}

/* Taking part. */

static bool add_next(struct simcore *wire, struct simcore_bytes *line, int64_t next) {
    return next == SIMCORE_NEVER || add_number(wire, line, ",\"next\":", next);
}

bool simcore_ready(struct simcore *wire, const char *kind, int64_t next, int64_t grain) {
    struct simcore_bytes *line = begin_line(wire);
    return add_string(wire, line, "{\"type\":\"READY\",\"kind\":", kind) &&
           add_number(wire, line, ",\"grain\":", grain) && add_next(wire, line, next) &&
           add_text(wire, line, "}\n") && put(wire, line->at, line->count);
}

enum simcore_turn simcore_wait(struct simcore *wire) {
    struct json found;
    wire->outputs.count = wire->measures.count = wire->place_count = 0;
    if (!frame(wire, &found)) return SIMCORE_GONE;
    static const char *const names[] = {"type", "seq", "until", "inputs"};
    struct json values[4], type;
    get_fields(found, names, values, 4);
    type = values[0];
    if (json_equals(type, "SHUTDOWN")) {
        static const char bye[] = "{\"type\":\"BYE\"}\n";
        return put(wire, bye, sizeof bye - 1) ? SIMCORE_END : SIMCORE_GONE;
    }
    wire->inputs = values[3];
    if (json_equals(type, "ADVANCE") && json_integer(values[1], &wire->seq) &&
        json_integer(values[2], &wire->until) && wire->inputs.at != NULL)
        return SIMCORE_ADVANCE;
    trouble(wire, "what came is no ADVANCE");
    return SIMCORE_GONE;
}

bool simcore_input(struct simcore *wire, struct json_walk *inputs, struct simcore_input *input) {
    static const char *const names[] = {"at", "id", "src", "dst", "kind", "payload", "size", "sent"};
    struct json found, values[8];
    if (!json_next(inputs, NULL, &found)) return false;
    get_fields(found, names, values, 8);
    input->id = values[1];
    input->src = values[2];
    input->dst = values[3];
    input->kind = values[4];
    input->payload = values[5];
    if (json_is_string(input->id) && json_is_string(input->src) && json_is_string(input->dst) &&
        json_is_string(input->kind) && input->payload.at != NULL && json_integer(values[0], &input->at) &&
        json_integer(values[6], &input->size) && json_integer(values[7], &input->sent))
        return true;
    return trouble(wire, "an input lacks a field");
}

/* Where the text of an output lies. */
struct simcore_place {
    int64_t at, order;
    size_t from, behind;
};

/* Note an output whose text is the last one: behind all that do not come after it. */
static bool place(struct simcore *wire, const struct simcore_output *output, size_t from) {
    if (wire->place_count == wire->place_room) {
        size_t room = wire->place_room * 2 + 16;
        struct simcore_place *places = realloc(wire->places, room * sizeof *places);
        if (places == NULL) return trouble(wire, "no memory for %zu messages", room);
        wire->places = places;
        wire->place_room = room;
    }
    size_t i = wire->place_count++;
    for (; i > 0; i--) {
        const struct simcore_place *before = &wire->places[i - 1];
        if (before->at < output->at || (before->at == output->at && before->order <= output->order)) break;
        wire->places[i] = *before;
    }
    wire->places[i] = (struct simcore_place){output->at, output->order, from, wire->outputs.count};
    return true;
}

static bool add_outputs(struct simcore *wire, struct simcore_bytes *line) {
    bool added = true;
    for (size_t i = 0; added && i < wire->place_count; i++) {
        const struct simcore_place *its = &wire->places[i];
        added = add(wire, line, ",", i > 0) && add(wire, line, wire->outputs.at + its->from, its->behind - its->from);
    }
    return added;
}

bool simcore_output(struct simcore *wire, const struct simcore_output *output) {
    struct simcore_bytes *list = &wire->outputs;
    size_t from = list->count;
    bool added = add_number(wire, list, "{\"at\":", output->at) &&
                 add_string(wire, list, ",\"dst\":", output->dst) &&
                 add_string(wire, list, ",\"kind\":", output->kind);
    if (added && output->src != NULL) added = add_string(wire, list, ",\"src\":", output->src);
    if (added && output->size > 0) added = add_number(wire, list, ",\"size\":", output->size);
    if (added && output->cause != NULL) added = add_string(wire, list, ",\"cause\":", output->cause);
    if (added && (output->waited > 0 || output->computed > 0))
        added = add_number(wire, list, ",\"spent\":[", output->waited) &&
                add_number(wire, list, ",", output->computed) && add_text(wire, list, "]");
    if (added && output->payload.at != NULL)
        added = add_text(wire, list, ",\"payload\":") &&
                add(wire, list, output->payload.at, (size_t)(output->payload.end - output->payload.at));
    return added && add_text(wire, list, "}") && place(wire, output, from);
}

bool simcore_measure(struct simcore *wire, int64_t at, const char *node, const char *name,
                     const char *value) {
    struct simcore_bytes *list = &wire->measures;
    return add_number(wire, list, list->count > 0 ? ",{\"at\":" : "{\"at\":", at) &&
           (node == NULL || add_string(wire, list, ",\"node\":", node)) &&
           add_string(wire, list, ",\"name\":", name) && add_text(wire, list, ",\"value\":") &&
           add_text(wire, list, value) && add_text(wire, list, "}");
}

bool simcore_done(struct simcore *wire, int64_t next) {
    struct simcore_bytes *line = begin_line(wire);
    return add_number(wire, line, "{\"type\":\"DONE\",\"seq\":", wire->seq) &&
           add_number(wire, line, ",\"now\":", wire->until) && add_next(wire, line, next) &&
           add_text(wire, line, ",\"outputs\":[") && add_outputs(wire, line) &&
           add_text(wire, line, "],\"measures\":[") &&
           add(wire, line, wire->measures.at, wire->measures.count) && add_text(wire, line, "]}\n") &&
           put(wire, line->at, line->count);
}

void simcore_fail(struct simcore *wire, const char *message, const char *detail) {
    struct simcore_bytes *line = begin_line(wire);
    if (wire->out >= 0 && add_string(wire, line, "{\"type\":\"ERROR\",\"message\":", message) &&
        add_string(wire, line, ",\"detail\":", detail != NULL ? detail : "") && add_text(wire, line, "}\n"))
        put(wire, line->at, line->count);
}

void simcore_close(struct simcore *wire) {
    if (wire->out >= 0 && wire->out != wire->in) close(wire->out);
    if (wire->in >= 0) close(wire->in);
    free(wire->name);
    free(wire->received.at);
    free(wire->init.at);
    free(wire->line.at);
    free(wire->outputs.at);
    free(wire->measures.at);
    free(wire->places);
    memset(wire, 0, sizeof *wire);
    wire->in = wire->out = -1;
}
