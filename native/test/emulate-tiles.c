// See emulate-tiles.h.
#include "emulate-tiles.h"

#include <string.h>

// As ldtilecfg reads it from memory. The first row to go on with after an interrupted load, at byte 1, is
// not emulated: here no load is interrupted.
typedef struct {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[TILES], reserved_row_bytes[TILES];
  uint8_t rows[TILES], reserved_rows[TILES];
} tile_config;
_Static_assert(sizeof(tile_config) == TILE_CONFIG_BYTES, "the manual's layout");

// Palette 0 is the state before the first configuration.
static _Thread_local struct {
  tile_config config;
  uint8_t tile[TILES][TILE_ROWS][TILE_ROW_BYTES];
} state;

static int all_zero(const void *bytes, size_t count) {
  const uint8_t *p = bytes;
  for (size_t i = 0; i < count; i++) {
    if (p[i] != 0) return 0;
  }
  return 1;
}

static const char *fault_of_config(const tile_config *c) {
  if (c->palette > 1) return "#GP: a palette other than 0 and 1";
  if (c->palette == 0) return NULL;
  if (c->start_row != 0) return "a first row other than 0, which is not emulated";
  if (!all_zero(c->reserved, sizeof c->reserved) ||
      !all_zero(c->reserved_row_bytes, sizeof c->reserved_row_bytes) ||
      !all_zero(c->reserved_rows, sizeof c->reserved_rows)) {
    return "#GP: a reserved byte of the configuration is not 0";
  }
  for (int32_t t = 0; t < TILES; t++) {
    if (c->row_bytes[t] > TILE_ROW_BYTES) return "#GP: more than 64 bytes in a row";
    if (c->rows[t] > TILE_ROWS) return "#GP: more than 16 rows";
    if (!c->rows[t] != !c->row_bytes[t]) return "#GP: rows without bytes, or bytes without rows";
  }
  return NULL;
}

const char *tiles_configure(const uint8_t *config) {
  tile_config c;
  memcpy(&c, config, sizeof c);
  const char *fault = fault_of_config(&c);
  if (fault) return fault;
  memset(&state, 0, sizeof state);
  if (c.palette != 0) state.config = c;
  return NULL;
}

void tiles_store_config(uint8_t *config) { memcpy(config, &state.config, sizeof state.config); }

void tiles_release(void) { memset(&state, 0, sizeof state); }

static const char *fault_of_tile(int32_t t) {
  if (state.config.palette == 0) return "#UD: tiles are not configured";
  if (state.config.rows[t] == 0) return "#UD: a tile that the configuration leaves out";
  if (state.config.row_bytes[t] % 4 != 0) return "#UD: rows of no multiple of 4 bytes";
  return NULL;
}

const char *tile_zero(int32_t tile) {
  const char *fault = fault_of_tile(tile);
  if (!fault) memset(state.tile[tile], 0, sizeof state.tile[tile]);
  return fault;
}

const char *tile_load(int32_t tile, const uint8_t *from, int64_t stride) {
  const char *fault = tile_zero(tile);
  if (fault) return fault;
  for (int32_t row = 0; row < state.config.rows[tile]; row++) {
    memcpy(state.tile[tile][row], from + row * stride, state.config.row_bytes[tile]);
  }
  return NULL;
}

const char *tile_store(int32_t tile, uint8_t *to, int64_t stride) {
  const char *fault = fault_of_tile(tile);
  if (fault) return fault;
  for (int32_t row = 0; row < state.config.rows[tile]; row++) {
    memcpy(to + row * stride, state.tile[tile][row], state.config.row_bytes[tile]);
  }
  return NULL;
}

static const char *fault_of_dot(int32_t to, int32_t a, int32_t b) {
  const int32_t each[] = {to, a, b};
  for (int32_t i = 0; i < 3; i++) {
    const char *fault = fault_of_tile(each[i]);
    if (fault) return fault;
  }
  if (to == a || to == b || a == b) return "#UD: one tile twice";
  const uint8_t *rows = state.config.rows;
  const uint16_t *row_bytes = state.config.row_bytes;
  if (rows[to] != rows[a] || row_bytes[to] != row_bytes[b] || row_bytes[a] / 4 != rows[b]) {
    return "#UD: tiles whose shapes do not fit";
  }
  return NULL;
}

static int32_t value(uint8_t byte, int is_signed) { return is_signed ? (int8_t)byte : byte; }

const char *tile_dot(int32_t to, int32_t a, int32_t b, int a_signed, int b_signed) {
  const char *fault = fault_of_dot(to, a, b);
  if (fault) return fault;
  for (int32_t m = 0; m < state.config.rows[to]; m++) {
    // Unsigned, so that a sum beyond 32 bits wraps as the processor's does.
    uint32_t sums[TILE_ROW_BYTES / 4];
    memcpy(sums, state.tile[to][m], sizeof sums);
    for (int32_t k = 0; k < state.config.rows[b]; k++) {
      for (int32_t n = 0; n < state.config.row_bytes[to] / 4; n++) {
        for (int32_t i = 0; i < 4; i++) {
          sums[n] += (uint32_t)(value(state.tile[a][m][4 * k + i], a_signed) *
                                value(state.tile[b][k][4 * n + i], b_signed));
        }
      }
    }
    memcpy(state.tile[to][m], sums, sizeof sums);
  }
  return NULL;
}
