/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The machine's clock, in ns since power-on. */
#ifndef SIMCORE_CLOCK_H
#define SIMCORE_CLOCK_H

#include "internals.h"

struct timer {
    struct qemu_timer of_qemu;
    uint64_t guard[4]; /* shows whether QEMU's timers are larger than we know */
};

void make_timer(struct timer *timer, void (*callback)(void *), void *opaque);

/* Before the first instruction of the machine with this processor: nobody but us puts its clock
 * forward from now on. */
void clock_begin(void *cpu);

/* The time, in the callback of a timer that was due at a given time. It may be later by less than an
 * instruction, for the one under way is finished first, and never by more. */
int64_t clock_event(int64_t due);

/* What the time has to be: that of the instructions, and what we have put it forward. */
int64_t clock_expected(void);

#endif
