/* Firmware that is a client of MQTT: it publishes a number each second, and obeys what comes back.
 *
 * A command is the number of milliseconds to the next reading; it is answered at once. */
#include "hal.h"
#include "lib/json.h"
#include "line.h"

static uint64_t period = 1000000000; /* ns */

static void publish(const char *topic, uint32_t number) {
    static struct line line;
    line_clear(&line);
    line_text(&line, "{\"dst\":\"broker\",\"kind\":\"mqtt.publish\",\"payload\":{\"topic\":\"");
    line_text(&line, topic);
    line_text(&line, "\",\"qos\":1,\"payload\":");
    line_number(&line, number);
    line_text(&line, "}}");
    line_send(&line, 0);
}

static void obey(const struct incoming *said) {
    int64_t ms;
    if (said->count > INCOMING_SIZE) return;
    struct json payload = json_field(json_parse(said->bytes, said->count), "payload");
    if (!json_integer(json_field(payload, "payload"), &ms) || ms <= 0) return;
    period = (uint64_t)ms * 1000000;
    publish("meter/obeyed", (uint32_t)ms);
}

void app_main(void) {
    static struct incoming said;
    uint64_t due = period;
    for (uint32_t number = 1;;) {
        while (line_read(&said, 0)) obey(&said);
        if (hal_now() >= due) {
            publish("meter/reading", number++);
            due += period;
        }
        hal_sleep_until(due);
    }
}
