/* A network of 16 inputs, 16 hidden units and 10 scores: see tiny_digits.h.
 *
 * All sums stay far below 31 bits: an input is at most 64, a weight at most 128, a hidden unit at most
 * 255. Confidence is softmax by a table: of the difference of two scores, in sixteenths of the natural
 * unit, the table says how much less likely the lower one is. What is off the table counts nothing. */
#include "tiny_digits.h"

static void hidden_units(const uint8_t image[64], uint8_t hidden[TINY_HIDDEN]) {
    uint8_t input[TINY_INPUTS];
    for (int i = 0; i < TINY_INPUTS; i++) {
        const uint8_t *at = image + i / 4 * 16 + i % 4 * 2;
        input[i] = (uint8_t)(at[0] + at[1] + at[8] + at[9]);
    }
    for (int unit = 0; unit < TINY_HIDDEN; unit++) {
        int32_t sum = tiny_hidden_bias[unit];
        for (int i = 0; i < TINY_INPUTS; i++) sum += tiny_hidden[unit][i] * input[i];
        if (sum < 0) sum = 0;
        sum >>= tiny_hidden_shift;
        hidden[unit] = (uint8_t)(sum < 255 ? sum : 255);
    }
}

struct tiny_answer tiny_classify(const uint8_t image[64]) {
    uint8_t hidden[TINY_HIDDEN];
    int32_t scores[10];
    int best = 0;
    hidden_units(image, hidden);
    for (int digit = 0; digit < 10; digit++) {
        scores[digit] = tiny_scores_bias[digit];
        for (int i = 0; i < TINY_HIDDEN; i++) scores[digit] += tiny_scores[digit][i] * hidden[i];
        if (scores[digit] > scores[best]) best = digit;
    }
    uint32_t whole = 0, half_a_step = 1u << tiny_score_shift >> 1;
    for (int digit = 0; digit < 10; digit++) {
        uint32_t steps = ((uint32_t)(scores[best] - scores[digit]) + half_a_step) >> tiny_score_shift;
        if (steps < TINY_POWERS) whole += tiny_powers[steps];
    }
    struct tiny_answer answer = {(uint8_t)best, (uint16_t)((1000u * tiny_powers[0] + whole / 2) / whole)};
    return answer;
}
