/* A model of the STM32F405's clock control on the host, and its pins, in place of their registers.
 *
 * Each access asks the model first, which then does what the hardware would have done by now. */
#ifndef PART_H
#define PART_H

#include <stdbool.h>
#include <stdint.h>

enum { CR, PLLCFGR, CFGR, AHB1ENR, APB1ENR, ACR, PWR, MODER_A, PUPDR_A, AFRL_A, MODER_B, PUPDR_B, AFRH_B, COUNT };
extern volatile uint32_t registers[COUNT];
extern bool crystal, pll, flash, switches; /* what works */
extern int trouble; /* what must not be: 1 too fast for flash or power, 2 or for a bus;
                     * 3 driven by a PLL that is not locked; 4 no such register; 5 a port without clock */

volatile uint32_t *part(uint32_t address);
#define REGISTER(address) (*part(address))

#endif
