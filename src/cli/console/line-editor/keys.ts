/**
 * From what a terminal sends to keys. Text comes in chunks of any size: an input method commits whole
 * words at once, and a paste, a sequence or a character may be cut anywhere.
 *
 * The sequences are those that xterm and its descendants send (invisible-island.net/xterm/ctlseqs).
 */
import { StringDecoder } from 'node:string_decoder'

export type EditCommand =
  | 'left'
  | 'right'
  | 'up'
  | 'down'
  | 'home'
  | 'end'
  | 'word-left'
  | 'word-right'
  | 'backspace'
  | 'delete'
  | 'delete-word-left'
  | 'delete-word-right'
  | 'delete-to-start'
  | 'delete-to-end'
  | 'put-back'
  | 'older'
  | 'newer'
  | 'complete'
  | 'new-line'
  | 'submit'
  | 'interrupt'
  | 'end-of-input'
  | 'redraw'
  | 'suspend'

export type Key =
  | { readonly kind: 'text' | 'paste'; readonly text: string }
  | { readonly kind: 'command'; readonly command: EditCommand }

const ESC = '\u001b'

/** Ctrl and a letter, and the other control characters. */
const CONTROLS: Readonly<Record<string, EditCommand>> = {
  '\x01': 'home',
  '\x02': 'left',
  '\x03': 'interrupt',
  '\x04': 'end-of-input',
  '\x05': 'end',
  '\x06': 'right',
  '\x08': 'backspace',
  '\t': 'complete',
  '\n': 'submit',
  '\x0b': 'delete-to-end',
  '\x0c': 'redraw',
  '\r': 'submit',
  '\x0e': 'newer',
  '\x10': 'older',
  '\x15': 'delete-to-start',
  '\x17': 'delete-word-left',
  '\x19': 'put-back',
  '\x1a': 'suspend',
  '\x7f': 'backspace',
}

/** Behind "ESC [" or "ESC O". */
const SEQUENCES: Readonly<Record<string, EditCommand>> = {
  A: 'up',
  B: 'down',
  C: 'right',
  D: 'left',
  F: 'end',
  H: 'home',
  '1~': 'home',
  '3~': 'delete',
  '4~': 'end',
  '7~': 'home',
  '8~': 'end',
  // With Alt, Ctrl, or both.
  '1;3C': 'word-right',
  '1;3D': 'word-left',
  '1;5C': 'word-right',
  '1;5D': 'word-left',
  '3;3~': 'delete-word-right',
  '3;5~': 'delete-word-right',
  // Shift and Enter, where a terminal can tell.
  '13;2u': 'new-line',
  '27;2;13~': 'new-line',
}

/** Alt and a key, which comes as ESC and the key. */
const ALT_KEYS: Readonly<Record<string, EditCommand>> = {
  '\r': 'new-line',
  '\n': 'new-line',
  '\x7f': 'delete-word-left',
  '\x08': 'delete-word-left',
  b: 'word-left',
  B: 'word-left',
  f: 'word-right',
  F: 'word-right',
  d: 'delete-word-right',
  D: 'delete-word-right',
}

const PASTE_START = `${ESC}[200~`
const PASTE_END = `${ESC}[201~`

// A sequence that is still coming; no real one is longer than that.
const INCOMPLETE = new RegExp(`^${ESC}(?:\\[[0-9:;<=>?]{0,30}[ -/]{0,4}|O)?$`)
const SEQUENCE = new RegExp(`^${ESC}(?:\\[([0-9:;<=>?]*)[ -/]*([@-~])|O([ -~]))`)
const TEXT = /^\P{Cc}+/u

export class KeyReader {
  readonly #decoder = new StringDecoder('utf8')
  /** What may be the beginning of a sequence. */
  #pending = ''
  /** What was pasted so far, while it comes. */
  #pasted: string | undefined

  /** Whether a sequence has begun that {@link giveUp} ends: Esc alone looks like one. */
  get isWaiting(): boolean {
    return this.#pending !== '' && this.#pasted === undefined
  }

  read(chunk: Uint8Array): Key[] {
    const keys: Key[] = []
    let rest = this.#pending + this.#decoder.write(Buffer.from(chunk))
    this.#pending = ''
    while (rest !== '') {
      if (this.#pasted !== undefined) rest = this.#readPaste(rest, keys)
      else if (INCOMPLETE.test(rest)) {
        this.#pending = rest
        break
      } else rest = this.#readKey(rest, keys)
    }
    return keys
  }

  /** Nothing more has come for a while: what has begun is no sequence. */
  giveUp(): void {
    if (this.isWaiting) this.#pending = ''
  }

  /** @returns what is left to read */
  #readPaste(rest: string, keys: Key[]): string {
    const end = rest.indexOf(PASTE_END)
    if (end < 0) {
      // The end itself may be cut.
      const kept = lengthOfPartialEnd(rest)
      this.#pasted += rest.slice(0, rest.length - kept)
      this.#pending = rest.slice(rest.length - kept)
      return ''
    }
    const text = (this.#pasted + rest.slice(0, end)).replace(/\r\n?/g, '\n')
    this.#pasted = undefined
    keys.push({ kind: 'paste', text })
    return rest.slice(end + PASTE_END.length)
  }

  /** @returns what is left to read, which is shorter than `rest` */
  #readKey(rest: string, keys: Key[]): string {
    const text = TEXT.exec(rest)?.[0]
    if (text !== undefined) {
      keys.push({ kind: 'text', text })
      return rest.slice(text.length)
    }
    if (rest.startsWith(PASTE_START)) {
      this.#pasted = ''
      return rest.slice(PASTE_START.length)
    }
    const sequence = SEQUENCE.exec(rest)
    if (sequence !== null) {
      const [all, parameters = '', final, ss3] = sequence
      addCommand(keys, SEQUENCES[ss3 ?? parameters + final])
      return rest.slice(all.length)
    }
    if (rest[0] !== ESC) {
      addCommand(keys, CONTROLS[rest[0]])
      return rest.slice(1)
    }
    // Esc is no key here; behind it, what is not Alt's stands for itself.
    const alt = ALT_KEYS[rest[1]]
    addCommand(keys, alt)
    return rest.slice(alt === undefined ? 1 : 2)
  }
}

function addCommand(keys: Key[], command: EditCommand | undefined): void {
  if (command !== undefined) keys.push({ kind: 'command', command })
}

/** Characters at the end of a text that a paste's end may begin with. */
function lengthOfPartialEnd(text: string): number {
  for (let length = PASTE_END.length - 1; length > 0; length--) {
    if (text.endsWith(PASTE_END.slice(0, length))) return length
  }
  return 0
}
