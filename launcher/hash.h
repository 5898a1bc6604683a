/* Two hashes: XXH64 finds a payload that was damaged, SHA-256 proves that a file on disk is the one that was built. */
#ifndef STAYON_HASH_H
#define STAYON_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t lanes[4];
    uint64_t size;
    uint8_t rest[32];      /* of the last, unfinished stripe: size % 32 bytes */
} Xxh64;

void xxh64_start(Xxh64 *hash);
void xxh64_add(Xxh64 *hash, const uint8_t *bytes, size_t size);
uint64_t xxh64_end(const Xxh64 *hash);

void sha256(const uint8_t *bytes, size_t size, uint8_t digest[32]);

#endif
