/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The connection to simcore: frames are JSON lines, as docs/protocol.md has them, on QEMU's standard
 * input and output or on a Unix socket. */
#ifndef SIMCORE_WIRE_H
#define SIMCORE_WIRE_H

#include <stdbool.h>
#include <stdint.h>

/* Where simcore wrote what is read; each of these steps over what it took, or takes nothing. */
typedef const char *cursor;

bool wire_literal(cursor *at, const char *text);
bool wire_number(cursor *at, int64_t *value); /* from 0 to below 2^53 */
bool wire_hex(cursor *at, uint8_t *byte);

/* Bytes until the quote that ends a JSON string. */
int wire_text_length(cursor at);

/* Connects to SIMCORE_ADDRESS and says HELLO. */
void wire_open(void);

/* The next line from simcore, without its newline; valid until the next call. */
cursor wire_line(void);

void wire_send(const char *text, int length);

/* Says BYE, and ends the process with code 0. */
_Noreturn void wire_bye(void);

/* Ends the process with code 3: an ERROR for simcore, one line on standard error. */
_Noreturn void refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What DONE is going to contain, in order of time. */
void done_output(int uart, int64_t at, const uint8_t *bytes, int count);
void done_lost(int uart, int64_t at, const char *why);

/* Sends DONE and begins the next one; a fault of {0, 0} is none. */
void done_send(int64_t seq, int64_t now, int64_t executed, const uint32_t fault[2]);

#endif
