/* Firmware for tests: what comes on one UART goes out on the other, byte for byte. */
#include "app/hal.h"

void app_main(void) {
    static char bytes[65536];
    for (;;) {
        for (unsigned uart = 0; uart < 2; uart++) {
            size_t count = 0;
            for (int byte; count < sizeof bytes && (byte = hal_uart_read(uart)) >= 0;)
                bytes[count++] = (char)byte;
            if (count > 0) hal_uart_write(!uart, bytes, count);
        }
        hal_sleep_until(UINT64_MAX);
    }
}
