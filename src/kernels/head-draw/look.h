// Which tokens of a row may be drawn, from logits that int8 gives nearly; see reference.ts for the bounds.
#ifndef BITNET_LOOK_H
#define BITNET_LOOK_H

#include "../head-matmul/largest.h"
#include "head-draw.h"

// Sets of tokens whose largest logits say what the k-th largest of all is at least: LANES of them each.
#define LOOK_SETS 32
_Static_assert(LOOK_SETS * LANES >= 2 * MOST_LARGEST, "there are as many largest logits as are wanted");

// The least that may be drawn.
#define LEAST_LOGIT -0x1.fffffep127f

// What the row's draw needs of its logits, by its settings alone.
INLINE int32_t kind_of_draw(const int32_t *settings, int32_t cols) {
  const int32_t top_k = settings[SETTING_TOPK];
  if (top_k > 0 && top_k < cols) return top_k <= MOST_LARGEST ? DRAW_LARGEST : DRAW_ALL;
  // e^x grows no more beyond 88, which the bounds of the race do not allow for.
  return settings[SETTING_TOPP] >= TOP_P_ONE && setting_float(settings, SETTING_WIDEST) <= 87.0f ? DRAW_RACE : DRAW_ALL;
}

// The input of a row as int8, with what is lost.
static void quantize_input(const head_draw_command *c, int32_t row) {
  const int32_t cols = c->weights_cols, groups = look_groups(c);
  const float *x = short_input(c, row);
  look_row *own = look_rows(c) + row;
  int8_t *to = look_inputs(c) + row / LOOK_TOKENS * look_block_bytes(c) + row % LOOK_TOKENS * 4;
  f32x16 peak = {0};
  i32x16 strange = {0};
  for (int32_t col = 0; col < cols; col += LANES) {
    const f32x16 size = abs16(load16(x + col));
    peak = max16(size, peak);
    strange |= size != size;
  }
  const float largest = max_lanes(peak);
  // Within these no square and no sum leaves the range of float32.
  if (any16(strange) || !(largest <= 0x1p40f && largest >= 0x1p-40f)) own->kind = DRAW_ALL;
  if (own->kind == DRAW_ALL) {
    for (int32_t group = 0; group < groups; group++) __builtin_memset(to + (size_t)group * LOOK_TOKENS * 4, 0, 4);
    return;
  }
  const float unit = largest / 127.0f, factor = 127.0f / largest;
  f32x16 lost = {0}, kept = {0}, whole = {0};
  i32x16 sums = {0};
  for (int32_t col = 0; col < cols; col += LANES) {
    const f32x16 v = load16(x + col), r = min16(max16(round16(v * factor), all16(-127.0f)), all16(127.0f));
    const f32x16 e = v - r * unit, k = r * unit;
    lost += e * e;
    kept += k * k;
    whole += v * v;
    const i32x16 q = __builtin_convertvector(r, i32x16);
    sums += q;
    for (int32_t i = 0; i < LANES && col + i < groups * 4; i++) {
      to[(size_t)((col + i) / 4) * LOOK_TOKENS * 4 + (col + i) % 4] = (int8_t)q[i];
    }
  }
  own->sum = 0;
  for (int32_t i = 0; i < LANES; i++) own->sum += sums[i];
  own->unit = unit;
  // Rounding of these sums, and of the squares' own: below a hundredth.
  const float length = __builtin_sqrtf(sum_lanes(whole)) * 1.01f;
  own->rounding = __builtin_sqrtf(sum_lanes(kept)) * 1.01f;
  own->spread = __builtin_sqrtf(sum_lanes(lost)) * 1.01f + length * ((float)cols + 32.0f) * 0x1p-23f;
}

// A row that is looked at.
typedef struct {
  float *near;
  look_peaks *peaks;
  look_lists *lists;
  const float *bounds;
  float rounding, spread;
  int32_t stripes;
} look_view;

INLINE look_view view_of(const head_draw_command *c, int32_t row) {
  const look_row *own = look_rows(c) + row;
  return (look_view){near_logits(c, row), peaks_of(c, row), lists_of(c, row),  c->bounds,
                     own->rounding,       own->spread,      draw_stripes(c)};
}

