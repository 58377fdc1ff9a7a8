/* UARTs, and when bytes on them are complete: 10 bits each (8N1), one behind the other.
 *
 * As code takes no time, that is known as soon as bytes are written or a message has come; so a whole
 * write, and a whole line, is reckoned at once. What would be complete only when the run has ended,
 * never is. */
#include "port.h"

#include <stdlib.h>
#include <string.h>

#define BITS 10               /* of a byte on the line */
#define SECOND 1000000000     /* ns */
#define WAITING 1024          /* bytes that wait or are being sent at most, as the STM32's port has room for */

struct uart uarts[HAL_UARTS];

void uart_set_baud(struct uart *uart, int64_t baud) {
    uart->byte = (uint64_t)((2 * (int64_t)BITS * SECOND + baud) / (2 * baud));
}

/* The transmitter. */

/* Put bytes without a newline into the line; the first one is complete at `at`. */
static void lengthen(struct uart *uart, uint64_t at, const char *bytes, size_t count) {
    while (count > LONGEST_LINE - uart->line.count) {
        size_t part = LONGEST_LINE - uart->line.count;
        at += part * uart->byte; /* when the first one that is too many is complete */
        add(&uart->line, bytes, part);
        write_log(at, "no newline in 65536 bytes", "", 0);
        line_said(uart, at, uart->line.at, uart->line.count);
        uart->line.count = 0;
        bytes += part;
        count -= part;
    }
    add(&uart->line, bytes, count);
}

uint64_t uart_send(struct uart *uart, uint64_t now, const char *bytes, size_t count) {
    uint64_t from = uart->sent > now ? uart->sent : now, end = (uint64_t)(wire.end - wire.time);
    uart->sent = from + count * uart->byte;
    if (uart->mode != UNCONNECTED) {
        size_t complete = from < end ? (size_t)((end - 1 - from) / uart->byte) : 0;
        if (complete > count) complete = count;
        for (const char *at = bytes, *behind = bytes + complete; at < behind;) {
            const char *newline = memchr(at, '\n', (size_t)(behind - at));
            const char *stop = newline != NULL ? newline : behind;
            lengthen(uart, from + (uint64_t)(at + 1 - bytes) * uart->byte, at, (size_t)(stop - at));
            at = stop;
            if (newline == NULL) break;
            at++;
            line_said(uart, from + (uint64_t)(at - bytes) * uart->byte, uart->line.at, uart->line.count);
            uart->line.count = 0;
        }
    }
    uint64_t full = WAITING * uart->byte;
    return uart->sent > now + full ? uart->sent - full : now;
}

/* The receiver. */

/* One more arrival, behind all others. */
static struct arrival *arrive(struct uart *uart) {
    if (uart->last == uart->room) {
        size_t waiting = uart->last - uart->first;
        if (waiting > 0) memmove(uart->arrivals, uart->arrivals + uart->first, waiting * sizeof *uart->arrivals);
        uart->first = 0;
        uart->last = waiting;
        if (waiting * 2 >= uart->room) {
            size_t room = uart->room * 2 + 16;
            struct arrival *grown = realloc(uart->arrivals, room * sizeof *grown);
            if (grown == NULL) give_up("no memory");
            uart->arrivals = grown;
            uart->room = room;
        }
    }
    return &uart->arrivals[uart->last++];
}

void uart_receive(struct uart *uart, uint64_t now, size_t from) {
    if (uart->heard < now) uart->heard = now;
    const char *at = uart->received.at + from, *end = uart->received.at + uart->received.count;
    while (at < end) { /* a payload may hold newlines, so that it is several lines */
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t count = (size_t)((newline != NULL ? newline + 1 : end) - at);
        uart->heard += count * uart->byte;
        *arrive(uart) = (struct arrival){uart->heard, count};
        at += count;
    }
}

/* Forget what the application has read, unless much is left that would have to be moved. */
static void forget(struct uart *uart) {
    struct simcore_bytes *bytes = &uart->received;
    size_t left = bytes->count - uart->taken;
    if (left > uart->taken) return;
    if (left > 0) memmove(bytes->at, bytes->at + uart->taken, left);
    bytes->count = left;
    uart->ready -= uart->taken;
    uart->taken = 0;
}

void uart_listen(struct uart *uart, uint64_t now) {
    if (uart->taken > 0) forget(uart);
    for (; uart->first < uart->last && uart->arrivals[uart->first].due <= now; uart->first++) {
        uart->ready += uart->arrivals[uart->first].count;
        uart->ignored = false;
    }
    if (uart->first == uart->last) uart->first = uart->last = 0;
}

uint64_t uart_next(const struct uart *uart) {
    return uart->first < uart->last ? uart->arrivals[uart->first].due : UINT64_MAX;
}

void uart_close(struct uart *uart) {
    free(uart->line.at);
    free(uart->received.at);
    free(uart->arrivals);
}
