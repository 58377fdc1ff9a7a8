/* The HAL on an STM32F405/407, without vendor code: SysTick is the only source of time; USART2 and
 * USART3 are UARTs 0 and 1.
 *
 * The processor sleeps (WFI) whenever the application does, and wakes by the millisecond tick or a
 * byte; so sleeping ends up to a millisecond late. */
#include "../app/hal.h"
#include "board.h"
#include "registers.h"

#include <stdbool.h>

#define TICK_NS 1000000u
#define RING 1024 /* a power of two; of each direction */

/* Bytes between the application and an interrupt: one side writes `head`, the other `tail`. */
struct ring {
    volatile uint32_t head, tail;
    volatile uint8_t bytes[RING];
};

struct uart {
    uint32_t base; /* of its registers */
    struct ring sending, receiving;
    volatile uint32_t lost;
    volatile bool ignored; /* the application was woken for what there is, and has not looked */
};

static struct uart uarts[HAL_UARTS];
static volatile uint64_t ticks; /* ms */
static uint32_t cycles_of_tick, cycles_of_us;

static bool put(struct ring *ring, uint8_t byte) {
    uint32_t head = ring->head;
    if (head - ring->tail == RING) return false;
    ring->bytes[head % RING] = byte;
    ring->head = head + 1;
    return true;
}

static int get(struct ring *ring) {
    uint32_t tail = ring->tail;
    if (tail == ring->head) return -1;
    uint8_t byte = ring->bytes[tail % RING];
    ring->tail = tail + 1;
    return byte;
}

static bool empty(const struct ring *ring) { return ring->head == ring->tail; }

static void interrupts_off(void) { __asm volatile("cpsid i" ::: "memory"); }
static void interrupts_on(void) { __asm volatile("cpsie i\n isb" ::: "memory"); }

/* Wakes by any interrupt, also by one that is held off; then it is handled. */
static void sleep(void) { __asm volatile("dsb\n wfi" ::: "memory"); }

/* Time. */

void SysTick_Handler(void) { ticks++; }

uint64_t hal_now(void) {
    uint64_t before;
    uint32_t left;
    bool pending;
    do { /* until no tick has come in between */
        before = ticks;
        left = SYST_CVR;
        pending = (SCB_ICSR & SCB_ICSR_PENDSTSET) != 0;
    } while (before != ticks);
    /* With interrupts off a tick may be waiting; it belongs to a count that has begun anew. */
    if (pending && left > cycles_of_tick / 2) before++;
    return before * TICK_NS + (cycles_of_tick - 1 - left) * 1000u / cycles_of_us;
}

void hal_sleep_until(uint64_t time) {
    for (;;) {
        interrupts_off(); /* so that no byte comes between the look and the sleep */
        bool done = hal_now() >= time;
        for (unsigned i = 0; i < HAL_UARTS; i++) {
            bool unread = !empty(&uarts[i].receiving);
            done |= unread && !uarts[i].ignored;
            uarts[i].ignored = unread;
        }
        if (!done) sleep();
        interrupts_on();
        if (done) return;
    }
}

/* UARTs. */

/* Hand bytes to the transmitter while it takes them, and ask to be called when it takes more.
 * Interrupts are off, or this is one. */
static void feed(struct uart *uart) {
    while ((USART_SR(uart->base) & USART_SR_TXE) != 0) {
        int byte = get(&uart->sending);
        if (byte < 0) break;
        USART_DR(uart->base) = (uint32_t)byte;
    }
    uint32_t enabled = USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_RXNEIE;
    USART_CR1(uart->base) = empty(&uart->sending) ? enabled : enabled | USART_CR1_TXEIE;
}

static void handle(struct uart *uart) {
    uint32_t status = USART_SR(uart->base);
    if ((status & (USART_SR_RXNE | USART_SR_ORE)) != 0) {
        uint8_t byte = (uint8_t)USART_DR(uart->base); /* reading SR, then DR, also ends an overrun */
        if ((status & USART_SR_ORE) != 0) uart->lost++;
        if ((status & USART_SR_RXNE) != 0) {
            if (put(&uart->receiving, byte)) uart->ignored = false;
            else uart->lost++;
        }
    }
    feed(uart);
}

void USART2_Handler(void) { handle(&uarts[0]); }
void USART3_Handler(void) { handle(&uarts[1]); }

void hal_uart_write(unsigned number, const char *bytes, size_t count) {
    struct uart *uart = &uarts[number];
    for (size_t i = 0; i < count; i++)
        for (bool taken = false; !taken;) {
            interrupts_off();
            taken = put(&uart->sending, (uint8_t)bytes[i]);
            if (!taken) {
                feed(uart);
                if (uart->sending.head - uart->sending.tail == RING) sleep();
            }
            interrupts_on();
        }
    interrupts_off();
    feed(uart);
    interrupts_on();
}

int hal_uart_read(unsigned uart) {
    uarts[uart].ignored = false;
    return get(&uarts[uart].receiving);
}

uint32_t hal_uart_lost(unsigned uart) { return uarts[uart].lost; }

void uart_last_words(const char *text) {
    USART_CR1(USART2) = USART_CR1_UE | USART_CR1_TE;
    for (; *text != 0; text++) {
        for (uint32_t turn = 0; turn < 100000 && (USART_SR(USART2) & USART_SR_TXE) == 0; turn++) {}
        USART_DR(USART2) = (uint8_t)*text;
    }
}

/* Starting. */

static void uart_start(struct uart *uart, uint32_t base, uint32_t divisor) {
    uart->base = base;
    USART_BRR(base) = divisor;
    USART_CR1(base) = USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_RXNEIE;
}

static void uarts_start(uint32_t clock) {
    uart_start(&uarts[0], USART2, baud_divisor(clock, USART2_BAUD));
    uart_start(&uarts[1], USART3, baud_divisor(clock, USART3_BAUD));
    NVIC_ISER1 = 1u << (USART2_POSITION - 32) | 1u << (USART3_POSITION - 32);
}

void port_main(void) {
    SCB_VTOR = 0x08000000;
    struct clocks clocks = clock_start();
    cycles_of_tick = clocks.system / 1000;
    cycles_of_us = clocks.system / 1000000;
    SYST_RVR = cycles_of_tick - 1;
    SYST_CVR = 0;
    SYST_CSR = SYST_CSR_ENABLE;
    pins_start();
    uarts_start(clocks.apb1);
    app_main();
}
