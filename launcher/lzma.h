/* Decoders of the two filters of payload.h. Neither reads nor writes beyond what it is given, whatever the input is. */
#ifndef STAYON_LZMA_H
#define STAYON_LZMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Raw LZMA1 with lc=3, lp=0, pb=2: fills all of *output*, which is the dictionary too. false: damaged, or too short.
 * One call at a time. */
bool lzma_decode(const uint8_t *input, size_t input_size, uint8_t *output, size_t size);

/* Undoes the x86 filter in place: absolute targets of calls and jumps become relative ones again. */
void bcj_x86_decode(uint8_t *bytes, size_t size);

#endif
