/* The participant's side of simcore's protocol (docs/protocol.md), in C.
 *
 * Reusable: these two files and lib/json.{c,h} are all of it; POSIX and nothing else. One object, one
 * connection, no threads. Functions that return false have left a line in `trouble`.
 *
 *     struct simcore wire;
 *     if (!simcore_connect(&wire) || !simcore_ready(&wire, "reactive", wire.time, 1)) ...
 *     while (simcore_wait(&wire) == SIMCORE_ADVANCE) {
 *         struct json_walk inputs = json_begin(wire.inputs);
 *         for (struct simcore_input input; simcore_input(&wire, &inputs, &input);) ...
 *         simcore_output(&wire, &(struct simcore_output){.at = wire.until, .dst = "panel", .kind = "x"});
 *         simcore_done(&wire, wire.until + 1000000);
 *     }
 */
#ifndef SIMCORE_WIRE_H
#define SIMCORE_WIRE_H

#include "../lib/json.h"

#include <stdio.h>

#define SIMCORE_PROTOCOL 1
#define SIMCORE_NEVER (-1) /* as `next`: only when a message arrives */
#define SIMCORE_LINE_LIMIT (16u * 1024 * 1024)

enum simcore_turn {
    SIMCORE_ADVANCE, /* seq, until and inputs are those of an ADVANCE, to be answered by simcore_done */
    SIMCORE_END,     /* SHUTDOWN came, and BYE is sent: exit with code 0 */
    SIMCORE_GONE,    /* simcore is gone or talks nonsense; `trouble` says it: exit with another code */
};

struct simcore_bytes { /* grows as needed */
    char *at;
    size_t count, room;
};

/* Times are virtual, in nanoseconds. What is said to be JSON is a part of a line and holds as
 * long as the line: that of INIT for ever, that of ADVANCE until the next simcore_wait. */
struct simcore {
    /* From INIT. */
    char *name;               /* of the participant */
    struct json nodes;        /* JSON: names of the nodes that it hosts */
    struct json config;       /* JSON: an object */
    int64_t seed, time, end, life;
    /* From the last ADVANCE. */
    int64_t seq, until;
    struct json inputs;       /* JSON: an array, for simcore_input */
    /* What went wrong, in one line. */
    char trouble[256];
    /* The rest is nobody else's business. */
    int in, out;
    struct simcore_bytes received, init, line, outputs, measures;
    struct simcore_place *places; /* of outputs, in order of their times */
    size_t place_count, place_room;
    size_t used;              /* of `received`, by lines that were handled */
};

struct simcore_input {
    int64_t at, size, sent;
    struct json id, src, dst, kind; /* JSON: strings */
    struct json payload;            /* JSON: any value */
};

/* Texts are UTF-8; NULL, where a field is optional, leaves it out. */
struct simcore_output {
    int64_t at;
    const char *src;          /* optional: needed if several nodes are hosted */
    const char *dst, *kind;
    struct json payload;      /* optional */
    int64_t size;             /* bytes on the network; 0: the length of the payload */
    const char *cause;        /* optional: id of an input */
    int64_t waited, computed; /* ns; both 0: not said */
    int64_t order;            /* among outputs of one time: lower ones go first, equal ones as they were added */
};

/* Connect as SIMCORE_ADDRESS says, send HELLO, take INIT. With stdio, what is printed from now on
 * goes to standard error, so that it cannot get between frames. Ignores SIGPIPE. */
bool simcore_connect(struct simcore *wire);

/* Send READY. `kind`: "reactive" or "free_running"; `next`: a time or SIMCORE_NEVER. */
bool simcore_ready(struct simcore *wire, const char *kind, int64_t next, int64_t grain);

/* Wait for what simcore wants next. */
enum simcore_turn simcore_wait(struct simcore *wire);

/* The next input of a walk that began at wire->inputs; false behind the last. */
bool simcore_input(struct simcore *wire, struct json_walk *inputs, struct simcore_input *input);

/* Add a message, or a measurement, to the DONE that simcore_done will send; messages in any order of
 * their times. JSON that is handed in must hold no newline; `node` may be NULL unless several nodes are hosted; `value` is JSON. */
bool simcore_output(struct simcore *wire, const struct simcore_output *output);
bool simcore_measure(struct simcore *wire, int64_t at, const char *node, const char *name,
                     const char *value);

/* Send DONE, with `now` = `until`. */
bool simcore_done(struct simcore *wire, int64_t next);

/* Tell simcore that this participant cannot go on; `detail` may be NULL. The run ends with it. */
void simcore_fail(struct simcore *wire, const char *message, const char *detail);

/* Give back memory and the connection. */
void simcore_close(struct simcore *wire);

#endif
