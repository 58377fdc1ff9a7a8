/* What a device does with an image: keep its own answer, or ask. docs/placement.md says which rules there
 * are; simcore/extensions/placement/rules.py keeps to the same ones, and decides the same.
 *
 * For each image: rule_sample when it is taken, rule_decide once it is computed, rule_asked if it is sent;
 * rule_answered when its result comes. Times are microseconds since boot. */
#ifndef RULES_H
#define RULES_H

#include <stdbool.h>
#include <stdint.h>

#define RULE_OUTSTANDING 16 /* images without a result that are remembered */
#define RULE_TEXT 24        /* the longest rule, with the 0 behind it, is shorter */

enum rule_kind { RULE_NONE, RULE_LOCAL, RULE_REMOTE, RULE_BOTH, RULE_CONFIDENCE, RULE_LATENCY };

struct rule {
    enum rule_kind kind;
    uint32_t limit; /* per mille, or ms */
    char text[RULE_TEXT];
    int64_t round_trip; /* smoothed; 0 until one was observed */
    uint32_t kept;      /* in a row, because asking takes too long */
    unsigned outstanding;
    struct {
        uint32_t n;
        uint64_t sent;
    } asked[RULE_OUTSTANDING]; /* oldest first */
};

struct verdict {
    bool asks;
    const char *why;
};

/* Take a rule. The one in force already changes nothing, another starts anew; false: it is none. */
bool rule_take(struct rule *rule, const char *text);

/* An image is taken: what is overdue by then counts as round trips of twice the limit. */
void rule_sample(struct rule *rule, uint64_t now);

/* Whether to ask about an image, given the confidence (per mille) of the device's own answer. */
struct verdict rule_decide(struct rule *rule, uint32_t confidence);

void rule_asked(struct rule *rule, uint32_t n, uint64_t now);
void rule_answered(struct rule *rule, uint32_t n, uint64_t now);

/* A whole number of at most so many digits, up to `most`; nothing may follow it. */
bool number_of(const char *text, unsigned digits, uint32_t most, uint32_t *result);

#endif
