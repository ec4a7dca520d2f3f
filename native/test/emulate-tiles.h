// The tile registers of AMX in software, as the manual (Intel SDM, volume 1, chapter 18, and the
// instructions in volume 2) specifies them for palette 1: eight tiles of up to 16 rows of 64 bytes, of each
// thread its own.
//
// What would be an exception on the processor is returned as a sentence; NULL says that all went well.
// Numbers of tiles are below TILES.
#ifndef BITNET_EMULATE_TILES_H
#define BITNET_EMULATE_TILES_H

#include <stdint.h>

#define TILES 8
#define TILE_ROWS 16
#define TILE_ROW_BYTES 64
#define TILE_CONFIG_BYTES 64

// ldtilecfg, sttilecfg, tilerelease: 64 bytes of configuration.
const char *tiles_configure(const uint8_t *config);
void tiles_store_config(uint8_t *config);
void tiles_release(void);

// tilezero, tileloadd, tilestored: rows lie `stride` bytes apart.
const char *tile_zero(int32_t tile);
const char *tile_load(int32_t tile, const uint8_t *from, int64_t stride);
const char *tile_store(int32_t tile, uint8_t *to, int64_t stride);

// tdpb[su][su]d: adds the products of the bytes of `a` (M x 4K) and `b` (K rows of N groups of four) to
// the 32-bit sums of `to` (M x N), without saturation.
const char *tile_dot(int32_t to, int32_t a, int32_t b, int a_signed, int b_signed);

#endif
