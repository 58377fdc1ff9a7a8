/* The other end of the bare pipe: reads a line that looks like an ADVANCE, answers one that looks like a
 * DONE, and nothing else. What stands in its arguments stands between `now` and the end of each answer.
 *
 *     bare_child ',"outputs":[],"measures":[]}' */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char line[1 << 16], answer[1 << 16];

/* The number behind a label. */
static long long number(const char *label) {
    const char *at = strstr(line, label);
    return at != NULL ? atoll(at + strlen(label)) : -1;
}

int main(int count, char **arguments) {
    const char *rest = count > 1 ? arguments[1] : "}";
    size_t have = 0;
    for (;;) {
        ssize_t got = read(0, line + have, sizeof line - 1 - have);
        if (got <= 0) return 0;
        have += (size_t)got;
        line[have] = 0;
        if (line[have - 1] != '\n') continue;
        int size = snprintf(answer, sizeof answer, "{\"type\":\"DONE\",\"seq\":%lld,\"now\":%lld%s\n",
                            number("\"seq\":"), number("\"until\":"), rest);
        if (write(1, answer, (size_t)size) != size) return 1;
        have = 0;
    }
}
