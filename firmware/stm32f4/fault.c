/* The end of a program that goes wrong: it says where, once, and is quiet.
 *
 *     fault: exception 3 at 0x08000abc, cfsr 0x00008200
 */
#include "board.h"
#include "registers.h"

#include <stddef.h>

static void hexadecimal(char *at, uint32_t value) {
    for (int digit = 0; digit < 8; digit++, value <<= 4) at[digit] = "0123456789abcdef"[value >> 28];
}

/* `frame` is what the processor has put on the stack: the seventh word is where it was. */
static __attribute__((used, noreturn)) void fault(const uint32_t *frame) {
    static char text[] = "\nfault: exception 00000000 at 0x00000000, cfsr 0x00000000\n";
    hexadecimal(text + 18, SCB_ICSR & 0x1FF);
    hexadecimal(text + 32, frame[6]);
    hexadecimal(text + 49, SCB_CFSR);
    uart_last_words(text);
    for (;;) __asm volatile("cpsid i\n wfi");
}

__attribute__((naked)) void Fault_Handler(void) {
    __asm volatile("mrs r0, msp\n b fault");
}
