/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Runs an unmodified qemu-system-arm in windows of virtual time, exact to the nanosecond.
 *
 * Loaded with -plugin into a QEMU with -icount shift=N,sleep=off, whose virtual clock counts
 * instructions and, while the processor sleeps, jumps to the next timer. A virtual timer of ours
 * stands at the end of the window: its callback answers simcore and blocks until the next window is
 * granted. Nothing runs meanwhile. Between those, timers put each byte of input into its receiver at
 * its time, and what the firmware writes is taken from QEMU's null character devices with the time
 * of the instruction that wrote it.
 *
 * What is relied on is checked at the start, or at each use; what is not as expected ends QEMU.
 *
 * Four traps lie in the way: clock.c has three of them, `receive` the fourth. Their remedies can be
 * left out, for tests only, with -DWITHOUT_TICK_REMEDY, _WARP_REMEDY or _OVERSHOOT_REMEDY. */
#define _GNU_SOURCE
#include "clock.h"
#include "internals.h"
#include "wire.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum {
    MAX_UARTS = 8,
    CPUID = 0xE000ED00, /* registers of a Cortex-M [ARMv7-M ARM B3.2] */
    CFSR = 0xE000ED28,  /* HFSR follows */
    ARM = 0x41,         /* the implementer in CPUID */
};

struct qemu_functions qemu;

/* Bytes for a receiver: the one at `next` is complete at `due`, each further one `step` later. */
struct chunk {
    struct chunk *following;
    int64_t due, step;
    int count, next;
    uint8_t bytes[];
};

static struct uart {
    const char *id;   /* of its character device */
    void *chardev;
    uint64_t control; /* address of the register that switches the receiver on, or 0 */
    uint32_t enabled; /* bits of it that have to be set */
    struct timer timer;
    struct chunk *first, **end; /* what is still to be received */
    int64_t booked;             /* when the last byte of it is complete */
} uarts[MAX_UARTS];
static int uart_count;

static struct timer window;
static int64_t until, seq;     /* of the window that is under way */
static void *memory;           /* as the processor sees it */
static bool running;           /* what is written is output */
static const uint8_t *written; /* what came to `transmit` last */

/* -- UARTs --------------------------------------------------------------------------------------- */

/* In place of the null character devices' own function; called within the instruction that writes. */
static int transmit(void *chardev, const uint8_t *bytes, int count)
{
    written = bytes;
    for (int number = 0; running && number < uart_count; number++)
        if (uarts[number].chardev == chardev)
            done_output(number, qemu.qemu_clock_get_ns(CLOCK_VIRTUAL), bytes, count);
    return count;
}

static bool read_memory(uint64_t address, void *data, uint64_t size)
{
    return qemu.address_space_rw(memory, address, 0, data, size, false) == 0;
}

/* A byte is complete. */
static void receive(void *opaque)
{
    struct uart *uart = opaque;
    struct chunk *chunk = uart->first;
    int number = (int)(uart - uarts);
    uint32_t control = 0;
    clock_event(chunk->due);
    if (uart->control && !read_memory(uart->control, &control, sizeof control))
        refuse("there is no register at %#llx", (unsigned long long)uart->control);
    if ((control & uart->enabled) != uart->enabled)
        done_lost(number, chunk->due, "off");
    else if (qemu.qemu_chr_be_can_write(uart->chardev) <= 0)
        done_lost(number, chunk->due, "overrun");
    else
        qemu.qemu_chr_be_write(uart->chardev, &chunk->bytes[chunk->next], 1);
    /* Trap: this callback runs when the instruction under way is finished. The next byte is due a
     * step after this one was, not a step after now, or a line would get longer and longer. */
    int64_t due = chunk->due += chunk->step;
#ifdef WITHOUT_OVERSHOOT_REMEDY
    due = qemu.qemu_clock_get_ns(CLOCK_VIRTUAL) + chunk->step;
#endif
    if (++chunk->next == chunk->count) {
        if (!(uart->first = chunk->following))
            uart->end = &uart->first;
        free(chunk);
        if (!uart->first)
            return;
        due = uart->first->due;
    }
    qemu.timer_mod_ns(&uart->timer.of_qemu, due);
}

