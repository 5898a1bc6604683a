/* The functions of C's library that the compiler itself asks for, and those that the launcher uses: there is no other
 * library than the system's. */
#include <stddef.h>

/* In a loop, it keeps the compiler from making of it a call of the very function that it is in. */
#define STAYS __asm__ volatile("" ::: "memory")

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    void *const begin = to;
#ifdef __x86_64__
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
#else
    const unsigned char *source = from;
    for (unsigned char *target = to; size > 0; size--) {
        *target++ = *source++;
        STAYS;
    }
#endif
    return begin;
}

void *memmove(void *to, const void *from, size_t size) {
    unsigned char *target = to;
    const unsigned char *source = from;
    if (target <= source || target >= source + size)
        return memcpy(to, from, size);
    while (size-- > 0) {
        target[size] = source[size];
        STAYS;
    }
    return to;
}

void *memset(void *to, int byte, size_t size) {
    void *const begin = to;
#ifdef __x86_64__
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
#else
    for (unsigned char *target = to; size > 0; size--) {
        *target++ = (unsigned char)byte;
        STAYS;
    }
#endif
    return begin;
}

int memcmp(const void *left, const void *right, size_t size) {
    const unsigned char *one = left, *other = right;
    for (; size > 0; one++, other++, size--)
        if (*one != *other)
            return *one < *other ? -1 : 1;
    return 0;
}

size_t strlen(const char *text) {
    size_t size = 0;
    for (; text[size] != 0; size++)
        STAYS;
    return size;
}

size_t wcslen(const wchar_t *text) {
    size_t length = 0;
    for (; text[length] != 0; length++)
        STAYS;
    return length;
}

int strcmp(const char *left, const char *right) {
    while (*left != 0 && *left == *right)
        left++, right++;
    return (unsigned char)*left - (unsigned char)*right;
}

#ifdef __aarch64__
/* What a function with more locals than a page calls first, with sixteenths of their size in x15: it touches every
 * page, as the stack grows by one at a time (x64 has this in the compiler's own library).
 * https://learn.microsoft.com/cpp/build/arm64-windows-abi-conventions#stack */
__asm__(".globl __chkstk\n"
        "__chkstk:\n"
        "    lsl x16, x15, #4\n"
        "    mov x17, sp\n"
        "1:  sub x17, x17, #4096\n"
        "    subs x16, x16, #4096\n"
        "    ldr xzr, [x17]\n"
        "    b.gt 1b\n"
        "    ret\n");
#endif
