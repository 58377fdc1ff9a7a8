/* A board with an STM32F405 or F407, a crystal of 8 MHz, USART2 on PA2 (TX) and PA3 (RX), and USART3 on
 * PB10 (TX) and PB11 (RX): STM32F4DISCOVERY, Olimex STM32-H405, Netduino Plus 2 and others. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

#define HSI_HZ 16000000u
#define HSE_HZ 8000000u
#define SYSCLK_HZ 168000000u
#define USART2_BAUD 115200u
#ifndef USART3_BAUD
#define USART3_BAUD 9600u /* what most modems and sensors speak at first */
#endif
#define USART2_POSITION 38 /* in the vector table [RM0090 12.2] */
#define USART3_POSITION 39

/* What the clocks are: the processor's and SysTick's, and that of both UARTs. */
struct clocks {
    uint32_t system, apb1;
};

/* Go to 168 MHz, from the crystal or, if it does not start, from the internal oscillator. All waits
 * are bounded. If the PLL does not lock either, the clock stays at 16 MHz: everything is slower, and
 * correct. An emulator without a model of the clock control runs at 168 MHz already. */
struct clocks clock_start(void);

/* Connect the pins to USART2 and USART3, and give all of them a clock. */
void pins_start(void);

/* USART_BRR for oversampling by 16 [RM0090 30.3.4]: sixteenths, rounded to the nearest. */
uint32_t baud_divisor(uint32_t clock, uint32_t baud);

/* Send a text over USART2 by polling, with interrupts off: for what ends in a fault. */
void uart_last_words(const char *text);

/* Where the processor goes: see startup.c. */
void Reset_Handler(void);
void Fault_Handler(void);
void SysTick_Handler(void);
void USART2_Handler(void);
void USART3_Handler(void);
void port_main(void);

#endif
