/* A nearest-centroid classifier: see digits.h. */
#include "digits.h"

int digit_classify(const uint8_t image[DIGIT_PIXELS]) {
    uint32_t least = UINT32_MAX; /* 64 * 256^2 is far below */
    int found = 0;
    for (int digit = 0; digit < 10; digit++) {
        uint32_t distance = 0;
        for (int pixel = 0; pixel < DIGIT_PIXELS; pixel++) {
            int32_t difference = image[pixel] * 16 - digit_means[digit][pixel];
            distance += (uint32_t)(difference * difference);
        }
        if (distance < least) least = distance, found = digit;
    }
    return found;
}
