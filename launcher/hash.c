#include "hash.h"

#include <string.h>

/* XXH64, with the seed 0: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md */

static const uint64_t P1 = 11400714785074694791u, P2 = 14029467366897019727u, P3 = 1609587929392839161u,
                      P4 = 9650029242287828579u, P5 = 2870177450012600261u;

static uint64_t rotated(uint64_t value, int bits) {
    return value << bits | value >> (64 - bits);
}

/* All machines that we build for are little-endian. */
static uint64_t read64(const uint8_t *bytes) {
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint64_t round_of(uint64_t lane, uint64_t value) {
    return rotated(lane + value * P2, 31) * P1;
}

void xxh64_start(Xxh64 *hash) {
    *hash = (Xxh64){.lanes = {P1 + P2, P2, 0, 0 - P1}};
}

static void stripes(Xxh64 *hash, const uint8_t *bytes, size_t count) {
    uint64_t one = hash->lanes[0], two = hash->lanes[1], three = hash->lanes[2], four = hash->lanes[3];
    for (; count > 0; count--, bytes += 32) {
        one = round_of(one, read64(bytes));
        two = round_of(two, read64(bytes + 8));
        three = round_of(three, read64(bytes + 16));
        four = round_of(four, read64(bytes + 24));
    }
    hash->lanes[0] = one, hash->lanes[1] = two, hash->lanes[2] = three, hash->lanes[3] = four;
}

void xxh64_add(Xxh64 *hash, const uint8_t *bytes, size_t size) {
    size_t filled = hash->size % 32;
    hash->size += size;
    if (filled > 0) {
        size_t taken = size < 32 - filled ? size : 32 - filled;
        memcpy(hash->rest + filled, bytes, taken);
        if (filled + taken < 32)
            return;
        stripes(hash, hash->rest, 1);
        bytes += taken, size -= taken;
    }
    stripes(hash, bytes, size / 32);
    memcpy(hash->rest, bytes + size / 32 * 32, size % 32);
}

static uint64_t lanes_joined(const Xxh64 *hash) {
    const uint64_t *lanes = hash->lanes;
    uint64_t total = rotated(lanes[0], 1) + rotated(lanes[1], 7) + rotated(lanes[2], 12) + rotated(lanes[3], 18);
    for (int lane = 0; lane < 4; lane++)
        total = (total ^ round_of(0, lanes[lane])) * P1 + P4;
    return total;
}

uint64_t xxh64_end(const Xxh64 *hash) {
    uint64_t total = (hash->size >= 32 ? lanes_joined(hash) : P5) + hash->size;
    const uint8_t *bytes = hash->rest;
    size_t size = hash->size % 32;
    for (; size >= 8; bytes += 8, size -= 8)
        total = rotated(total ^ round_of(0, read64(bytes)), 27) * P1 + P4;
    if (size >= 4) {
        uint32_t value;
        memcpy(&value, bytes, sizeof value);
        total = rotated(total ^ value * P1, 23) * P2 + P3;
        bytes += 4, size -= 4;
    }
    for (; size > 0; bytes++, size--)
        total = rotated(total ^ *bytes * P5, 11) * P1;
    total = (total ^ total >> 33) * P2;
    total = (total ^ total >> 29) * P3;
    return total ^ total >> 32;
}

/* SHA-256: FIPS 180-4, 6.2. */

static const uint32_t ROUNDS[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t turned(uint32_t value, int bits) {
    return value >> bits | value << (32 - bits);
}

static void sha256_block(uint32_t state[8], const uint8_t *bytes) {
    uint32_t words[64], v[8];
    for (int i = 0; i < 16; i++, bytes += 4)
        words[i] = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    for (int i = 16; i < 64; i++) {
        uint32_t early = words[i - 15], late = words[i - 2];
        words[i] = words[i - 16] + (turned(early, 7) ^ turned(early, 18) ^ early >> 3) + words[i - 7] +
                   (turned(late, 17) ^ turned(late, 19) ^ late >> 10);
    }
    memcpy(v, state, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t one = v[7] + (turned(v[4], 6) ^ turned(v[4], 11) ^ turned(v[4], 25)) +
                       ((v[4] & v[5]) ^ (~v[4] & v[6])) + ROUNDS[i] + words[i];
        uint32_t two = (turned(v[0], 2) ^ turned(v[0], 13) ^ turned(v[0], 22)) +
                       ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += one;
        v[0] = one + two;
    }
    for (int i = 0; i < 8; i++)
        state[i] += v[i];
}

void sha256(const uint8_t *bytes, size_t size, uint8_t digest[32]) {
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    size_t whole = size / 64 * 64, rest = size - whole;
    for (size_t at = 0; at < whole; at += 64)
        sha256_block(state, bytes + at);
    uint8_t end[128] = {0};
    size_t end_size = rest < 56 ? 64 : 128;
    if (rest > 0)
        memcpy(end, bytes + whole, rest);
    end[rest] = 0x80;
    for (int i = 0; i < 8; i++)
        end[end_size - 1 - i] = (uint8_t)((uint64_t)size * 8 >> 8 * i);
    for (size_t at = 0; at < end_size; at += 64)
        sha256_block(state, end + at);
    for (int i = 0; i < 32; i++)
        digest[i] = (uint8_t)(state[i / 4] >> (24 - i % 4 * 8));
}
