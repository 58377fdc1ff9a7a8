/* SPDX-License-Identifier: MIT
 *
 * Firmware with a known timeline, for the STM32F405, by which simcore tells whether a QEMU is exact.
 * What it says, and when to the nanosecond, stands in ../timeline.py.
 *
 * Each millisecond SysTick says one letter on USART2, from a processor that sleeps in between: ticks
 * that are lost show at once. The receivers of USART2 and USART3 are switched on with tick LISTEN.
 * A byte that is received is said again, from the interrupt, and then obeyed, with interrupts on
 * unless it says otherwise:
 *   0x00..0xEF  count down from 64 times the byte, then say '.' on USART2 (0x00: do nothing)
 *   0xF0        count down from 60,000 with interrupts off, then say '!'
 *   0xF1        an undefined instruction; after it, say 'X' and sleep
 *   0xF2        reset
 *   0xF3        say 'u' for ever
 *   0xF4        count for ever
 *   0xF5        switch the receiver of USART2 off, for LISTEN ticks
 *   0xF6        no more ticks
 *   0xF7        a fault while a fault is handled, for the table of handlers holds none */
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define APB1ENR REGISTER(0x40023840) /* RCC: clocks of USART2 and USART3 */
#define UART2 0x40004400
#define UART3 0x40004800
#define DATA(uart) REGISTER((uart) + 4)
#define CONTROL(uart) REGISTER((uart) + 12)
#define SYSTICK_CONTROL REGISTER(0xE000E010)
#define SYSTICK_RELOAD REGISTER(0xE000E014)
#define SYSTICK_VALUE REGISTER(0xE000E018)
#define ENABLE_INTERRUPTS_32_63 REGISTER(0xE000E104)
#define VECTOR_TABLE REGISTER(0xE000ED08)
#define APPLICATION_INTERRUPT REGISTER(0xE000ED0C)

enum {
    UE = 1 << 13, RXNEIE = 1 << 5, TE = 1 << 3, RE = 1 << 2, /* bits of CONTROL */
    LISTEN = 5,
    TICK = 168000, /* processor clocks: a millisecond */
};

extern uint32_t stack_top[];
void reset(void);

static volatile uint32_t ticks, deaf_until, order; /* order: the byte and 0x100, or 0 */

static void count_down(uint32_t from)
{
    __asm volatile("1: subs %0, #1\n bne 1b" : "+l"(from) : : "cc");
}

static void tick(void)
{
    uint32_t now = ++ticks;
    DATA(UART2) = 'a' + now % 26;
    if (now == LISTEN) {
        CONTROL(UART2) |= RE;
        CONTROL(UART3) |= RE;
    }
    if (now == deaf_until)
        CONTROL(UART2) |= RE;
}

static void received(uint32_t uart)
{
    uint32_t byte = DATA(uart);
    DATA(uart) = byte;
    if (byte)
        order = byte | 0x100;
}

static void received2(void) { received(UART2); }
static void received3(void) { received(UART3); }

static void fault(void)
{
    DATA(UART2) = 'X';
    for (;;)
        __asm volatile("wfi");
}

static void obey(uint32_t byte)
{
    switch (byte) {
    case 0xF0:
        __asm volatile("cpsid i");
        count_down(60000);
        DATA(UART2) = '!';
        __asm volatile("cpsie i");
        break;
    case 0xF1:
        __asm volatile("udf #0");
        break;
    case 0xF2:
        APPLICATION_INTERRUPT = 0x05FA0004;
        for (;;)
            ;
    case 0xF3:
        for (;;)
            DATA(UART2) = 'u';
    case 0xF4:
        for (;;)
            count_down(1000);
    case 0xF5:
        CONTROL(UART2) &= ~RE;
        deaf_until = ticks + LISTEN;
        break;
    case 0xF6:
        SYSTICK_CONTROL = 0;
        break;
    case 0xF7:
        VECTOR_TABLE = 0x20010000;
        __asm volatile("udf #0");
        break;
    default:
        count_down(64 * byte);
        DATA(UART2) = '.';
    }
}

void reset(void)
{
    ticks = deaf_until = order = 0; /* memory is not cleared by anybody else */
    APB1ENR |= 1 << 17 | 1 << 18;
    CONTROL(UART2) = UE | TE | RXNEIE;
    CONTROL(UART3) = UE | TE | RXNEIE;
    DATA(UART2) = 'S';
    DATA(UART3) = 'T';
    ENABLE_INTERRUPTS_32_63 = 1 << (38 - 32) | 1 << (39 - 32);
    SYSTICK_RELOAD = TICK - 1;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 7; /* processor clock, interrupt, on */
    for (;;) {
        __asm volatile("cpsid i");
        uint32_t work = order;
        order = 0;
        if (!work)
            __asm volatile("wfi"); /* an interrupt that is masked wakes it, too */
        __asm volatile("cpsie i\n isb");
        if (work)
            obey(work & 0xFF);
    }
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16 + 40] = {
    [0] = stack_top, [1] = (void *)reset, [2] = (void *)fault, [3] = (void *)fault,
    [4] = (void *)fault, [5] = (void *)fault, [6] = (void *)fault, [15] = (void *)tick,
    [16 + 38] = (void *)received2, [16 + 39] = (void *)received3,
};
