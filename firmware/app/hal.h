/* What the application needs of a machine: all that a port implements.
 *
 * Time begins at boot. On a port with a model of time it passes only in hal_sleep_until, and in
 * hal_uart_write while there is no room; on a real machine it passes everywhere. An application must
 * not care. */
#ifndef HAL_H
#define HAL_H

#include <stddef.h>
#include <stdint.h>

#define HAL_UARTS 2 /* they are numbered from 0 */

/* Time since boot, in nanoseconds. */
uint64_t hal_now(void);

/* Sleep until this time (nanoseconds since boot), or until there are bytes to read on any UART. Bytes
 * that were there when it last returned, on a UART that was not read since, do not count: who does not
 * care for a UART can sleep. It may be some time late: a millisecond on a machine that wakes by a
 * millisecond tick. */
void hal_sleep_until(uint64_t time);

/* Send bytes over a UART; returns when all of them are accepted. About 1024 bytes may wait for the
 * line; who writes more waits until there is room. */
void hal_uart_write(unsigned uart, const char *bytes, size_t count);

/* The next byte that a UART has received, or -1. */
int hal_uart_read(unsigned uart);

/* Bytes that were lost because nobody read them in time. */
uint32_t hal_uart_lost(unsigned uart);

/* The application: called once by the port, never returns. */
void app_main(void);

#endif
