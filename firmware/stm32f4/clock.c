/* The clocks of the part: see board.h. Figures: RM0090 7.2 (clocks), 3.5.1 (wait states). */
#include "board.h"
#include "registers.h"

#include <stdbool.h>

/* Turns of a wait: more than 10 ms at 16 MHz. A crystal takes 2 ms, the PLL 0.2 ms. */
#define PATIENCE 40000

static bool becomes(volatile uint32_t *word, uint32_t mask, uint32_t value) {
    for (int turn = 0; turn < PATIENCE; turn++)
        if ((*word & mask) == value) return true;
    return false;
}

struct clocks clock_start(void) {
    struct clocks fast = {SYSCLK_HZ, SYSCLK_HZ / 4}, slow = {HSI_HZ, HSI_HZ};

    /* The part boots from this oscillator: where it does not run, nobody models the clocks. */
    if ((RCC_CR & RCC_CR_HSIRDY) == 0) return fast;

    RCC_CR |= RCC_CR_HSEON;
    bool crystal = becomes(&RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY);

    RCC_APB1ENR |= RCC_APB1ENR_PWR;
    PWR_CR |= PWR_CR_VOS;

    /* Into the PLL goes 1 MHz; 336 MHz come out of its oscillator: half of it for the processor, a
     * seventh (48 MHz) for USB. */
    RCC_PLLCFGR = (crystal ? HSE_HZ / 1000000u : HSI_HZ / 1000000u) << RCC_PLLCFGR_M_POS |
                  336u << RCC_PLLCFGR_N_POS | 0u << RCC_PLLCFGR_P_POS | 7u << RCC_PLLCFGR_Q_POS |
                  (crystal ? RCC_PLLCFGR_HSE : 0);
    RCC_CR |= RCC_CR_PLLON;
    if (!becomes(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY)) return slow;

    /* Flash needs 5 wait states above 150 MHz, before the clock is that fast. */
    FLASH_ACR = FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN | 5u;
    if (!becomes(&FLASH_ACR, FLASH_ACR_LATENCY, 5u)) return slow;

    /* APB1 runs at 42 MHz at most, APB2 at 84 MHz. */
    RCC_CFGR = RCC_CFGR_PPRE1_DIV4 | RCC_CFGR_PPRE2_DIV2;
    RCC_CFGR = RCC_CFGR_PPRE1_DIV4 | RCC_CFGR_PPRE2_DIV2 | RCC_CFGR_SW_PLL;
    if (becomes(&RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL)) return fast;
    RCC_CFGR = 0; /* back to the internal oscillator, undivided */
    return slow;
}

uint32_t baud_divisor(uint32_t clock, uint32_t baud) { return (clock + baud / 2) / baud; }
