/* What the files of this port share.
 *
 *     port.c     the HAL, and time: it passes while the application sleeps
 *     uart.c     when bytes are complete on a UART
 *     lines.c    a line becomes a message, and a message a line
 *     config.c   which UARTs there are, and how fast
 *     bytes.c    bytes that grow; base64
 *
 * Times are in nanoseconds since boot, unless they are for simcore. */
#ifndef PORT_H
#define PORT_H

#include "../app/hal.h"
#include "simcore_wire.h"

#define NAME_SIZE 4096     /* of a node or a kind, with the 0 behind it */
#define LONGEST_LINE 65536 /* bytes; what is longer is cut */

extern struct simcore wire;

/* This device cannot go on: the run ends, and its report quotes this. */
_Noreturn void give_up(const char *why);

/* bytes.c */

void add(struct simcore_bytes *bytes, const char *at, size_t count);
void add_text(struct simcore_bytes *bytes, const char *text);
void add_json(struct simcore_bytes *bytes, const char *label, struct json json);
void add_base64(struct simcore_bytes *bytes, const char *from, size_t count);
/* What base64 stands for; anything that belongs to no base64 is passed over. */
void add_decoded(struct simcore_bytes *bytes, const char *text, size_t count);

/* uart.c */

enum mode {
    UNCONNECTED, /* what is written takes its time, and is gone */
    ADDRESSED,   /* lines that address a node are messages */
    RAW,         /* lines go to the peer, whatever they are */
    LOG,         /* lines go to the log, and nothing comes */
};

struct arrival { /* a line on the way to the application */
    uint64_t due; /* when its newline is complete */
    size_t count;
};

struct uart {
    enum mode mode;
    char peer[NAME_SIZE];
    uint64_t byte;                 /* the time that one takes */
    /* The transmitter. */
    uint64_t sent;                 /* when the last byte that was accepted is complete */
    struct simcore_bytes line;     /* what is complete since the last newline */
    /* The receiver. */
    uint64_t heard;                /* when the last byte that is on the wire is complete */
    struct simcore_bytes received; /* read up to `taken`, to be read up to `ready`, the rest is on the wire */
    size_t taken, ready;
    bool ignored;                  /* the application was woken for these bytes, and has not looked */
    struct arrival *arrivals;      /* a queue: from `first` up to `last` */
    size_t first, last, room;
};

extern struct uart uarts[HAL_UARTS];

void uart_set_baud(struct uart *uart, int64_t baud);
/* Put bytes into the transmitter, however many: lines that they complete are said.
 * Returns the time at which there is room for the last of them. */
uint64_t uart_send(struct uart *uart, uint64_t now, const char *bytes, size_t count);
/* A line begins to come: the bytes of `received` from `from` on. */
void uart_receive(struct uart *uart, uint64_t now, size_t from);
/* Let the application read what is complete. */
void uart_listen(struct uart *uart, uint64_t now);
/* When the next line is complete; UINT64_MAX: none is on the wire. */
uint64_t uart_next(const struct uart *uart);
void uart_close(struct uart *uart);

/* lines.c */

/* The application has said a line (without its newline); `at`: when it was complete. */
void line_said(const struct uart *uart, uint64_t at, const char *bytes, size_t count);
/* A message has come: it becomes a line on the UART that is its. */
void message_came(uint64_t now, const struct simcore_input *input);
/* To the log of the run: what is not printable ASCII as \xNN. */
void write_log(uint64_t at, const char *why, const char *bytes, size_t count);
void lines_close(void);

/* config.c */

/* Read config of INIT; give up if there is something wrong with it. */
void read_config(void);

#endif
