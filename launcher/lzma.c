/* LZMA1, from the specification in the LZMA SDK (lzma-specification.txt, public domain). One pass, no allocation: the
 * output is the dictionary; one call at a time. A decoder that ran out of input goes on with zeros and says so at the
 * end, which bounds every loop by the output's size. */
#include "lzma.h"

#include <string.h>

enum {
    STATES = 12,
    POSITIONS = 1 << 2,          /* pb = 2 */
    LITERAL_CONTEXTS = 1 << 3,   /* lc = 3, lp = 0 */
    MATCH_LENGTH_MIN = 2,
    SLOTS = 64,
    ALIGN_BITS = 4,
    SLOT_DIRECT = 14,            /* from this slot on the middle bits of a distance have no model */
};

typedef uint16_t Probability;    /* that the bit is 0, in 1/2048 */

typedef struct {
    Probability choice, choice2;
    Probability low[POSITIONS][1 << 3], middle[POSITIONS][1 << 3], high[1 << 8];
} LengthModel;

typedef struct {
    Probability literal[LITERAL_CONTEXTS][0x300];
    Probability is_match[STATES][POSITIONS], is_again[STATES];
    Probability is_again_not0[STATES], is_again_not1[STATES], is_again_not2[STATES];
    Probability is_again0_long[STATES][POSITIONS];
    Probability slot[4][SLOTS], special[1 + 128 - SLOT_DIRECT], align[1 << ALIGN_BITS];
    LengthModel length, again_length;
} Model;

typedef struct {
    const uint8_t *input, *input_end;
    uint8_t *output;
    size_t position, size;
    uint32_t range, code;
    bool is_damaged;
    unsigned state;
    uint32_t again[4];           /* the last four distances, less 1 */
    Model model;
} Decoder;

static uint8_t next_byte(Decoder *decoder) {
    if (decoder->input == decoder->input_end) {
        decoder->is_damaged = true;
        return 0;
    }
    return *decoder->input++;
}

static void refill(Decoder *decoder) {
    if (decoder->range < 1u << 24) {
        decoder->range <<= 8;
        decoder->code = decoder->code << 8 | next_byte(decoder);
    }
}

static unsigned bit(Decoder *decoder, Probability *probability) {
    refill(decoder);
    uint32_t bound = (decoder->range >> 11) * *probability;
    if (decoder->code < bound) {
        decoder->range = bound;
        *probability = (Probability)(*probability + ((2048 - *probability) >> 5));
        return 0;
    }
    decoder->range -= bound;
    decoder->code -= bound;
    *probability = (Probability)(*probability - (*probability >> 5));
    return 1;
}

static uint32_t direct_bits(Decoder *decoder, unsigned count) {
    uint32_t value = 0;
    for (; count > 0; count--) {
        refill(decoder);
        decoder->range >>= 1;
        uint32_t is_one = decoder->code >= decoder->range;
        decoder->code -= decoder->range & (0 - is_one);
        value = value << 1 | is_one;
    }
    return value;
}

static unsigned tree(Decoder *decoder, Probability *probabilities, unsigned bits) {
    unsigned node = 1;
    for (unsigned i = 0; i < bits; i++)
        node = node << 1 | bit(decoder, probabilities + node);
    return node - (1u << bits);
}

static unsigned tree_reversed(Decoder *decoder, Probability *probabilities, unsigned bits) {
    unsigned node = 1, value = 0;
    for (unsigned i = 0; i < bits; i++) {
        unsigned one = bit(decoder, probabilities + node);
        node = node << 1 | one;
        value |= one << i;
    }
    return value;
}

static unsigned length_of(Decoder *decoder, LengthModel *model, unsigned position) {
    if (bit(decoder, &model->choice) == 0)
        return MATCH_LENGTH_MIN + tree(decoder, model->low[position], 3);
    if (bit(decoder, &model->choice2) == 0)
        return MATCH_LENGTH_MIN + 8 + tree(decoder, model->middle[position], 3);
    return MATCH_LENGTH_MIN + 16 + tree(decoder, model->high, 8);
}

static void literal(Decoder *decoder) {
    uint8_t before = decoder->position > 0 ? decoder->output[decoder->position - 1] : 0;
    Probability *probabilities = decoder->model.literal[before >> 5];
    unsigned symbol = 1;
    /* Behind a match the byte at the last distance is a hint, for as long as the bits agree. The main loop has seen to
     * it that this distance is within what there is. */
    if (decoder->state >= 7) {
        unsigned hint = decoder->output[decoder->position - decoder->again[0] - 1];
        do {
            unsigned hint_bit = hint >> 7 & 1;
            hint <<= 1;
            unsigned one = bit(decoder, probabilities + ((1 + hint_bit) << 8) + symbol);
            symbol = symbol << 1 | one;
            if (one != hint_bit)
                break;
        } while (symbol < 0x100);
    }
    while (symbol < 0x100)
        symbol = symbol << 1 | bit(decoder, probabilities + symbol);
    decoder->output[decoder->position++] = (uint8_t)symbol;
    decoder->state = decoder->state < 4 ? 0 : decoder->state < 10 ? decoder->state - 3 : decoder->state - 6;
}