// What the logit of each of a stripe's tokens may be more or less than it is nearly.
INLINE f32x16 doubt_of(const look_view *v, int32_t stripe) {
  const float *bounds = v->bounds + (size_t)stripe * BOUND_FLOATS;
  return (load16(bounds) * v->rounding + load16(bounds + 16) * v->spread) * 1.01f;
}

// The least and the most that near logits may be.
INLINE void limits_of_near(f32x16 near, f32x16 doubt, f32x16 *least, f32x16 *most) {
  *least = near - doubt;
  // What may not be drawn stays so, however much of it is unknown.
  *most = select16(near == all16(-__builtin_inff()), near, near + doubt);
}

// The least and the most that the logits of a stripe may be, those included that callers change.
INLINE void limits_of(const look_view *v, int32_t stripe, f32x16 *least, f32x16 *most) {
  const f32x16 near = load16(v->near + stripe * 16);
  limits_of_near(near, doubt_of(v, stripe), least, most);
  uint32_t listed = bits16(near != near);
  if (!listed) return;
  float low[LANES], high[LANES];
  store16(low, *least);
  store16(high, *most);
  for (; listed; listed &= listed - 1) {
    const int32_t lane = __builtin_ctz(listed), place = place_of(v->near[stripe * 16 + lane]);
    low[lane] = v->lists->least[place];
    high[lane] = v->lists->most[place];
  }
  *least = load16(low);
  *most = load16(high);
}

INLINE void no_peaks(look_peaks *peaks) {
  store16(peaks->least, all16(-__builtin_inff()));
  store16(peaks->most, all16(-__builtin_inff()));
}

// Peaks with those of a stripe; what is no number may be any.
INLINE void add_peaks(look_peaks *peaks, f32x16 least, f32x16 most) {
  store16(peaks->least, max16(least, load16(peaks->least)));
  store16(peaks->most, max16(select16(most == most, most, all16(__builtin_inff())), load16(peaks->most)));
}

static void renew_peaks(const look_view *v, int32_t group) {
  const int32_t first = group * LOOK_STRIPES, left = v->stripes - first;
  look_peaks *peaks = v->peaks + group;
  no_peaks(peaks);
  for (int32_t stripe = first; stripe < first + (left < LOOK_STRIPES ? left : LOOK_STRIPES); stripe++) {
    f32x16 least, most;
    limits_of(v, stripe, &least, &most);
    add_peaks(peaks, least, most);
  }
}

// Lists the tokens that callers change, each once, with the least and the most that its logit may be then; its
// place is in `near` from then on. Both bounds go through the same steps as the logit would, none of which
// turns an order around. Returns 0 where that is not so, or where there are too many.
static int32_t list_changed(const head_draw_command *c, const adjust_logits_command *changes, int32_t row) {
  const look_view v = view_of(c, row);
  look_lists *lists = v.lists;
  float *near = v.near;
  int32_t count, n = 0;
  const int32_t *history = penalised_tokens(changes, row, &count);
  const int32_t biases = biases_of(changes);
  const float repetition = amounts_of(changes, row)[0];
  if (count > 0 && !(repetition > 0.0f && repetition < __builtin_inff())) return 0;
  for (int32_t i = -biases; i < count; i++) {
    int32_t token;
    if (i >= 0) {
      token = history[i];
    } else if (bias_at(changes, row, i + biases, &token) == 0.0f) {
      continue;
    }
    if (place_of(near[token]) >= 0) continue;
    if (n == CHANGED_ROOM) return 0;
    const float doubt = doubt_of(&v, token / 16)[token % 16];
    lists->least[n] = near[token] - doubt;
    lists->most[n] = near[token] + doubt;
    near[token] = listed_at(n++);
  }
  look_rows(c)[row].listed = n;
  if (n == 0) return 1;
  change_row(changes, row, lists->least, near);
  change_row(changes, row, lists->most, near);
  return 1;
}

