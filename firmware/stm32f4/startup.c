/* What comes before the application: the vector table, and memory as C expects it. */
#include "board.h"
#include "registers.h"

#include <stddef.h>

/* From the linker script. */
extern uint32_t stack_top[], data_load[], data_start[], data_end[], bss_start[], bss_end[];

/* The compiler may call these, whatever it is told. */
void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memset(void *at, int value, size_t count);

void *memcpy(void *restrict to, const void *restrict from, size_t count) {
    unsigned char *t = to;
    for (const unsigned char *f = from; count > 0; count--) *t++ = *f++;
    return to;
}

void *memset(void *at, int value, size_t count) {
    for (unsigned char *p = at; count > 0; count--) *p++ = (unsigned char)value;
    return at;
}

void Reset_Handler(void) {
    for (uint32_t *to = data_start, *from = data_load; to < data_end;) *to++ = *from++;
    for (uint32_t *to = bss_start; to < bss_end;) *to++ = 0;
    port_main();
}

/* [PM0214 2.3.4; RM0090 12.2]: 16 entries of the core, 82 of the part. */
typedef void (*handler)(void);
union vector {
    handler handler;
    uint32_t *stack;
};
#pragma GCC diagnostic ignored "-Wpedantic" /* ranges: 80 lines of the same say less */
extern const union vector vectors[16 + 82];
__attribute__((section(".vectors"), used)) const union vector vectors[16 + 82] = {
    [0] = {.stack = stack_top},
    [1] = {Reset_Handler},
    [2 ... 6] = {Fault_Handler},
    [11] = {Fault_Handler},
    [12] = {Fault_Handler},
    [14] = {Fault_Handler},
    [15] = {SysTick_Handler},
    [16 ... 16 + USART2_POSITION - 1] = {Fault_Handler},
    [16 + USART2_POSITION] = {USART2_Handler},
    [16 + USART3_POSITION] = {USART3_Handler},
    [16 + USART3_POSITION + 1 ... 16 + 81] = {Fault_Handler},
};