static uint32_t distance_of(Decoder *decoder, unsigned length) {
    unsigned lengths = length - MATCH_LENGTH_MIN;
    unsigned slot = tree(decoder, decoder->model.slot[lengths < 4 ? lengths : 3], 6);
    if (slot < 4)
        return slot;
    unsigned bits = (slot >> 1) - 1;
    uint32_t distance = (2 | (slot & 1)) << bits;
    if (slot < SLOT_DIRECT)
        return distance + tree_reversed(decoder, decoder->model.special + distance - slot, bits);
    distance += direct_bits(decoder, bits - ALIGN_BITS) << ALIGN_BITS;
    return distance + tree_reversed(decoder, decoder->model.align, ALIGN_BITS);
}

/* One of the last four distances moves to the front. Returns the length. */
static unsigned repeated(Decoder *decoder, unsigned position) {
    Model *model = &decoder->model;
    unsigned state = decoder->state, which = 0;
    if (bit(decoder, &model->is_again_not0[state]) == 0) {
        if (bit(decoder, &model->is_again0_long[state][position]) == 0) {
            decoder->state = state < 7 ? 9 : 11;
            return 1;
        }
    } else {
        which = 1;
        if (bit(decoder, &model->is_again_not1[state]) != 0)
            which = 2 + bit(decoder, &model->is_again_not2[state]);
        uint32_t distance = decoder->again[which];
        memmove(decoder->again + 1, decoder->again, which * sizeof *decoder->again);
        decoder->again[0] = distance;
    }
    decoder->state = state < 7 ? 8 : 11;
    return length_of(decoder, &model->again_length, position);
}

static unsigned matched(Decoder *decoder, unsigned position) {
    memmove(decoder->again + 1, decoder->again, 3 * sizeof *decoder->again);
    unsigned length = length_of(decoder, &decoder->model.length, position);
    decoder->state = decoder->state < 7 ? 7 : 10;
    decoder->again[0] = distance_of(decoder, length);
    return length;
}

static bool copy(Decoder *decoder, unsigned length) {
    size_t distance = (size_t)decoder->again[0] + 1;
    if (distance > decoder->position || length > decoder->size - decoder->position)
        return false;
    uint8_t *to = decoder->output + decoder->position;
    const uint8_t *from = to - distance; /* may overlap: byte by byte */
    for (unsigned i = 0; i < length; i++)
        to[i] = from[i];
    decoder->position += length;
    return true;
}

static void start(Decoder *decoder) {
    Probability *probabilities = (Probability *)&decoder->model;
    for (size_t i = 0; i < sizeof decoder->model / sizeof *probabilities; i++)
        probabilities[i] = 1024;
    decoder->range = UINT32_MAX;
    decoder->is_damaged = next_byte(decoder) != 0;
    for (int i = 0; i < 4; i++)
        decoder->code = decoder->code << 8 | next_byte(decoder);
}

bool lzma_decode(const uint8_t *input, size_t input_size, uint8_t *output, size_t size) {
    static Decoder decoder; /* 28 KB are much for a stack */
    decoder = (Decoder){.input = input, .input_end = input + input_size, .output = output, .size = size};
    start(&decoder);
    while (decoder.position < size && !decoder.is_damaged) {
        unsigned position = decoder.position % POSITIONS;
        if (bit(&decoder, &decoder.model.is_match[decoder.state][position]) == 0) {
            literal(&decoder);
            continue;
        }
        bool is_again = bit(&decoder, &decoder.model.is_again[decoder.state]) != 0;
        unsigned length = is_again ? repeated(&decoder, position) : matched(&decoder, position);
        if (!copy(&decoder, length))
            return false;
    }
    return !decoder.is_damaged;
}

/* The x86 filter of xz: the operand of CALL (E8) and JMP (E9) is an absolute address if its top byte is 00 or FF. Bits
 * of *seen* are opcodes in the three bytes before: an operand that overlaps them was not always converted. */

static bool is_top(uint8_t byte) {
    return byte == 0x00 || byte == 0xFF;
}

/* The number of operand bytes that an opcode before this one reaches into. */
static unsigned reach(unsigned seen) {
    return seen >= 4 ? 3 : seen >= 2 ? 2 : seen;
}

static uint32_t relative(uint32_t absolute, uint32_t next, unsigned seen) {
    for (;;) {
        uint32_t target = absolute - next;
        if (seen == 0)
            return target;
        unsigned shift = reach(seen) * 8;
        if (!is_top((uint8_t)(target >> (24 - shift))))
            return target;
        absolute = target ^ ((1u << (32 - shift)) - 1);
    }
}

void bcj_x86_decode(uint8_t *bytes, size_t size) {
    size_t last = SIZE_MAX; /* where the last opcode was: nowhere */
    unsigned seen = 0;
    for (size_t at = 0; size >= 5 && at <= size - 5; at++) {
        if ((bytes[at] & 0xFE) != 0xE8)
            continue;
        size_t since = at - last;
        last = at;
        seen = since > 3 ? 0 : seen << (since - 1) & 7;
        bool is_doubtful = seen == 3 || seen >= 5 || (seen != 0 && is_top(bytes[at + 4 - reach(seen)]));
        if (is_doubtful || !is_top(bytes[at + 4])) {
            seen = seen << 1 | 1;
            continue;
        }
        uint32_t operand;
        memcpy(&operand, bytes + at + 1, sizeof operand);
        operand = relative(operand, (uint32_t)at + 5, seen) & 0x01FFFFFF;
        operand |= 0 - (operand & 0x01000000);
        memcpy(bytes + at + 1, &operand, sizeof operand);
        at += 4;
    }
}