/* `[uart,due,step,"hex"]`: adds it to what the receiver is to get, `since` at the earliest. */
static bool take_chunk(cursor *at, int64_t since)
{
    int64_t number, due, step, last;
    if (!wire_literal(at, "[") || !wire_number(at, &number) || !wire_literal(at, ",") ||
        !wire_number(at, &due) || !wire_literal(at, ",") || !wire_number(at, &step) ||
        !wire_literal(at, ",\""))
        return false;
    size_t count = strcspn(*at, "\"") / 2;
    if (number >= uart_count)
        refuse("an input is for UART %lld: there are %d", (long long)number, uart_count);
    struct uart *uart = &uarts[number];
    if (count == 0 || step == 0 || __builtin_mul_overflow((int64_t)count - 1, step, &last) ||
        __builtin_add_overflow(last, due, &last))
        return false;
    if (due < since || due < uart->booked)
        refuse("an input for UART %lld is due at %lld ns: that is past, or before other input",
               (long long)number, (long long)due);
    struct chunk *chunk = malloc(sizeof *chunk + count);
    if (!chunk)
        refuse("no memory for %zu bytes of input", count);
    *chunk = (struct chunk){.due = due, .step = step, .count = (int)count};
    for (size_t i = 0; i < count; i++)
        if (!wire_hex(at, &chunk->bytes[i]))
            return false;
    uart->booked = last;
    bool idle = !uart->first;
    *uart->end = chunk;
    uart->end = &chunk->following;
    if (idle)
        qemu.timer_mod_ns(&uart->timer.of_qemu, due);
    return wire_literal(at, "\"]");
}

/* -- windows ------------------------------------------------------------------------------------- */

/* `"seq":1,"until":1000,"inputs":[...]}`: fields that come after these are of no interest. */
static bool take_window(cursor *at)
{
    int64_t since = until;
    if (!wire_literal(at, "\"seq\":") || !wire_number(at, &seq) ||
        !wire_literal(at, ",\"until\":") || !wire_number(at, &until) ||
        !wire_literal(at, ",\"inputs\":["))
        return false;
    if (until < since)
        refuse("a window ends at %lld ns: that is past", (long long)until);
    if (!wire_literal(at, "]")) {
        do
            if (!take_chunk(at, since))
                return false;
        while (wire_literal(at, ","));
        if (!wire_literal(at, "]"))
            return false;
    }
    return **at == '}' || **at == ',';
}

/* The processor locks up: a fault while it handles one. QEMU says so, and aborts. */
static void give_up(int unused)
{
    (void)unused;
    refuse("QEMU has given up, for the reason that it has just printed");
}

/* Told by a signal to end, QEMU ends in its main loop, which waits for us while we wait for simcore.
 * It has nothing to put in order, so the signal itself may end it. For QEMU sets its own handlers late,
 * this is done before the first instruction. */
static void take_signals(void)
{
    signal(SIGABRT, give_up);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
}

/* The end of a window, and the beginning of the next. If that one ends before the instruction does
 * that was under way at the end of this one, its timer is over already: QEMU calls us again before
 * the processor goes on, but after inputs that come sooner. */
static void end_window(void *unused)
{
    static const char ready[] =
        "{\"type\":\"READY\",\"kind\":\"free_running\",\"next\":null,\"grain\":1}\n";
    static enum { STARTED, READY, GRANTED } phase;
    static int64_t then; /* when we were here last */
    (void)unused;
    int64_t now = then = clock_event(until > then ? until : then);
    if (phase == GRANTED) {
        uint32_t fault[2] = {0, 0};
        read_memory(CFSR, fault, sizeof fault);
        done_send(seq, now, qemu.icount_get_raw(), fault);
    }
    for (;;) {
        cursor line = wire_line(), at = line;
        if (phase != STARTED && wire_literal(&at, "{\"type\":\"ADVANCE\",") && take_window(&at)) {
            phase = GRANTED;
            qemu.timer_mod_ns(&window.of_qemu, until);
            return;
        }
        at = line;
        if (phase == STARTED && wire_literal(&at, "{\"type\":\"INIT\"")) {
            take_signals();
            wire_send(ready, sizeof ready - 1);
            phase = READY;
        } else if (wire_literal(&at, "{\"type\":\"SHUTDOWN\"")) {
            wire_bye();
        } else if (wire_literal(&at, "{\"type\":\"ERROR\",\"message\":\"")) {
            refuse("simcore says: %.*s", wire_text_length(at), at);
        } else {
            refuse("this is not understood: %.100s", line);
        }
    }
}

