/* Firmware to be measured: wakes each PERIOD nanoseconds, computes for LOOPS rounds, sleeps on.
 *
 * Whatever it is told it answers with a message to the node `caller`. */
#include "app/hal.h"

#ifndef PERIOD
#define PERIOD 1000000
#endif
#ifndef LOOPS
#define LOOPS 0
#endif

void app_main(void) {
    static const char pong[] = "{\"dst\":\"caller\",\"kind\":\"pong\",\"payload\":7}\n";
    uint64_t wake = PERIOD;
    for (;;) {
        for (unsigned uart = 0; uart < HAL_UARTS; uart++)
            for (int byte; (byte = hal_uart_read(uart)) >= 0;)
                if (byte == '\n') hal_uart_write(uart, pong, sizeof pong - 1);
        if (hal_now() >= wake) {
            for (volatile unsigned i = 0; i < LOOPS; i++) {}
            wake += PERIOD;
        }
        hal_sleep_until(wake);
    }
}