// Peaks as they are with what callers change: list_changed has listed it.
static void renew_changed(const head_draw_command *c, const adjust_logits_command *changes, int32_t row) {
  const look_view v = view_of(c, row);
  const int32_t listed = look_rows(c)[row].listed, groups = peak_groups(c), biases = biases_of(changes);
  if (c->mask || listed > groups / 2) {
    for (int32_t group = 0; group < groups; group++) renew_peaks(&v, group);
    return;
  }
  if (listed == 0) return;
  int32_t count;
  const int32_t *history = penalised_tokens(changes, row, &count);
  for (int32_t i = -biases; i < count; i++) {
    int32_t token;
    if (i >= 0) token = history[i];
    else bias_at(changes, row, i + biases, &token);
    renew_peaks(&v, token / 16 / LOOK_STRIPES);
  }
}

// What may not be drawn is -infinity.
static void leave_masked_out(const head_draw_command *c, const adjust_logits_command *changes, int32_t row) {
  look_lists *lists = lists_of(c, row);
  float *near = near_logits(c, row);
  for (int32_t token = 0; token < vocabulary(c); token += 16) {
    for (uint32_t left = ~allowed_bits(changes, row, token) & 0xffff; left; left &= left - 1) {
      float *own = near + token + __builtin_ctz(left);
      const int32_t place = place_of(*own);
      if (place >= 0) {
        lists->least[place] = lists->most[place] = -__builtin_inff();
      } else {
        *own = -__builtin_inff();
      }
    }
  }
}

typedef struct {
  // Tokens that are below this are not among the largest.
  float limit;
  // Of a race: its numbers, and the time within which a token surely comes.
  position_key key;
  float inverse, widest, time;
} look_draw;

// A time that the tokens of a stripe have at most with logits of at least `least`, or infinity.
INLINE f32x16 latest_times(const look_draw *d, i32x16 tokens, f32x16 least, float largest, f32x16 best) {
  const f32x16 none = all16(__builtin_inff());
  // Those that surely run.
  const i32x16 runs = (largest - least) * d->inverse * 1.001f <= all16(d->widest);
  const f32x16 u = uniform16(tokens, d->key), factor = exp16((d->limit - least) * d->inverse) * 1.01f;
  if (!any16(runs & (u * factor * 0.99f < best))) return none;
  return select16(runs, exponential16(u) * factor, none);
}

// Which tokens of a stripe may be drawn, a bit each.
INLINE uint32_t kept_bits(const look_draw *d, const int32_t kind, i32x16 tokens, f32x16 most) {
  // What is no number is looked at.
  const i32x16 large = ~(most < all16(d->limit));
  if (kind == DRAW_LARGEST) return bits16(large);
  const f32x16 gaps = (d->limit - most) * d->inverse;
  const f32x16 times = uniform16(tokens, d->key) * exp16(gaps) * 0.98f;
  return bits16(large | ((gaps * 0.999f <= all16(d->widest)) & (times <= all16(d->time))));
}

// Lists the row's tokens that may be drawn, ascending. Returns their number, or -1 where there are too many.
INLINE int32_t list_kept(const look_view *v, const int32_t kind, const look_draw *d, int32_t *least_orders) {
  look_lists *lists = v->lists;
  int32_t n = 0;
  for (int32_t stripe = 0; stripe < v->stripes; stripe++) {
    if (kind == DRAW_LARGEST && stripe % LOOK_STRIPES == 0) {
      const look_peaks *peaks = v->peaks + stripe / LOOK_STRIPES;
      if (!any16(~(load16(peaks->most) < all16(d->limit)))) {
        stripe += LOOK_STRIPES - 1;
        continue;
      }
    }
    f32x16 least, most;
    limits_of(v, stripe, &least, &most);
    uint32_t kept = kept_bits(d, kind, tokens_from(stripe * 16), most);
    if (!kept) continue;
    float high[LANES];
    int32_t orders[LANES];
    store16(high, most);
    *(i32x16_any *)orders = order_of(select16(least == least, least, all16(-__builtin_inff())));
    for (; kept; kept &= kept - 1) {
      const int32_t lane = __builtin_ctz(kept);
      if (n == LOOK_ROOM) return -1;
      lists->tokens[n] = stripe * 16 + lane;
      lists->logits[n] = high[lane];
      least_orders[n++] = orders[lane];
    }
  }
  return n;
}

