/* Which UARTs there are, how fast they are and where their lines go: `config` of INIT.
 *
 *     {"uart": {"usart2": {"baud": 115200, "mode": "addressed"},
 *               "usart3": {"baud": 9600, "mode": "raw", "peer": "modem"}}} */
#include "port.h"

#include <stdarg.h>
#include <string.h>

#define BAUD 115200
#define LEAST_BAUD 300
#define MOST_BAUD 10000000

static const char *const NAMES[HAL_UARTS] = {"usart2", "usart3"}; /* as on the STM32F405 */
static const char *const MODES[] = {[ADDRESSED] = "addressed", [RAW] = "raw", [LOG] = "log"};

_Noreturn static void refuse(const char *format, ...) {
    static char why[512];
    va_list arguments;
    va_start(arguments, format);
    size_t begin = (size_t)snprintf(why, sizeof why, "config: ");
    vsnprintf(why + begin, sizeof why - begin, format, arguments);
    va_end(arguments);
    give_up(why);
}

/* A piece of JSON, for printf's %.*s. */
#define SHOWN(json) (int)((json).end - (json).at > 100 ? 100 : (json).end - (json).at), (json).at

static void read_field(struct uart *uart, const char *name, struct json field, struct json value) {
    if (json_equals(field, "baud")) {
        int64_t baud;
        if (!json_integer(value, &baud) || baud < LEAST_BAUD || baud > MOST_BAUD)
            refuse("uart: %s: baud is %.*s, no whole number from %d to %d", name, SHOWN(value), LEAST_BAUD,
                   MOST_BAUD);
        uart_set_baud(uart, baud);
    } else if (json_equals(field, "mode")) {
        enum mode mode = ADDRESSED;
        while (mode <= LOG && !json_equals(value, MODES[mode])) mode++;
        if (mode > LOG)
            refuse("uart: %s: mode is %.*s; there are addressed, raw and log", name, SHOWN(value));
        uart->mode = mode;
    } else if (json_equals(field, "peer")) {
        size_t length = json_text(value, uart->peer, sizeof uart->peer);
        if (length == 0 || length == JSON_NO_TEXT || strlen(uart->peer) != length)
            refuse("uart: %s: peer is %.*s, no name of a node", name, SHOWN(value));
    } else refuse("uart: %s: %.*s is not known; there are baud, mode and peer", name, SHOWN(field));
}

static void read_uart(struct json name, struct json value) {
    size_t number = 0;
    while (number < HAL_UARTS && !json_equals(name, NAMES[number])) number++;
    if (number == HAL_UARTS)
        refuse("uart: %.*s is not known; this device has usart2 and usart3", SHOWN(name));
    struct uart *uart = &uarts[number];
    if (*value.at != '{')
        refuse("uart: %s is %.*s, no object such as {\"baud\": 115200}", NAMES[number], SHOWN(value));
    uart->mode = ADDRESSED;
    struct json_walk walk = json_begin(value);
    for (struct json field, its; json_next(&walk, &field, &its);) read_field(uart, NAMES[number], field, its);
    if (uart->mode == RAW && uart->peer[0] == 0)
        refuse("uart: %s: mode raw needs 'peer', the node that all goes to", NAMES[number]);
    if (uart->mode != RAW && uart->peer[0] != 0)
        refuse("uart: %s: 'peer' is for mode raw; this is %s", NAMES[number], MODES[uart->mode]);
    for (struct uart *other = uarts; other < uarts + HAL_UARTS; other++) {
        if (other == uart || other->mode != uart->mode) continue;
        if (uart->mode == ADDRESSED) refuse("uart: two are addressed; one at most can be");
        if (uart->mode == RAW && strcmp(uart->peer, other->peer) == 0)
            refuse("uart: two have the peer \"%s\"; a message from it has to go to one of them", uart->peer);
    }
}

void read_config(void) {
    bool given = false, connected = false;
    for (size_t i = 0; i < HAL_UARTS; i++) uart_set_baud(&uarts[i], BAUD);
    struct json_walk walk = json_begin(wire.config);
    for (struct json name, value; json_next(&walk, &name, &value);) {
        if (!json_equals(name, "uart")) refuse("%.*s is not known; there is uart", SHOWN(name));
        if (*value.at != '{') refuse("uart is %.*s, no object such as {\"usart2\": {}}", SHOWN(value));
        given = true;
        struct json_walk uart = json_begin(value);
        for (struct json which, its; json_next(&uart, &which, &its);) {
            read_uart(which, its);
            connected = true;
        }
    }
    if (given && !connected) refuse("uart: there has to be one, such as {\"usart2\": {}}");
    if (!given) uarts[0].mode = ADDRESSED;
}
