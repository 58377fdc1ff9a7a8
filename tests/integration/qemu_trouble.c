/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Loaded into QEMU before all else (LD_PRELOAD), to bring about what is rare or elsewhere:
 *
 * LINGER  the processor's thread pauses where it has fallen asleep but has not added its last
 *         instructions to the clock, and wakes the main loop meanwhile
 * HIDE    a symbol that QEMU does not have
 * FAKE    a function of QEMU that does nothing and returns 0 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef void *(*lookup)(void *, const char *);
typedef void (*jump)(void *, int);

static void *real(const char *name)
{
    lookup look = (lookup)dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
    return look(RTLD_NEXT, name);
}

static long nothing(void) { return 0; }

void *dlsym(void *handle, const char *name)
{
    const char *hidden = getenv("HIDE"), *faked = getenv("FAKE");
    lookup look = (lookup)dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
    if (hidden && !strcmp(name, hidden))
        return NULL;
    if (faked && !strcmp(name, faked))
        return (void *)nothing;
    return look(handle, name);
}

/* WFI leaves the code that is executed by a jump. */
static void linger(void)
{
    if (!getenv("LINGER") || gettid() == getpid())
        return;
    void (*wake)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "qemu_notify_event");
    wake();
    usleep(1000);
}

__attribute__((noreturn)) void siglongjmp(void *place, int value)
{
    linger();
    ((jump)real("siglongjmp"))(place, value);
    __builtin_unreachable();
}

__attribute__((noreturn)) void __longjmp_chk(void *place, int value)
{
    linger();
    ((jump)real("__longjmp_chk"))(place, value);
    __builtin_unreachable();
}
