/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * QEMU's virtual clock made exact: who puts it forward, and when. */
#define _GNU_SOURCE
#include "clock.h"
#include "wire.h"

#include <dlfcn.h>
#include <string.h>

static void *processor;
static int64_t instruction; /* ns */
static int64_t slept;       /* ns that the clock was put forward while the processor slept */

int64_t clock_expected(void)
{
    return qemu.icount_to_ns(qemu.icount_get_raw()) + slept;
}

int64_t clock_event(int64_t due)
{
    int64_t now = qemu.qemu_clock_get_ns(CLOCK_VIRTUAL);
    if (now < due || now - due >= instruction)
        refuse("what was due at %lld ns came at %lld ns: this QEMU does not keep time",
               (long long)due, (long long)now);
#ifndef WITHOUT_WARP_REMEDY
    if (now != clock_expected())
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
static bool awake;    /* work is queued */
static bool notified; /* it was told at least once */

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
        qemu.async_run_on_cpu(processor, be_idle, 0);
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

/* -- start --------------------------------------------------------------------------------------- */

/* Layout of QEMUTimer: what QEMU writes into one stands where we expect it, and nowhere else. */
void make_timer(struct timer *timer, void (*callback)(void *), void *opaque)
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
 * in the class for TCG, and is empty. That it is the right one shows later: `clock_event` would notice
 * if somebody else put the clock forward. */
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

void clock_begin(void *cpu)
{
    processor = cpu;
    const int *counting = dlsym(RTLD_DEFAULT, "use_icount"); /* 1: exactly, 2: approximately */
    if (!counting)
        refuse("this QEMU does not export use_icount");
    void *options = qemu.qemu_opts_find(qemu.qemu_find_opts("icount"), NULL);
    if (*counting != 1 || !options || qemu.qemu_opt_get_bool(options, "sleep", true))
        refuse("QEMU has to be started with -icount shift=N,sleep=off");
    instruction = qemu.icount_to_ns(1);
    if (qemu.qemu_clock_get_ns(CLOCK_VIRTUAL) != 0 || qemu.icount_get_raw() != 0)
        refuse("the machine has run already");
    void *list = qemu.timerlist_new(CLOCK_VIRTUAL, keep_awake, &notified);
    qemu.qemu_clock_notify(CLOCK_VIRTUAL);
    if (!notified)
        refuse("the lists of timers of this QEMU are not told before callbacks run");
    take_over_sleep();
    spare_main_loop(list);
}
