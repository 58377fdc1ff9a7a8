/* Lines: one that goes out is put together in a buffer of fixed size, one that comes is gathered in one. */
#ifndef LINE_H
#define LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_SIZE 512
#ifndef INCOMING_SIZE
#define INCOMING_SIZE 256
#endif

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

/* A JSON value for what is not known to be text: a string, or {"$b64": ...} if it is not UTF-8. */
void line_value(struct line *line, const char *bytes, size_t count);

/* Send the line with a newline behind it, unless it is full. */
void line_send(struct line *line, unsigned uart);

/* The line that is coming in over a UART. */
struct incoming {
    bool whole;
    size_t count; /* beyond the end: the line is too long, and the rest of it is dropped */
    char bytes[INCOMING_SIZE];
};

/* Read what has come, up to the end of a line (bytes 10, and 13 before it, do not count). True: the
 * line is whole, until the next call; if its count is above INCOMING_SIZE it was too long. */
bool line_read(struct incoming *line, unsigned uart);

#endif
