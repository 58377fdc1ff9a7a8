#include "part.h"

volatile uint32_t registers[COUNT];
bool crystal, pll, flash, switches;
int trouble;

static void be(volatile uint32_t *word, uint32_t bit, bool set) { *word = set ? *word | bit : *word & ~bit; }

volatile uint32_t *part(uint32_t address) {
    static const uint32_t places[COUNT] = {
        0x40023800, 0x40023804, 0x40023808, 0x40023830, 0x40023840, 0x40023C00, 0x40007000,
        0x40020000, 0x4002000C, 0x40020020, 0x40020400, 0x4002040C, 0x40020424,
    };
    static volatile uint32_t nowhere;
    volatile uint32_t *r = registers;
    be(&r[CR], 1u << 17, crystal && (r[CR] & 1u << 16)); /* HSERDY follows HSEON */
    bool source = !(r[PLLCFGR] & 1u << 22) || (r[CR] & 1u << 17);
    be(&r[CR], 1u << 25, pll && source && (r[CR] & 1u << 24)); /* PLLRDY follows PLLON */
    if (!flash) r[ACR] &= ~7u;
    if (switches) r[CFGR] = (r[CFGR] & ~0xCu) | (r[CFGR] & 3u) << 2; /* SWS follows SW */
    if ((r[CFGR] & 3u) == 2u) { /* the PLL drives the processor */
        if (!(r[CR] & 1u << 25)) trouble = 3;
        if ((r[ACR] & 7u) < 5u || !(r[PWR] & 1u << 14)) trouble = 1;
        if ((r[CFGR] >> 10 & 7u) != 5u || (r[CFGR] >> 13 & 7u) < 4u) trouble = 2;
    }
    if (address >> 11 == 0x40020000 >> 11 && !(r[AHB1ENR] >> (address >> 10 & 1) & 1u)) trouble = 5;
    for (int i = 0; i < COUNT; i++)
        if (places[i] == address) return &r[i];
    trouble = 4;
    return &nowhere;
}
