/* A participant that uses all of the C library: answers each input as the node that it went to. */
#include "native/simcore_wire.h"

#include <string.h>

int main(void) {
    struct simcore wire;
    char kind[32], dst[200], src[200], cause[200];
    if (!simcore_connect(&wire)) return fprintf(stderr, "%s\n", wire.trouble), 1;
    json_text(json_field(wire.config, "kind"), kind, sizeof kind);
    bool reactive = strcmp(kind, "reactive") == 0;
    int64_t from = wire.time;
    if (!simcore_ready(&wire, kind, reactive ? wire.time : SIMCORE_NEVER, reactive ? 1 : 1000)) return 1;
    enum simcore_turn turn;
    while ((turn = simcore_wait(&wire)) == SIMCORE_ADVANCE) {
        struct json_walk inputs = json_begin(wire.inputs);
        for (struct simcore_input input; simcore_input(&wire, &inputs, &input);) {
            if (json_equals(input.kind, "fail")) {
                simcore_fail(&wire, "told to \"fail\"\n", NULL);
                simcore_close(&wire);
                return 3;
            }
            if (json_text(input.src, dst, sizeof dst) == JSON_NO_TEXT ||
                json_text(input.dst, src, sizeof src) == JSON_NO_TEXT ||
                json_text(input.id, cause, sizeof cause) == JSON_NO_TEXT)
                return 2;
            struct simcore_output answer = {
                .at = input.at + 50, .src = src, .dst = dst, .kind = "echo \"\\\t", .payload = input.payload,
                .size = input.size + 1, .cause = cause, .waited = input.at - input.sent, .computed = 50,
            };
            simcore_output(&wire, &answer);
            simcore_measure(&wire, input.at, src, "size", "21.5");
        }
        if (!reactive) simcore_output(&wire, &(struct simcore_output){.at = from, .src = "a", .dst = "b", .kind = "k"});
        if (!simcore_done(&wire, reactive ? wire.until + wire.seed : SIMCORE_NEVER)) break;
        from = wire.until;
    }
    if (turn != SIMCORE_END) fprintf(stderr, "%s\n", wire.trouble);
    simcore_close(&wire);
    return turn != SIMCORE_END;
}
