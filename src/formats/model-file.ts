/**
 * What readers of model files agree on: where bytes come from, and what a tensor is.
 */
import type { JsonObject } from '../checks.ts'

/** Random access to bytes, from a file, a Blob or memory. */
export interface ByteSource {
  /** For messages: a path or a name. */
  readonly name: string
  readonly size: number
  /**
   * Exactly `length` bytes from `offset`, in memory of the caller's own.
   *
   * @throws FormatError if they reach past the end
   */
  read(offset: number, length: number): Promise<Uint8Array>
  /**
   * As `read`, into memory that is there: several times as fast where the system would have to find
   * fresh pages.
   */
  readInto?(bytes: Uint8Array, offset: number): Promise<void>
  close(): Promise<void>
}

/**
 * Storage types that can be read, by their GGUF names. `U8` is safetensors' byte, which holds packed
 * ternary codes there; `F64` is for safetensors' scales.
 */
export type TensorType =
  | 'F64'
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'Q8_0'
  | 'Q6_K'
  | 'Q5_0'
  | 'Q4_0'
  | 'Q4_K'
  | 'Q1_0'
  | 'Q2_0'
  | 'Q2_0_128'
  | 'TQ1_0'
  | 'TQ2_0'
  | 'I2_S'
  | 'U8'

/** Where a tensor lies and how to read it. */
export interface TensorInfo {
  readonly name: string
  readonly type: TensorType
  /** Outermost first: (rows, cols) for a matrix, whatever the file's own order. */
  readonly shape: readonly number[]
  readonly source: ByteSource
  /** Of the tensor's first byte in `source`. */
  readonly offset: number
  readonly byteLength: number
  /** Of one of several matrices that the file has as one tensor. Unset: it is all of its tensor. */
  readonly ofStack?: MatrixOfStack | undefined
}

/** Which of how many matrices of a tensor one is, and where what stands once behind all of them begins. */
export interface MatrixOfStack {
  readonly index: number
  readonly count: number
  readonly tailOffset: number
}

/** A tensor that is there and cannot be read: a model that needs it is refused, another one runs. */
export interface UnreadTensor {
  readonly name: string
  /** What its format calls the type. */
  readonly type: string
  /** Outermost first. */
  readonly shape: readonly number[]
  readonly byteLength: number
  /** What else is known of it, for messages: ", id 26 in 32 bytes"; empty if nothing. */
  readonly note: string
}

/** An opened model: one GGUF file, or one or more safetensors files with their config.json. */
export interface ModelFile {
  readonly format: 'gguf' | 'safetensors'
  /** Path or name, for messages. */
  readonly name: string
  /** By the file's own tensor names. */
  readonly tensors: ReadonlyMap<string, TensorInfo>
  /** Tensors of types that are not read, and those without elements; unset: none. */
  readonly unread?: ReadonlyMap<string, UnreadTensor>
  close(): Promise<void>
}

/** Values a GGUF metadata key can hold; 64-bit integers that are not safe become bigint. */
export type GgufValue = number | bigint | boolean | string | GgufArray
/** Long arrays of numbers stay typed arrays. */
export type GgufArray = readonly GgufValue[] | Float32Array | Int32Array | Uint32Array

/** An opened GGUF file: its header is read, its tensors are not. */
export interface GgufFile extends ModelFile {
  readonly format: 'gguf'
  readonly version: number
  readonly alignment: number
  readonly metadata: ReadonlyMap<string, GgufValue>
  /** The type each value is stored as: "u32", or "f32[]" for an array. For writing it again. */
  readonly valueTypes?: ReadonlyMap<string, string>
}

/** An opened checkpoint: headers are read, tensors are not. */
export interface SafetensorsFile extends ModelFile {
  readonly format: 'safetensors'
  /** config.json; empty where there is none. */
  readonly config: JsonObject
}

/** What lies beside a checkpoint; a GGUF file has its tokenizer inside. */
export interface TokenizerFiles {
  readonly tokenizerJson?: JsonObject | undefined
  readonly tokenizerConfig?: JsonObject | undefined
  readonly generationConfig?: JsonObject | undefined
  /** chat_template.jinja, which goes before the template in tokenizer_config.json. */
  readonly chatTemplate?: string | undefined
  /** SentencePiece or tiktoken, as the model's makers wrote it. */
  readonly tokenizerModel?: Uint8Array | undefined
  readonly specialTokensMap?: JsonObject | undefined
  /** added_tokens.json: ids by text. */
  readonly addedTokens?: JsonObject | undefined
  /** Older files of a byte-level vocabulary, read where there is neither of the two above. */
  readonly vocabJson?: JsonObject | undefined
  readonly mergesText?: string | undefined
}

/** A model's file with what lies beside it. */
export interface OpenedModel {
  readonly file: GgufFile | SafetensorsFile
  readonly tokenizerFiles: TokenizerFiles
}

/** A ternary matrix as its file stores it, ready to be read row by row. */
export interface TernaryTensor {
  readonly name: string
  readonly rows: number
  readonly cols: number
  /** weight = code * scale, in the convention of ternary/quantize.ts. */
  readonly scale: number
  /** One a row in place of `scale`, which is the largest; only where they were asked for. */
  readonly rowScales?: Float32Array | undefined
  /** How the codes came about, for reports: "I2_S", "F16, quantised by absmean", ... */
  readonly origin: string
  /** False where quantising on load rounded away information. */
  readonly lossless: boolean
  /**
   * Root mean square of what quantising on load changed, relative to that of the weights; 0 where it
   * changed nothing. May read the whole tensor. Undefined where nothing is quantised.
   */
  readonly roundingError?: (() => Promise<number>) | undefined
  /** Codes -1, 0, +1 of rows [row, row + count), row-major, into `out`. */
  readCodes(row: number, count: number, out: Int8Array): Promise<void>
  /**
   * The file's own I2_S bytes of rows [row, row + count), checked, for a backend that unpacks them
   * itself; only where rows are whole blocks of 128. Not to be changed.
   */
  readonly readI2s?: ((row: number, count: number) => Promise<Uint8Array>) | undefined
}
