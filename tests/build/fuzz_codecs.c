/* Decodes what standard input holds, again and again, a little changed each time: whatever is in it, no byte outside of
 * the two buffers may be touched, which the sanitizers that this is compiled with see. Arguments: size of the output,
 * rounds, seed. Writes how many rounds the decoder refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lzma.h"

enum { INPUT_MAX = 1 << 20 };

static unsigned long long state;

/* xorshift64: the same changes for the same seed. */
static unsigned long long chance(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

int main(int argc, char *argv[]) {
    static unsigned char input[INPUT_MAX];
    size_t input_size = fread(input, 1, sizeof input, stdin);
    if (argc != 4 || input_size == 0)
        return 2;
    size_t size = strtoul(argv[1], NULL, 10), refused = 0;
    unsigned long rounds = strtoul(argv[2], NULL, 10);
    state = strtoull(argv[3], NULL, 10) | 1;
    for (unsigned long i = 0; i < rounds; i++) {
        size_t cut = i % 4 == 0 ? chance() % (input_size + 1) : input_size, wanted = i % 8 == 1 ? chance() % size : size;
        unsigned char *packed = malloc(cut), *output = malloc(wanted);
        if ((packed == NULL && cut > 0) || (output == NULL && wanted > 0))
            return 2;
        if (cut > 0)
            memcpy(packed, input, cut);
        for (unsigned flips = i % 4 == 3 ? 8 : 1; cut > 0 && flips > 0; flips--)
            packed[chance() % cut] ^= (unsigned char)(1u << chance() % 8);
        refused += !lzma_decode(packed, cut, output, wanted);
        bcj_x86_decode(packed, cut); /* any bytes are its input */
        free(packed);
        free(output);
    }
    printf("%zu\n", refused);
    return 0;
}
