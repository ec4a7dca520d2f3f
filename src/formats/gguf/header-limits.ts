/**
 * What a GGUF header may ask for. A header is read before anything in it can be trusted, so each
 * count is held against one of these and against the bytes that the file really has.
 */

/** First piece of a header that is read; it doubles until the header is whole. */
export const FIRST_PIECE_BYTES = 1 << 20

/** A 262,144-piece vocabulary with its tokenizer.json takes about 50 MiB; the rest is room. */
export const MAX_HEADER_BYTES = 256 << 20

/** Real files have under 100; each takes at least 13 bytes. */
export const MAX_METADATA_KEYS = 1 << 16

/** A 512-expert mixture with one tensor per expert and layer stays below. */
export const MAX_TENSORS = 1 << 18

/** The specification allows keys of 65,535 bytes and names of 64; longer names exist in the wild. */
export const MAX_KEY_BYTES = 65_535
export const MAX_TENSOR_NAME_BYTES = 1024

/** A tokenizer.json stored whole is the longest string known: 33 MB for 262,144 pieces. */
export const MAX_STRING_BYTES = 96 << 20

/** Over all arrays of a file; the largest vocabularies need 1.5 million. An element takes 8 bytes. */
export const MAX_ARRAY_ELEMENTS = 1 << 24

/** Arrays of arrays are legal, deeper nesting is not used by any known key. */
export const MAX_ARRAY_DEPTH = 3

/** ggml's own limit. */
export const MAX_DIMENSIONS = 4

/** Alignment is a power of two; 32 everywhere so far. */
export const MIN_ALIGNMENT = 8
export const MAX_ALIGNMENT = 1 << 16
export const DEFAULT_ALIGNMENT = 32

/** Key, type and shortest value: 8 + 4 + 1 bytes. */
export const MIN_METADATA_ENTRY_BYTES = 13
/** Name length, number of dimensions, type and offset: 8 + 4 + 4 + 8 bytes. */
export const MIN_TENSOR_ENTRY_BYTES = 24
