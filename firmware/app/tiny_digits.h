/* A tiny model for digits, and how sure it is: in whole numbers, so that every processor says the same. */
#ifndef TINY_DIGITS_H
#define TINY_DIGITS_H

#include <stdint.h>

#define TINY_INPUTS 16 /* sums of 2 x 2 pixels, row by row */
#define TINY_HIDDEN 16
#define TINY_POWERS 128

struct tiny_answer {
    uint8_t label;       /* 0 to 9; of equally likely ones the least */
    uint16_t confidence; /* per mille */
};

/* What is on an image of 8 x 8 pixels, row by row, 0 (white) to 16 (black). */
struct tiny_answer tiny_classify(const uint8_t image[64]);

/* Its weights, made by scenarios/models/train_digits.py. */
extern const int8_t tiny_hidden[TINY_HIDDEN][TINY_INPUTS], tiny_scores[10][TINY_HIDDEN];
extern const int16_t tiny_hidden_bias[TINY_HIDDEN], tiny_scores_bias[10];
extern const uint8_t tiny_hidden_shift, tiny_score_shift; /* bits that are dropped of a sum */
extern const uint16_t tiny_powers[TINY_POWERS];           /* 65535 exp(-i / 16) */

#endif
