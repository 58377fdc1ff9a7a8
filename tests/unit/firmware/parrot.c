/* Firmware for tests: says what it is told, whatever that is.
 *
 * The text of a message, else a line as it came, is written without anything added; `!fault` runs into
 * an instruction that there is not, `!flood` writes for ever, `!wake NS` sleeps so long, then says so. */
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

static void say(const char *bytes, size_t count) {
    if (begins(bytes, "!fault")) __builtin_trap();
    while (begins(bytes, "!flood")) hal_uart_write("flood ", 6);
    if (begins(bytes, "!wake ")) {
        uint64_t sum = 0;
        for (const char *p = bytes + 6; *p >= '0' && *p <= '9'; p++) sum = sum * 10 + (uint64_t)(*p - '0');
        wake = hal_now() + sum;
    } else hal_uart_write(bytes, count);
}

void app_main(void) {
    static char line[ROOM], text[ROOM];
    size_t count = 0;
    for (;;) {
        for (int byte; (byte = hal_uart_read()) >= 0;) {
            if (count < sizeof line - 1) line[count++] = (char)byte;
            if (byte != '\n') continue;
            struct json payload = json_field(json_parse(line, count), "payload");
            size_t length = json_text(payload, text, sizeof text);
            line[count] = 0;
            if (length != JSON_NO_TEXT) say(text, length);
            else say(line, count);
            count = 0;
        }
        if (hal_now() >= wake) {
            wake = UINT64_MAX;
            hal_uart_write("{\"dst\":\"peer\",\"kind\":\"awake\"}\n", 30);
        }
        hal_sleep_until(wake);
    }
}
