/* Lines that go out: text that is put together in a buffer of fixed size. */
#ifndef LINE_H
#define LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_SIZE 512

struct line {
    size_t count;
    bool full; /* something did not fit: the line is not to be sent */
    char bytes[LINE_SIZE];
};

void line_clear(struct line *line);
void line_bytes(struct line *line, const char *bytes, size_t count);
void line_text(struct line *line, const char *text);
void line_number(struct line *line, uint32_t number);
void line_base64(struct line *line, const uint8_t *bytes, size_t count);

/* Send the line with a newline behind it, unless it is full. */
void line_send(struct line *line);

#endif
