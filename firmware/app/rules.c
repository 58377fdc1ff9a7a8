/* See rules.h. */
#include "rules.h"

#include <stddef.h>

#define PROBE 8 /* after so many that were kept it asks once, to see */

static const struct {
    const char *word;
    enum rule_kind kind;
    bool has_limit;
    uint32_t most;
} known[] = {
    {"local", RULE_LOCAL, false, 0},
    {"remote", RULE_REMOTE, false, 0},
    {"both", RULE_BOTH, false, 0},
    {"confidence", RULE_CONFIDENCE, true, 1000},
    {"latency", RULE_LATENCY, true, 3600000},
};

bool number_of(const char *text, unsigned digits, uint32_t most, uint32_t *result) {
    uint32_t sum = 0;
    if (*text == 0) return false;
    for (; *text != 0; text++) {
        if (*text < '0' || *text > '9' || digits-- == 0) return false;
        sum = sum * 10 + (uint32_t)(*text - '0');
    }
    *result = sum;
    return sum <= most;
}

static bool same(const char *a, const char *b) {
    while (*a != 0 && *a == *b) a++, b++;
    return *a == *b;
}

/* What follows a word and the space behind it; NULL: the text is something else. */
static const char *behind(const char *text, const char *word) {
    while (*word != 0)
        if (*text++ != *word++) return NULL;
    return *text == ' ' ? text + 1 : *text == 0 ? text : NULL;
}

bool rule_take(struct rule *rule, const char *text) {
    struct rule taken = {.kind = RULE_NONE};
    size_t count = 0;
    if (same(rule->text, text) && rule->kind != RULE_NONE) return true;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *rest = behind(text, known[i].word);
        if (rest == NULL) continue;
        if (known[i].has_limit ? number_of(rest, 7, known[i].most, &taken.limit) : *rest == 0)
            taken.kind = known[i].kind;
    }
    if (taken.kind == RULE_NONE) return false;
    for (; text[count] != 0; count++) taken.text[count] = text[count];
    *rule = taken;
    return true;
}

/* An eighth of the way, rounded towards where it was: the smoothing of RFC 6298. */
static void observe(struct rule *rule, int64_t time) {
    rule->round_trip = rule->round_trip != 0 ? rule->round_trip + (time - rule->round_trip) / 8 : time;
}

static void forget(struct rule *rule, unsigned place) {
    rule->outstanding--;
    for (unsigned i = place; i < rule->outstanding; i++) rule->asked[i] = rule->asked[i + 1];
}

void rule_sample(struct rule *rule, uint64_t now) {
    uint64_t limit = (uint64_t)rule->limit * 1000;
    for (unsigned i = 0; i < rule->outstanding;) {
        if (now - rule->asked[i].sent > limit) {
            forget(rule, i);
            observe(rule, (int64_t)(2 * limit));
        } else i++;
    }
}

struct verdict rule_decide(struct rule *rule, uint32_t confidence) {
    switch (rule->kind) {
    case RULE_REMOTE:
    case RULE_BOTH: return (struct verdict){true, "rule"};
    case RULE_CONFIDENCE:
        if (confidence >= rule->limit) return (struct verdict){false, "sure"};
        return (struct verdict){true, "unsure"};
    case RULE_LATENCY:
        if (rule->round_trip > (int64_t)rule->limit * 1000) {
            if (rule->kept++ < PROBE) return (struct verdict){false, "late"};
            rule->kept = 0;
            return (struct verdict){true, "probe"};
        }
        rule->kept = 0;
        return (struct verdict){true, "in time"};
    default: return (struct verdict){false, "rule"};
    }
}

void rule_asked(struct rule *rule, uint32_t n, uint64_t now) {
    if (rule->kind != RULE_LATENCY) return;
    if (rule->outstanding == RULE_OUTSTANDING) forget(rule, 0);
    rule->asked[rule->outstanding].n = n;
    rule->asked[rule->outstanding++].sent = now;
}

void rule_answered(struct rule *rule, uint32_t n, uint64_t now) {
    for (unsigned i = 0; i < rule->outstanding; i++)
        if (rule->asked[i].n == n) {
            uint64_t sent = rule->asked[i].sent;
            forget(rule, i);
            observe(rule, (int64_t)(now - sent));
            return;
        }
}
