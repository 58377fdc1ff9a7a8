/* The pictures that a meter takes, and what it knows about digits. */
#ifndef DIGITS_H
#define DIGITS_H

#include <stdint.h>

#define DIGIT_PIXELS 64    /* 8 x 8, row by row, 0 (white) to 16 (black) */
#define DIGIT_PICTURES 128 /* the first of the test half of scenarios/data/digits.bin */

extern const uint8_t digit_pictures[DIGIT_PICTURES][DIGIT_PIXELS];

/* The mean image of each digit in the training half, in sixteenths of a grey level. */
extern const uint16_t digit_means[10][DIGIT_PIXELS];

/* The digit on an image: that with the nearest mean, in whole numbers, so that every processor says
 * the same. Of equally near ones the least. */
int digit_classify(const uint8_t image[DIGIT_PIXELS]);

#endif
