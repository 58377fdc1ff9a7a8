/* Firmware for tests: says what it is told, whatever that is, on the UART on which it is told.
 *
 * The text of a message, else a line as it came, is written without anything added; `!other TEXT` is
 * written on the other UART, `!fault` runs into an instruction that there is not, `!flood` writes for ever,
 * `!spin` never sleeps, `!nap NS` sleeps so long without listening, `!wake NS` sleeps so long, then says so. `!return` leaves the application. Of a
 * microcontroller alone, `!lockup` is a fault in the handling of a fault, and `!reset` a reset. */
#include "app/hal.h"
#include "lib/json.h"

#ifdef __arm__
#define ROOM 4000
#else
#define ROOM 70000
#endif

static uint64_t wake = UINT64_MAX;
static bool leave;

static bool begins(const char *text, const char *with) {
    while (*with != 0)
        if (*text++ != *with++) return false;
    return true;
}

static uint64_t number(const char *text) {
    uint64_t sum = 0;
    for (; *text >= '0' && *text <= '9'; text++) sum = sum * 10 + (uint64_t)(*text - '0');
    return sum;
}

static void say(unsigned uart, const char *bytes, size_t count) {
    if (begins(bytes, "!fault")) __builtin_trap();
    while (begins(bytes, "!flood")) hal_uart_write(uart, "flood ", 6);
    for (volatile bool spin = begins(bytes, "!spin"); spin;) {}
    leave |= begins(bytes, "!return");
#ifdef __arm__
    if (begins(bytes, "!lockup")) __asm volatile("mov sp, %0\n udf #0" ::"r"(0)); /* no stack to say it with */
    if (begins(bytes, "!reset")) *(volatile uint32_t *)0xE000ED0C = 0x05FA0004;   /* AIRCR: SYSRESETREQ */
#endif
    if (begins(bytes, "!other ")) {
        hal_uart_write(1 - uart, bytes + 7, count - 7);
    } else if (begins(bytes, "!nap ")) {
        uint64_t end = hal_now() + number(bytes + 5);
        while (hal_now() < end) hal_sleep_until(end);
    } else if (begins(bytes, "!wake ")) wake = hal_now() + number(bytes + 6);
    else hal_uart_write(uart, bytes, count);
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
        if (leave) return;
        if (hal_now() >= wake) {
            wake = UINT64_MAX;
            hal_uart_write(0, "{\"dst\":\"peer\",\"kind\":\"awake\"}\n", 30);
        }
        hal_sleep_until(wake);
    }
}
