/* The pins of both UARTs: see board.h. Figures: RM0090 8.3.2 (alternate functions), 8.4 (registers). */
#include "board.h"
#include "registers.h"

void pins_start(void) {
    RCC_AHB1ENR |= RCC_AHB1ENR_GPIOA | RCC_AHB1ENR_GPIOB;
    RCC_APB1ENR |= RCC_APB1ENR_USART2 | RCC_APB1ENR_USART3;
    (void)RCC_APB1ENR; /* the clocks need two cycles to come [errata ES0182] */

    /* PA2 and PA3, PB10 and PB11: alternate function 7; a pull-up keeps an open receiver quiet. */
    GPIOA_MODER = (GPIOA_MODER & ~0xF0u) | 0xA0u;
    GPIOA_PUPDR = (GPIOA_PUPDR & ~0xC0u) | 0x40u;
    GPIOA_AFRL = (GPIOA_AFRL & ~0xFF00u) | 0x7700u;
    GPIOB_MODER = (GPIOB_MODER & ~0xF00000u) | 0xA00000u;
    GPIOB_PUPDR = (GPIOB_PUPDR & ~0xC00000u) | 0x400000u;
    GPIOB_AFRH = (GPIOB_AFRH & ~0xFF00u) | 0x7700u;
}