// A number that `wanted` of the numbers with these orders reach, and above all that are infinitely small.
INLINE float reached_by(const int32_t *orders, int32_t count, int32_t wanted) {
  const int32_t order = kth_largest(orders, count, wanted);
  const int32_t bits = order ^ ((order >> 31) & 0x7fffffff);
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value > LEAST_LOGIT ? value : LEAST_LOGIT;
}

static int32_t list_largest(const head_draw_command *c, int32_t row) {
  const int32_t top_k = settings_of(c, row)[SETTING_TOPK];
  const look_view view = view_of(c, row), *v = &view;
  look_lists *lists = v->lists;
  i32x16 largest[LOOK_SETS];
  f32x16 sets[LOOK_SETS];
  for (int32_t i = 0; i < LOOK_SETS; i++) sets[i] = all16(-__builtin_inff());
  const int32_t groups = peak_groups(c);
  for (int32_t group = 0; group < groups; group++) {
    f32x16 *own = sets + group % LOOK_SETS;
    *own = max16(load16(v->peaks[group].least), *own);
  }
  for (int32_t i = 0; i < LOOK_SETS; i++) largest[i] = order_of(sets[i]);
  look_draw draw = {.limit = reached_by((const int32_t *)largest, LOOK_SETS * LANES, top_k)};
  int32_t orders[LOOK_ROOM + LANES];
  const int32_t listed = list_kept(v, DRAW_LARGEST, &draw, orders);
  if (listed <= top_k) return listed;
  // The k-th largest of all that are left is larger than that of sets.
  for (int32_t i = listed; i < listed + LANES; i++) orders[i] = INT32_MIN;
  const float limit = reached_by(orders, listed, top_k);
  int32_t kept = 0;
  for (int32_t i = 0; i < listed; i++) {
    lists->tokens[kept] = lists->tokens[i];
    kept += !(lists->logits[i] < limit);
  }
  return kept;
}

static int32_t list_racers(const head_draw_command *c, int32_t row) {
  const look_view view = view_of(c, row), *v = &view;
  const int32_t *settings = settings_of(c, row);
  look_peaks peaks;
  no_peaks(&peaks);
  const int32_t groups = peak_groups(c);
  for (int32_t group = 0; group < groups; group++) {
    add_peaks(&peaks, load16(v->peaks[group].least), load16(v->peaks[group].most));
  }
  look_draw draw = {
      .limit = max_lanes(load16(peaks.least)),
      .key = key_of_draw(settings, step_of(c, row)),
      .inverse = setting_float(settings, SETTING_INVERSE),
      .widest = setting_float(settings, SETTING_WIDEST),
  };
  const float largest = max_lanes(load16(peaks.most));
  if (!(draw.limit > LEAST_LOGIT && largest < -LEAST_LOGIT)) return -1;
  f32x16 latest = all16(__builtin_inff());
  for (int32_t stripe = 0; stripe < v->stripes; stripe++) {
    f32x16 least, most;
    limits_of(v, stripe, &least, &most);
    latest = min16(latest_times(&draw, tokens_from(stripe * 16), least, largest, latest), latest);
  }
  draw.time = -max_lanes(-latest);
  int32_t orders[LOOK_ROOM + LANES];
  return list_kept(v, DRAW_RACE, &draw, orders);
}

// Lists what is to be computed of a row exactly.
static void choose_tokens(const head_draw_command *c, int32_t row) {
  look_row *own = look_rows(c) + row;
  if (own->kind == DRAW_ALL) return;
  const adjust_logits_command changes = changes_of(c);
  own->count = -1;
  if (list_changed(c, &changes, row)) {
    if (c->mask) leave_masked_out(c, &changes, row);
    renew_changed(c, &changes, row);
    own->count = own->kind == DRAW_LARGEST ? list_largest(c, row) : list_racers(c, row);
  }
  if (own->count < 0) own->kind = DRAW_ALL;
}

#endif
