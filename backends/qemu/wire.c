/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The connection to simcore. Nothing outlives it: when simcore is gone, so is this process. */
#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    GONE = 1,    /* exit code: the connection ended before SHUTDOWN */
    REFUSED = 3, /* exit code: this machine cannot be run exactly, or simcore asks what we cannot do */
    LINE_MAX_BYTES = 16 << 20, /* the protocol's limit of a line */
    DONE_MAX_BYTES = 8 << 20,  /* of outputs and lost bytes together; half of what a line may have */
    HEAD_BYTES = 128,          /* room for what stands before the outputs */
    ENTRY_BYTES = 64,          /* an output's frame and its first byte, or a lost byte */
};

static int in = -1, out = -1; /* two pipes, or twice the same socket */
static volatile int exit_code = GONE; /* what it means if the connection ends now */

/* Static, for memory that is not used costs nothing. */
static char line[LINE_MAX_BYTES + 2];
static size_t filled, taken; /* bytes of `line` that were read, and that were handed out */

static char done[HEAD_BYTES + DONE_MAX_BYTES + 4 * ENTRY_BYTES], lost[DONE_MAX_BYTES + ENTRY_BYTES];
static size_t done_size, lost_size; /* without the head */
static int last_uart = -1;          /* of the newest output */
static int64_t last_at = -1;

/* -- ends ---------------------------------------------------------------------------------------- */

/* An infinite loop in firmware would go on for hours after simcore was killed: only the thread that
 * runs it reads, at the end of a window. This one sleeps until the connection ends. */
static void *watch(void *unused)
{
    struct pollfd end = {.fd = in, .events = POLLRDHUP}; /* a pipe tells its end unasked */
    while (poll(&end, 1, -1) < 0 && errno == EINTR)
        ;
    _exit(exit_code);
    return unused;
}

static void start_watching(void)
{
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all); /* QEMU's signals are for QEMU's threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, NULL, watch, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        refuse("cannot start a thread: %s", strerror(failed));
    pthread_detach(thread);
}

void wire_send(const char *text, int length)
{
    while (length > 0) {
        ssize_t sent = write(out, text, (size_t)length);
        if (sent < 0 && errno != EINTR)
            _exit(exit_code);
        if (sent > 0) {
            text += sent;
            length -= (int)sent;
        }
    }
}

void wire_bye(void)
{
    static const char bye[] = "{\"type\":\"BYE\"}\n";
    exit_code = 0;
    wire_send(bye, sizeof bye - 1);
    _exit(0);
}

/* Text that stands in a JSON string as it is, whatever it was. */
static void make_plain(char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~' || *text == '"' || *text == '\\')
            *text = '?';
}

void refuse(const char *format, ...)
{
    char why[512], frame[600];
    va_list values;
    va_start(values, format);
    vsnprintf(why, sizeof why, format, values);
    va_end(values);
    make_plain(why);
    fprintf(stderr, "simcore: %s\n", why);
    exit_code = REFUSED;
    if (out >= 0)
        wire_send(frame, snprintf(frame, sizeof frame, "{\"type\":\"ERROR\",\"message\":\"%s\"}\n", why));
    _exit(REFUSED);
}

/* -- writing ------------------------------------------------------------------------------------ */

static char *put_number(char *at, int64_t value)
{
    char digits[20];
    int count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count)
        *at++ = digits[--count];
    return at;
}

static char *put_text(char *at, const char *text)
{
    return stpcpy(at, text);
}

/* -- what simcore says --------------------------------------------------------------------------- */

cursor wire_line(void)
{
    size_t looked = taken;
    char *end;
    while (!(end = memchr(line + looked, '\n', filled - looked))) {
        if (taken) { /* most often nothing is left to be moved */
            memmove(line, line + taken, filled -= taken);
            taken = 0;
        }
        looked = filled;
        if (filled > LINE_MAX_BYTES)
            refuse("a line from simcore has more than %d bytes", LINE_MAX_BYTES);
        ssize_t count = read(in, line + filled, sizeof line - filled);
        if (count == 0 || (count < 0 && errno != EINTR))
            _exit(exit_code);
        if (count > 0)
            filled += (size_t)count;
    }
    *end = '\0';
    char *begin = line + taken;
    taken = (size_t)(end - line) + 1;
    if (taken == filled)
        taken = filled = 0;
    return begin;
}

bool wire_literal(cursor *at, const char *text)
{
    size_t length = strlen(text);
    if (strncmp(*at, text, length))
        return false;
    *at += length;
    return true;
}

bool wire_number(cursor *at, int64_t *value)
{
    int64_t sum = 0;
    cursor p = *at;
    for (; *p >= '0' && *p <= '9'; p++)
        if ((sum = 10 * sum + (*p - '0')) >= INT64_C(1) << 53)
            return false;
    if (p == *at)
        return false;
    *at = p;
    *value = sum;
    return true;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool wire_hex(cursor *at, uint8_t *byte)
{
    int high = digit((*at)[0]), low = high < 0 ? -1 : digit((*at)[1]);
    if (low < 0)
        return false;
    *byte = (uint8_t)(high << 4 | low);
    *at += 2;
    return true;
}

int wire_text_length(cursor at)
{
    int length = 0;
    while (at[length] && at[length] != '"')
        length += at[length] == '\\' && at[length + 1] ? 2 : 1;
    return length;
}

/* A JSON string; `at` has room for six times as many bytes. */
static char *put_string(char *at, const char *text)
{
    *at++ = '"';
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == '"' || *text == '\\')
            at += sprintf(at, "\\u%04x", (unsigned)*text);
        else
            *at++ = *text;
    *at++ = '"';
    return at;
}

