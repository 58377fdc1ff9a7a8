/* The HAL on the host: a participant of simcore, one process for each device.
 *
 * Time passes only while the application sleeps, or waits for room to write: it is advanced when it
 * wants to wake, when a message comes, and when a line has come in whole. So it costs nothing in
 * between, and code takes no time. What it writes is told to simcore at once, with the time at which
 * it will have left. */
#include "port.h"

#include <stdlib.h>

#define AT_ONCE 65536 /* bytes of a write that are reckoned at once, so that DONE cannot get too long */

struct simcore wire;
static uint64_t now;

_Noreturn static void leave(int code) {
    simcore_close(&wire);
    for (size_t i = 0; i < HAL_UARTS; i++) uart_close(&uarts[i]);
    lines_close();
    exit(code);
}

/* The connection is of no use any more. */
_Noreturn static void gone(void) {
    fprintf(stderr, "%s\n", wire.trouble);
    leave(1);
}

_Noreturn void give_up(const char *why) {
    fprintf(stderr, "%s\n", why);
    simcore_fail(&wire, why, NULL);
    leave(1);
}

/* Time. */

/* Wait until simcore wants something of this device. */
static void await(void) {
    enum simcore_turn turn = simcore_wait(&wire);
    if (turn == SIMCORE_END) {
        for (struct uart *uart = uarts; uart < uarts + HAL_UARTS; uart++)
            if (uart->line.count > 0) write_log(now, "a line without its end: ", uart->line.at, uart->line.count);
        leave(0);
    }
    if (turn == SIMCORE_GONE) gone();
    now = (uint64_t)(wire.until - wire.time);
    wire.trouble[0] = 0;
    struct json_walk inputs = json_begin(wire.inputs);
    for (struct simcore_input input; simcore_input(&wire, &inputs, &input);) message_came(now, &input);
    if (wire.trouble[0] != 0) gone();
    for (size_t i = 0; i < HAL_UARTS; i++) uart_listen(&uarts[i], now);
}

/* Let time pass: until then, or until a message comes. */
static void pass(uint64_t until) {
    bool ends = until < (uint64_t)(wire.end - wire.time);
    if (!simcore_done(&wire, ends ? wire.time + (int64_t)until : SIMCORE_NEVER)) gone();
    await();
}

uint64_t hal_now(void) { return now; }

void hal_sleep_until(uint64_t time) {
    while (now < time) {
        uint64_t wake = time;
        bool woken = false;
        for (size_t i = 0; i < HAL_UARTS; i++) {
            struct uart *uart = &uarts[i];
            bool unread = uart->taken < uart->ready;
            uint64_t next = uart_next(uart);
            woken |= unread && !uart->ignored;
            uart->ignored = unread;
            if (next < wake) wake = next;
        }
        if (woken) return;
        pass(wake);
    }
}

/* UARTs. */

void hal_uart_write(unsigned uart, const char *bytes, size_t count) {
    while (count > 0) {
        size_t part = count < AT_ONCE ? count : AT_ONCE;
        uint64_t room = uart_send(&uarts[uart], now, bytes, part);
        while (now < room) pass(room);
        bytes += part;
        count -= part;
    }
}

int hal_uart_read(unsigned uart) {
    struct uart *from = &uarts[uart];
    from->ignored = false;
    return from->taken < from->ready ? (unsigned char)from->received.at[from->taken++] : -1;
}

uint32_t hal_uart_lost(unsigned uart) {
    (void)uart; /* memory is not scarce here */
    return 0;
}

/* Starting. */

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
    await();
    app_main();
}
