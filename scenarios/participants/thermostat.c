/* A thermostat that takes part in a run as a program of its own, in C (libc only).
 * It speaks the protocol itself, over stdin and stdout; `thermostat.py` says what it does.
 * Build: cc -O2 -o thermostat thermostat.c */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THINKING 3000000LL /* ns */

/* simcore's lines hold no white space outside strings: a value ends where it ends. */
static const char *skip(const char *p) { /* behind the value that begins at p */
    int depth = 0;
    do {
        if (*p == '"') while (*++p != '"') p += *p == '\\';
        else if (*p == '{' || *p == '[') depth++;
        else if (*p == '}' || *p == ']') depth--;
        else if (depth == 0) return p + strcspn(p, ",]}"); /* a number or a word */
        p++;
    } while (depth);
    return p;
}

static const char *get(const char *object, const char *name) { /* the value of a field, or NULL */
    for (const char *p = object + 1; *p == '"'; p += *p == ',') {
        const char *value = skip(p) + 1;
        if (!strncmp(p + 1, name, strlen(name)) && p[1 + strlen(name)] == '"') return value;
        p = skip(value);
    }
    return NULL;
}

static bool is(const char *value, const char *json) { return !strncmp(value, json, strlen(json)); }
static int len(const char *value) { return (int)(skip(value) - value); } /* for %.*s */

int main(void) {
    char *line = NULL, *on = "false", *panel = NULL; /* panel: a JSON string, quotes and all */
    size_t room = 0, readings = 0;
    double low = 0, high = 0;
    long long period = 0, report = 0; /* report: when the next status is due, ns */
    printf("{\"type\":\"HELLO\",\"protocol\":1,\"token\":\"%s\",\"name\":\"%s\"}\n",
           getenv("SIMCORE_TOKEN"), getenv("SIMCORE_NAME"));
    while (fflush(stdout), getline(&line, &room, stdin) > 0) {
        const char *type = get(line, "type");
        if (is(type, "\"INIT\"")) {
            const char *config = get(line, "config"), *name = get(config, "panel");
            low = atof(get(config, "low")), high = atof(get(config, "high"));
            panel = strndup(name, len(name));
            period = atoll(get(config, "period_ms")) * 1000000;
            report = atoll(get(line, "time")) + period;
            printf("{\"type\":\"READY\",\"kind\":\"reactive\",\"next\":%lld}\n", report);
        } else if (is(type, "\"ADVANCE\"")) {
            long long now = atoll(get(line, "until"));
            const char *comma = "";
            printf("{\"type\":\"DONE\",\"seq\":%lld,\"now\":%lld,\"outputs\":[",
                   atoll(get(line, "seq")), now);
            for (const char *m = get(line, "inputs") + 1; *m == '{'; m = skip(m), m += *m == ',') {
                if (!is(get(m, "kind"), "\"reading\"")) continue;
                double celsius = atof(get(get(m, "payload"), "celsius"));
                on = celsius < low ? "true" : celsius > high ? "false" : on;
                readings++;
                const char *id = get(m, "id"), *src = get(m, "src");
                printf("%s{\"at\":%lld,\"dst\":%.*s,\"kind\":\"heat\",\"payload\":{\"on\":%s},"
                       "\"cause\":%.*s,\"spent\":[0,%lld]}",
                       comma, now + THINKING, len(src), src, on, len(id), id, THINKING);
                comma = ",";
            }
            if (now == report) {
                report += period;
                printf("%s{\"at\":%lld,\"dst\":%s,\"kind\":\"status\",\"payload\":{\"on\":%s,"
                       "\"readings\":%zu}}],\"measures\":[{\"at\":%lld,\"name\":\"heating\","
                       "\"value\":%s}", comma, now, panel, on, readings, now, on);
            }
            printf("],\"next\":%lld}\n", report);
        } else if (is(type, "\"SHUTDOWN\"")) return puts("{\"type\":\"BYE\"}") < 0;
        else return fputs(line, stderr), 1; /* ERROR */
    }
    return 1; /* simcore is gone */
}
