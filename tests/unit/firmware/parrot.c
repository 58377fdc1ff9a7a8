/* Firmware for tests: says what it is told, whatever that is, on the UART on which it is told.
 *
 * The text of a message, else a line as it came, is written without anything added; `!other TEXT` is
 * written on the other UART, `!fault` runs into an instruction that there is not, `!flood` writes for ever,
 * `!spin` never sleeps, `!wake NS` sleeps so long, then says so. */
#include "app/hal.h"
#include "lib/json.h"

#ifdef __arm__
#define ROOM 4000
#else
#define ROOM 70000
#endif

static uint64_t wake = UINT64_MAX;

static bool begins(const char *text, const char *with) {
    while (*with != 0)
        if (*text++ != *with++) return false;
    return true;
}

static void say(unsigned uart, const char *bytes, size_t count) {
    if (begins(bytes, "!fault")) __builtin_trap();
    while (begins(bytes, "!flood")) hal_uart_write(uart, "flood ", 6);
    for (volatile bool spin = begins(bytes, "!spin"); spin;) {}
    if (begins(bytes, "!other ")) {
        hal_uart_write(1 - uart, bytes + 7, count - 7);
    } else if (begins(bytes, "!wake ")) {
        uint64_t sum = 0;
        for (const char *p = bytes + 6; *p >= '0' && *p <= '9'; p++) sum = sum * 10 + (uint64_t)(*p - '0');
        wake = hal_now() + sum;
    } else hal_uart_write(uart, bytes, count);
}

static void listen(unsigned uart) {
    static char lines[HAL_UARTS][ROOM], text[ROOM];
    static size_t counts[HAL_UARTS];
    char *line = lines[uart];
    for (int byte; (byte = hal_uart_read(uart)) >= 0;) {
        if (counts[uart] < ROOM - 1) line[counts[uart]++] = (char)byte;
        if (byte != '\n') continue;
        struct json payload = json_field(json_parse(line, counts[uart]), "payload");
        size_t length = json_text(payload, text, ROOM);
        line[counts[uart]] = 0;
        if (length != JSON_NO_TEXT) say(uart, text, length);
        else say(uart, line, counts[uart]);
        counts[uart] = 0;
    }
}

void app_main(void) {
    for (;;) {
        for (unsigned uart = 0; uart < HAL_UARTS; uart++) listen(uart);
        if (hal_now() >= wake) {
            wake = UINT64_MAX;
            hal_uart_write(0, "{\"dst\":\"peer\",\"kind\":\"awake\"}\n", 30);
        }
        hal_sleep_until(wake);
    }
}