static void say_hello(const char *token, const char *name)
{
    enum { MOST = 512 };
    char hello[13 * MOST];
    if (strlen(token) > MOST || strlen(name) > MOST)
        refuse("SIMCORE_TOKEN or SIMCORE_NAME has more than %d bytes", MOST);
    char *at = put_text(hello, "{\"type\":\"HELLO\",\"protocol\":1,\"token\":");
    at = put_string(at, token);
    at = put_string(put_text(at, ",\"name\":"), name);
    at = put_text(at, "}\n");
    wire_send(hello, (int)(at - hello));
}

/* QEMU and its libraries may read and print: not on the wire. */
static void take_stdio(void)
{
    int receive = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int answer = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (receive < 0 || answer < 0 || nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 ||
        dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        refuse("cannot speak over standard input and output: %s", strerror(errno));
    close(nothing);
    in = receive;
    out = answer;
}

static void take_socket(const char *address)
{
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    if (strncmp(address, "unix:", 5) || strlen(address + 5) >= sizeof peer.sun_path)
        refuse("SIMCORE_ADDRESS has to be unix:PATH or stdio, not %s", address);
    strcpy(peer.sun_path, address + 5);
    int connecting = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connecting < 0 || connect(connecting, (struct sockaddr *)&peer, sizeof peer))
        refuse("cannot connect to %s: %s", address, strerror(errno));
    in = out = connecting;
}

void wire_open(void)
{
    const char *address = getenv("SIMCORE_ADDRESS"), *token = getenv("SIMCORE_TOKEN");
    const char *name = getenv("SIMCORE_NAME");
    if (!address || !token || !name)
        refuse("SIMCORE_ADDRESS, SIMCORE_TOKEN and SIMCORE_NAME are not all in the environment: "
               "this module is loaded by simcore");
    signal(SIGPIPE, SIG_IGN); /* as QEMU has it, but when is QEMU's affair */
    if (strcmp(address, "stdio"))
        take_socket(address);
    else
        take_stdio();
    say_hello(token, name);
    start_watching();
}

/* -- DONE ---------------------------------------------------------------------------------------- */

/* `[uart,at,"` of one entry; a comma before it if it is not the first one. */
static char *put_entry(char *at, bool first, int uart, int64_t when)
{
    if (!first)
        *at++ = ',';
    *at++ = '[';
    at = put_number(at, uart);
    *at++ = ',';
    at = put_number(at, when);
    return put_text(at, ",\"");
}

void done_output(int uart, int64_t when, const uint8_t *bytes, int count)
{
    static const char hex[] = "0123456789abcdef";
    if (done_size + lost_size + 2 * (size_t)count + ENTRY_BYTES > DONE_MAX_BYTES)
        refuse("the firmware writes more in one window than fits in an answer: "
               "give the scenario a shorter 'window'");
    char *at = done + HEAD_BYTES + done_size;
    if (uart == last_uart && when == last_at)
        at -= 2; /* the "] of the entry to go on with */
    else
        at = put_entry(at, done_size == 0, uart, when);
    for (; count > 0; count--, bytes++) {
        *at++ = hex[*bytes >> 4];
        *at++ = hex[*bytes & 15];
    }
    at = put_text(at, "\"]");
    done_size = (size_t)(at - done) - HEAD_BYTES;
    last_uart = uart;
    last_at = when;
}

void done_lost(int uart, int64_t when, const char *why)
{
    if (done_size + lost_size + ENTRY_BYTES > DONE_MAX_BYTES)
        refuse("more bytes of input are lost in one window than fit in an answer: "
               "give the scenario a shorter 'window'");
    char *at = put_entry(lost + lost_size, lost_size == 0, uart, when);
    at = put_text(put_text(at, why), "\"]");
    lost_size = (size_t)(at - lost);
}

void done_send(int64_t seq, int64_t now, int64_t executed, const uint32_t fault[2])
{
    char head[HEAD_BYTES];
    char *at = put_number(put_text(head, "{\"type\":\"DONE\",\"seq\":"), seq);
    at = put_number(put_text(at, ",\"now\":"), now);
    at = put_text(at, ",\"outputs\":[");
    size_t head_size = (size_t)(at - head);
    char *begin = memcpy(done + HEAD_BYTES - head_size, head, head_size);

    at = put_text(done + HEAD_BYTES + done_size, "],\"lost\":[");
    at = (char *)memcpy(at, lost, lost_size) + lost_size;
    at = put_number(put_text(at, "],\"executed\":"), executed);
    if (fault[0] || fault[1]) {
        at = put_number(put_text(at, ",\"fault\":["), fault[0]);
        *at++ = ',';
        at = put_number(at, fault[1]);
        *at++ = ']';
    }
    at = put_text(at, "}\n");
    wire_send(begin, (int)(at - begin)); /* one write: each costs as much as all the rest */
    done_size = lost_size = 0;
    last_uart = -1;
}
