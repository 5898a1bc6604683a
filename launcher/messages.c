#include "messages.h"

#include <string.h>

#include "runtime.h"

typedef struct {
    char *text;
    size_t room, used;
} Sink;

static void put(Sink *sink, const char *bytes, size_t size) {
    size_t left = sink->room - 1 - sink->used;
    if (size > left)
        size = left;
    memcpy(sink->text + sink->used, bytes, size);
    sink->used += size;
}

static void put_number(Sink *sink, unsigned long number, int is_negative) {
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    if (is_negative)
        digits[--at] = '-';
    put(sink, digits + at, sizeof digits - at);
}

size_t formatted_list(char *text, size_t room, const char *format, va_list arguments) {
    Sink sink = {text, room, 0};
    for (; *format != 0; format++) {
        if (*format != '%') {
            put(&sink, format, 1);
            continue;
        }
        switch (*++format) {
        case 's': {
            const char *word = va_arg(arguments, const char *);
            put(&sink, word, strlen(word));
            break;
        }
        case 'd': {
            int number = va_arg(arguments, int);
            put_number(&sink, number < 0 ? 0ul - (unsigned long)number : (unsigned long)number, number < 0);
            break;
        }
        case 'u':
            put_number(&sink, va_arg(arguments, unsigned), 0);
            break;
        case 'l':
            format++; /* "%lu" is all that begins so */
            put_number(&sink, va_arg(arguments, unsigned long), 0);
            break;
        default:
            put(&sink, "%", 1);
        }
    }
    text[sink.used] = 0;
    return sink.used;
}

size_t formatted(char *text, size_t room, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t size = formatted_list(text, room, format, arguments);
    va_end(arguments);
    return size;
}

static const char *program_name(void) {
    const char *path = payload.place.executable.text, *name = path;
    for (; *path != 0; path++)
        if (*path == SEPARATOR)
            name = path + 1;
    return *name != 0 ? name : "stayon";
}

static int said(int exit, const char *code, const char *text) {
    static char line[MESSAGE_ROOM];
    formatted(line, sizeof line, "%s: %s [%s]", program_name(), text, code);
    for (char *at = line; *at != 0; at++)
        if (*at == '\n' || *at == '\r')
            *at = ' ';
    system_say(line, exit);
    return exit;
}

int failed(int exit, const char *code, const char *format, ...) {
    static char text[MESSAGE_ROOM - 256];
    va_list arguments;
    va_start(arguments, format);
    formatted_list(text, sizeof text, format, arguments);
    va_end(arguments);
    return said(exit, code, text);
}

int failed_by_system(int error, const char *code, const char *format, ...) {
    static char text[MESSAGE_ROOM - 256], reason[512];
    va_list arguments;
    va_start(arguments, format);
    size_t used = formatted_list(text, sizeof text, format, arguments);
    va_end(arguments);
    system_error_text(error, reason, sizeof reason);
    formatted(text + used, sizeof text - used, ": %s.", reason);
    return said(system_error_is_refusal(error) ? EXIT_NOT_PERMITTED : EXIT_UNAVAILABLE, code, text);
}
