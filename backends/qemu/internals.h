/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What this module uses of QEMU beyond its plug-in interface, and therefore has to check.
 *
 * QEMU exports the symbols of its program to its plug-ins, but promises nothing about those here.
 * They are looked up by name when the module is loaded: a QEMU without one of them is refused in
 * words, not by the dynamic linker. Layouts are those of QEMU 7.2 and 10.0, which agree. */
#ifndef SIMCORE_INTERNALS_H
#define SIMCORE_INTERNALS_H

#include <stdbool.h>
#include <stdint.h>

/* -- layouts; where they are used, it says how each is checked ----------------------------------- */

enum { CLOCK_VIRTUAL = 1 }; /* QEMUClockType [include/qemu/timer.h] */

/* QEMUTimer [include/qemu/timer.h]. */
struct qemu_timer {
    int64_t expire_time; /* ns; -1: not armed */
    void *list;
    void (*callback)(void *);
    void *opaque;
    void *next;
    int attributes, scale;
};

/* QEMUTimerList [util/qemu-timer.c] has the links of its clock's lists before the function that is told
 * when the clock or the list changes; its place is looked for, for what precedes differs. */
enum { LIST_NEXT = -2, LIST_BACK = -1, LIST_NOTIFY = 0, LIST_OPAQUE = 1, LIST_SEARCHED = 32 };

/* ObjectClass [include/qom/object.h]: what every class begins with. */
struct object_class {
    void *type, *interfaces;
    const char *casts[8];
    void *unparent, *properties;
};

/* ChardevClass [include/chardev/char.h], up to what is wanted of it. */
struct chardev_class {
    struct object_class parent;
    bool internal, supports_yank;
    void *parse, *open;
    int (*write)(void *chardev, const uint8_t *bytes, int count);
};

/* AccelOpsClass [include/sysemu/accel-ops.h]: pointers; the wanted one stands behind two known ones. */
enum { ACCEL_OPS_SEARCHED = 8 };

/* -- symbols ------------------------------------------------------------------------------------- */

#define QEMU_FUNCTIONS(F)                                                                          \
    /* time [util/qemu-timer.c, softmmu/icount.c or accel/tcg/icount-common.c] */                  \
    F(int64_t, qemu_clock_get_ns, (int clock))                                                     \
    F(int64_t, qemu_clock_deadline_ns_all, (int clock, int attributes))                            \
    F(void, qemu_clock_notify, (int clock))                                                        \
    F(void *, timerlist_new, (int clock, void (*notify)(void *, int), void *opaque))               \
    F(bool, timerlist_has_timers, (void *list))                                                    \
    F(void, timer_init_full,                                                                       \
      (struct qemu_timer *, void *group, int clock, int scale, int attributes,                     \
       void (*callback)(void *), void *opaque))                                                    \
    F(void, timer_mod_ns, (struct qemu_timer *, int64_t when))                                     \
    F(void, timer_del, (struct qemu_timer *))                                                      \
    F(int64_t, icount_get_raw, (void))                                                             \
    F(int64_t, icount_to_ns, (int64_t instructions))                                               \
    F(void, icount_start_warp_timer, (void))                                                       \
    /* the processor [softmmu/cpus.c or system/cpus.c, cpus-common.c, accel/tcg] */                \
    F(void *, qemu_get_cpu, (int index))                                                           \
    F(bool, qemu_in_vcpu_thread, (void))                                                           \
    F(void, async_run_on_cpu, (void *cpu, void (*work)(void *, uint64_t), uint64_t data))          \
    F(void *, qemu_add_vm_change_state_handler,                                                    \
      (void (*handler)(void *, bool, int), void *opaque))                                          \
    F(void, qemu_register_reset, (void (*handler)(void *), void *opaque))                          \
    F(void, rr_start_vcpu_thread, (void *cpu))                                                     \
    F(void, rr_kick_vcpu_thread, (void *cpu))                                                      \
    /* memory: MemTxAttrs are a structure of at most 8 bytes [softmmu/physmem.c, system/] */       \
    F(void *, cpu_get_address_space, (void *cpu, int index))                                       \
    F(int, address_space_rw,                                                                       \
      (void *space, uint64_t address, uint64_t attributes, void *data, uint64_t size, bool write)) \
    /* character devices, classes [chardev/char.c, qom/object.c] */                                \
    F(void *, qemu_chr_find, (const char *id))                                                     \
    F(int, qemu_chr_be_can_write, (void *chardev))                                                 \
    F(void, qemu_chr_be_write, (void *chardev, const uint8_t *bytes, int count))                   \
    F(int, qemu_chr_write, (void *chardev, const uint8_t *bytes, int count, bool all))             \
    F(struct object_class *, object_class_by_name, (const char *name))                             \
    /* the command line [util/qemu-option.c, util/qemu-config.c] */                                \
    F(void *, qemu_find_opts, (const char *group))                                                 \
    F(void *, qemu_opts_find, (void *group, const char *id))                                       \
    F(bool, qemu_opt_get_bool, (void *options, const char *name, bool otherwise))

#define QEMU_POINTER(type, name, parameters) type(*name) parameters;
extern struct qemu_functions {
    QEMU_FUNCTIONS(QEMU_POINTER)
} qemu;

#endif
