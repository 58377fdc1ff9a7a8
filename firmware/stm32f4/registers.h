/* The registers that are used here, and no others. Addresses and bits: RM0090 (STM32F405/407
 * reference manual), sections in brackets; those of the core: PM0214 (Cortex-M4 programming manual). */
#ifndef REGISTERS_H
#define REGISTERS_H

#include <stdint.h>

/* A test on the host puts a model of the part in place of this. */
#ifndef REGISTER
#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#endif

/* Reset and clock control [7.3], embedded flash [3.9.1], power [5.4.1] */
#define RCC_CR REGISTER(0x40023800)
#define RCC_CR_HSIRDY (1u << 1)
#define RCC_CR_HSEON (1u << 16)
#define RCC_CR_HSERDY (1u << 17)
#define RCC_CR_PLLON (1u << 24)
#define RCC_CR_PLLRDY (1u << 25)
#define RCC_PLLCFGR REGISTER(0x40023804)
#define RCC_PLLCFGR_M_POS 0
#define RCC_PLLCFGR_N_POS 6
#define RCC_PLLCFGR_P_POS 16 /* 0: divide by 2 */
#define RCC_PLLCFGR_HSE (1u << 22)
#define RCC_PLLCFGR_Q_POS 24
#define RCC_CFGR REGISTER(0x40023808)
#define RCC_CFGR_SW_PLL (2u << 0)
#define RCC_CFGR_SWS (3u << 2)
#define RCC_CFGR_SWS_PLL (2u << 2)
#define RCC_CFGR_PPRE1_DIV4 (5u << 10)
#define RCC_CFGR_PPRE2_DIV2 (4u << 13)
#define RCC_AHB1ENR REGISTER(0x40023830)
#define RCC_AHB1ENR_GPIOA (1u << 0)
#define RCC_AHB1ENR_GPIOB (1u << 1)
#define RCC_APB1ENR REGISTER(0x40023840)
#define RCC_APB1ENR_USART2 (1u << 17)
#define RCC_APB1ENR_USART3 (1u << 18)
#define RCC_APB1ENR_PWR (1u << 28)
#define PWR_CR REGISTER(0x40007000)
#define PWR_CR_VOS (1u << 14) /* scale 1: needed above 144 MHz */
#define FLASH_ACR REGISTER(0x40023C00)
#define FLASH_ACR_LATENCY 7u
#define FLASH_ACR_PRFTEN (1u << 8)
#define FLASH_ACR_ICEN (1u << 9)
#define FLASH_ACR_DCEN (1u << 10)

/* Ports A and B [8.4; 2.3 for where they are] */
#define GPIOA_MODER REGISTER(0x40020000)
#define GPIOA_PUPDR REGISTER(0x4002000C)
#define GPIOA_AFRL REGISTER(0x40020020)
#define GPIOB_MODER REGISTER(0x40020400)
#define GPIOB_PUPDR REGISTER(0x4002040C)
#define GPIOB_AFRH REGISTER(0x40020424)

/* USART2 and USART3 [30.6; 2.3] */
#define USART2 0x40004400u
#define USART3 0x40004800u
#define USART_SR(base) REGISTER((base) + 0x00)
#define USART_SR_ORE (1u << 3)
#define USART_SR_RXNE (1u << 5)
#define USART_SR_TC (1u << 6)
#define USART_SR_TXE (1u << 7)
#define USART_DR(base) REGISTER((base) + 0x04)
#define USART_BRR(base) REGISTER((base) + 0x08)
#define USART_CR1(base) REGISTER((base) + 0x0C)
#define USART_CR1_RE (1u << 2)
#define USART_CR1_TE (1u << 3)
#define USART_CR1_RXNEIE (1u << 5)
#define USART_CR1_TXEIE (1u << 7)
#define USART_CR1_UE (1u << 13)

/* The core [PM0214 4.2 to 4.5] */
#define SYST_CSR REGISTER(0xE000E010)
#define SYST_CSR_ENABLE 7u /* counts the processor's clock, and interrupts at 0 */
#define SYST_RVR REGISTER(0xE000E014)
#define SYST_CVR REGISTER(0xE000E018)
#define NVIC_ISER1 REGISTER(0xE000E104)
#define SCB_ICSR REGISTER(0xE000ED04)
#define SCB_ICSR_PENDSTSET (1u << 26)
#define SCB_VTOR REGISTER(0xE000ED08)
#define SCB_CFSR REGISTER(0xE000ED28)

#endif
