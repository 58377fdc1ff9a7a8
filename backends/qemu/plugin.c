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
 * Four traps lie in the way. Their remedies can be left out, for tests only:
 *   WITHOUT_TICK_REMEDY      lost ticks; inputs that come late: see `keep_awake`
 *   WITHOUT_WARP_REMEDY      a race of two threads for the clock: see `sleeping`
 *   WITHOUT_OVERSHOOT_REMEDY windows end within an instruction: see `receive` */
#define _GNU_SOURCE
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

#define DECLARE(type, name, parameters) type(*name) parameters;
static struct {
    QEMU_FUNCTIONS(DECLARE)
} qemu;

struct timer {
    struct qemu_timer of_qemu;
    uint64_t guard[4]; /* shows whether QEMU's timers are larger than we know */
};

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
static int64_t until, seq; /* of the window that is under way */
static void *cpu, *memory;
static int64_t instruction;    /* ns */
static int64_t slept;          /* ns that the clock was put forward while the processor slept */
static const uint8_t *written; /* what came to `transmit` last, for `take_uarts` */

/* -- time ---------------------------------------------------------------------------------------- */

/* The machine's time. An event that was due at a given time may come later by less than one
 * instruction, for the one under way is finished first: never more. */
static int64_t time_of_event(int64_t due)
{
    int64_t now = qemu.qemu_clock_get_ns(CLOCK_VIRTUAL);
    if (now < due || now - due >= instruction)
        refuse("what was due at %lld ns came at %lld ns: this QEMU does not keep time",
               (long long)due, (long long)now);
#ifndef WITHOUT_WARP_REMEDY
    if (now != qemu.icount_to_ns(qemu.icount_get_raw()) + slept)
        refuse("at %lld ns: QEMU's clock was put forward by something else than this module",
               (long long)now);
#endif
    return now;
}

/* Trap: lost ticks. When a timer is armed before all others, QEMU 7.2 puts the clock forward to it at
 * once if the processor sleeps, even in the middle of the callbacks of timers. A periodic timer arms
 * itself again before it raises its interrupt: the clock jumps a period ahead, and then the processor
 * is woken. Every other tick is lost. In the same way the end of a window, armed before an input that
 * comes sooner, would make that input late.
 *
 * Remedy: a processor that has work queued does not count as sleeping. QEMU notifies all lists of
 * timers before callbacks run; this is the notification of a list of ours, in which no timer ever
 * is. The work, nothing, is done when the callbacks are over. QEMU 10 does not need it. */
static bool awake;
static bool notified;

static void be_idle(void *unused, uint64_t data)
{
    (void)unused;
    (void)data;
    __atomic_store_n(&awake, false, __ATOMIC_RELEASE);
}

static void keep_awake(void *unused, int clock)
{
    (void)unused;
    (void)clock;
    notified = true;
#ifndef WITHOUT_TICK_REMEDY
    if (!__atomic_exchange_n(&awake, true, __ATOMIC_ACQ_REL))
        qemu.async_run_on_cpu(cpu, be_idle, 0);
#else
    (void)be_idle;
    (void)awake;
#endif
}

/* Trap: a race of two threads. When the processor goes to sleep, QEMU's main loop puts the clock
 * forward by the time that is left until the next timer, while the processor's thread may not have
 * added its last instructions to the clock yet: then the timer comes too late by these. It is rare,
 * some few of 100,000 windows.
 *
 * Remedy: the accelerator may say whether the processor sleeps, which that for TCG leaves open. Ours
 * says to the main loop that it never does, and puts the clock forward in the processor's own
 * thread, where all instructions are accounted for. It is also faster: the main loop sleeps. */
static bool sleeping(void *unused)
{
    static bool jumping;
    (void)unused;
    if (jumping)
        return true; /* icount_start_warp_timer asks, called from below */
    if (!qemu.qemu_in_vcpu_thread())
        return false;
    int64_t left = qemu.qemu_clock_deadline_ns_all(CLOCK_VIRTUAL, -1);
    if (left > 0) {
        int64_t before = qemu.qemu_clock_get_ns(CLOCK_VIRTUAL);
        jumping = true;
        qemu.icount_start_warp_timer();
        jumping = false;
        int64_t jump = qemu.qemu_clock_get_ns(CLOCK_VIRTUAL) - before;
        if (jump <= 0)
            refuse("QEMU waits in real time while the processor sleeps");
        slept += jump;
    }
    return left < 0; /* without any timer it would sleep for ever */
}

/* Speed only: each time the clock jumps, QEMU tells all lists of timers, and those of block devices wake
 * the main loop each time, which then competes with the processor for QEMU's lock: most of what a
 * window costs. They hold no timers here. Those that do are told as ever. */
static struct told {
    void *list, *opaque;
    void (*notify)(void *opaque, int clock);
} told[4];

static void tell_if_needed(void *opaque, int clock)
{
    for (struct told *it = told; it < told + 4; it++)
        if (it->list && it->opaque == opaque &&
            (qemu.timerlist_has_timers(it->list) || !qemu.qemu_in_vcpu_thread()))
            it->notify(opaque, clock);
}