/* -- start --------------------------------------------------------------------------------------- */

/* A reset goes through QEMU's main loop, which may put the clock forward on the way. */
static void reset(void *unused)
{
    (void)unused;
    refuse("the firmware has reset the processor at %lld ns after power-on: in QEMU that is not exact",
           (long long)clock_expected());
}

/* Layout of ChardevClass: what QEMU is told to write into our character devices comes to us. */
static void take_uarts(void)
{
    static const uint8_t probe[] = "?";
    struct chardev_class *null = (void *)qemu.object_class_by_name("chardev-null");
    if (!null)
        refuse("this QEMU has no character device 'null'");
    null->write = transmit;
    for (int i = 0; i < uart_count; i++) {
        struct uart *uart = &uarts[i];
        if (!(uart->chardev = qemu.qemu_chr_find(uart->id)))
            refuse("there is no character device %s: give QEMU -chardev null,id=%s", uart->id, uart->id);
        written = NULL;
        if (qemu.qemu_chr_write(uart->chardev, probe, 1, true) != 1 || written != probe)
            refuse("character device %s is not of the kind 'null', or not laid out as is known", uart->id);
        uart->end = &uart->first;
        make_timer(&uart->timer, receive, uart);
    }
}

/* The machine is made and is about to run for the first time; no instruction was executed yet. */
static void begin(void *unused, bool runs, int state)
{
    static bool begun;
    uint8_t id[4] = {0};
    (void)unused;
    (void)state;
    if (!runs || begun)
        return;
    begun = true;
    void *first = qemu.qemu_get_cpu(0);
    if (!first || qemu.qemu_get_cpu(1))
        refuse("the machine has to have one processor");
    memory = qemu.cpu_get_address_space(first, 0);
    if (!read_memory(CPUID, id, sizeof id) || id[3] != ARM)
        refuse("the machine's processor is no Cortex-M");
    clock_begin(first);
    take_uarts();
    make_timer(&window, end_window, NULL);
    qemu.timer_mod_ns(&window.of_qemu, 0);
    running = true;
    qemu.qemu_register_reset(reset, NULL);
}

/* `uart=ID` for each UART, and `receiverN=ADDRESS:MASK` for those whose receiver can be off. */
static void take_argument(const char *argument)
{
    unsigned number;
    unsigned long long address;
    unsigned mask;
    int end = 0;
    if (!strncmp(argument, "uart=", 5)) {
        if (uart_count == MAX_UARTS)
            refuse("there are more than %d UARTs", MAX_UARTS);
        if (!(uarts[uart_count++].id = strdup(argument + 5)))
            refuse("no memory");
    } else if (sscanf(argument, "receiver%u=%llx:%x%n", &number, &address, &mask, &end) == 3 &&
               !argument[end] && number < MAX_UARTS) {
        uarts[number].control = address;
        uarts[number].enabled = mask;
    } else {
        refuse("argument %s is not known", argument);
    }
}

/* -- what QEMU looks for ------------------------------------------------------------------------- */

/* The version of the plug-in interface: none of it is used but that a module is loaded, so it is the
 * one of this QEMU, as far as can be seen before it asks [include/qemu/qemu-plugin.h]. */
EXPORT int qemu_plugin_version = 1;

__attribute__((constructor)) static void choose_version(void)
{
    if (dlsym(RTLD_DEFAULT, "qemu_plugin_scoreboard_new"))
        qemu_plugin_version = 2;
    if (dlsym(RTLD_DEFAULT, "qemu_plugin_request_time_control"))
        qemu_plugin_version = 4;
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    (void)id;
    (void)info;
    wire_open();
    for (int i = 0; i < argc; i++)
        take_argument(argv[i]);
#define LOOK_UP(type, name, parameters)                                                            \
    if (!(qemu.name = (type(*) parameters)dlsym(RTLD_DEFAULT, #name)))                             \
        refuse("this QEMU does not export %s", #name);
    QEMU_FUNCTIONS(LOOK_UP)
    qemu.qemu_add_vm_change_state_handler(begin, NULL);
    return 0;
}