/* Starts from our own list, `ours`; if lists are not laid out as is known, it leaves all as it is. */
static void spare_main_loop(void **ours)
{
    void **main_lists = dlsym(RTLD_DEFAULT, "main_loop_tlg"); /* the main loop's own, for each clock */
    int place = -LIST_NEXT, count = 0;
    while (place < LIST_SEARCHED && ours[place] != (void *)keep_awake)
        place++;
    void **at = ours + place, **back = place < LIST_SEARCHED ? at[LIST_BACK] : NULL;
    if (!main_lists || at[LIST_OPAQUE] != &notified || !back || *back != ours)
        return;
    for (void **next; (next = at[LIST_NEXT]) && count < 4; at = next + place) {
        if (next[place + LIST_BACK] != at + LIST_NEXT)
            return;
        if (next == main_lists[CLOCK_VIRTUAL] || !next[place + LIST_NOTIFY])
            continue;
        told[count++] = (struct told){next, next[place + LIST_OPAQUE],
                                      (void (*)(void *, int))next[place + LIST_NOTIFY]};
        next[place + LIST_NOTIFY] = (void *)tell_if_needed;
    }
}

/* -- UARTs --------------------------------------------------------------------------------------- */

/* In place of the null character devices' own function; called within the instruction that writes. */
static int transmit(void *chardev, const uint8_t *bytes, int count)
{
    written = bytes;
    for (int number = 0; cpu && number < uart_count; number++)
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
    time_of_event(chunk->due);
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
    int64_t now = then = time_of_event(until > then ? until : then);
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
        } else if (wire_literal(&at, "{\"type\":\"ERROR\"")) {
            refuse("simcore says: %.300s", line);
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
    int64_t now = qemu.icount_to_ns(qemu.icount_get_raw()) + slept;
    refuse("the firmware has reset the processor at %lld ns after power-on: in QEMU that is not exact",
           (long long)now);
}

/* Layout of QEMUTimer: what QEMU writes into one stands where we expect it, and nowhere else. */
static void make_timer(struct timer *timer, void (*callback)(void *), void *opaque)
{
    struct qemu_timer *it = &timer->of_qemu;
    memset(timer, 0xA5, sizeof *timer);
    struct timer blank = *timer;
    qemu.timer_init_full(it, NULL, CLOCK_VIRTUAL, 1, 0, callback, opaque);
    bool known = it->expire_time == -1 && it->callback == callback && it->opaque == opaque &&
                 it->scale == 1 && it->attributes == 0;
    it->next = NULL;
    qemu.timer_mod_ns(it, 0); /* armed for now, no timer makes the clock jump */
    known = known && it->expire_time == 0;
    qemu.timer_del(it);
    if (!known || it->expire_time != -1 || memcmp(timer->guard, blank.guard, sizeof blank.guard))
        refuse("the timers of this QEMU are not laid out as in those that are known");
}

/* Layout of AccelOpsClass: the place to fill stands behind two pointers to functions that are known,
 * in the class for TCG, and is empty. That it is the right one shows later: `time_of_event` would
 * notice if somebody else put the clock forward. */
static void take_over_sleep(void)
{
#ifndef WITHOUT_WARP_REMEDY
    struct object_class *class = qemu.object_class_by_name("tcg-accel-ops");
    void **place = (void **)(class + 1);
    for (int i = 0; class && i < ACCEL_OPS_SEARCHED; i++, place++)
        if (place[0] == (void *)qemu.rr_start_vcpu_thread &&
            place[1] == (void *)qemu.rr_kick_vcpu_thread && !place[2]) {
            place[2] = (void *)sleeping;
            return;
        }
    refuse("the accelerator of this QEMU is not laid out as in those that are known");
#else
    (void)sleeping;
#endif
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
static void begin(void *unused, bool running, int state)
{
    static bool begun;
    uint8_t id[4] = {0};
    (void)unused;
    (void)state;
    if (!running || begun)
        return;
    begun = true;
    const int *counting = dlsym(RTLD_DEFAULT, "use_icount"); /* 1: exactly, 2: approximately */
    if (!counting)
        refuse("this QEMU does not export use_icount");
    void *options = qemu.qemu_opts_find(qemu.qemu_find_opts("icount"), NULL);
    if (*counting != 1 || !options || qemu.qemu_opt_get_bool(options, "sleep", true))
        refuse("QEMU has to be started with -icount shift=N,sleep=off");
    instruction = qemu.icount_to_ns(1);
    if (qemu.qemu_clock_get_ns(CLOCK_VIRTUAL) != 0 || qemu.icount_get_raw() != 0)
        refuse("the machine has run already");
    void *first = qemu.qemu_get_cpu(0);
    if (!first || qemu.qemu_get_cpu(1))
        refuse("the machine has to have one processor");
    memory = qemu.cpu_get_address_space(first, 0);
    if (!read_memory(CPUID, id, sizeof id) || id[3] != ARM)
        refuse("the machine's processor is no Cortex-M");
    take_uarts();
    cpu = first; /* from now on, what is written is output */
    void *list = qemu.timerlist_new(CLOCK_VIRTUAL, keep_awake, &notified);
    make_timer(&window, end_window, NULL);
    qemu.timer_mod_ns(&window.of_qemu, 0);
    qemu.qemu_clock_notify(CLOCK_VIRTUAL);
    if (!notified)
        refuse("the lists of timers of this QEMU are not told before callbacks run");
    take_over_sleep();
    spare_main_loop(list);
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
