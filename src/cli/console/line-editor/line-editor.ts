/**
 * Reads messages from a terminal, with editing. Node's readline is not used: on Node 20 it appends all but
 * the last character of a chunk to the end of the line, wherever the cursor is, and so scrambles what
 * input methods commit; on all versions a step is a code point, and a pasted line end is Enter.
 *
 * The terminal stays in raw mode from `open` to `close`, so that what is typed while nobody reads is
 * neither shown nor lost: it waits for the next `read`. Ctrl-C is a key then, and no signal.
 */
import type { InputStream, OutputStream } from '../surroundings.ts'
import { type Completion, completeText } from './completion.ts'
import { EditBuffer } from './edit-buffer.ts'
import { type EditCommand, type Key, KeyReader } from './keys.ts'
import { PromptScreen } from './prompt-screen.ts'
import { indexAt, layOut, placeOf } from './text-layout.ts'

export interface LineEditorOptions {
  readonly input: InputStream
  readonly output: OutputStream
  readonly prompt: string
  /** Earlier messages, the oldest first; the editor adds those that are read. */
  readonly history: string[]
  /** What Tab may make of the text before the cursor. */
  readonly complete?: (text: string) => Completion
  /** Whether Enter goes on in a new line instead of ending the message. */
  readonly isUnfinished?: (text: string) => boolean
  /** Told after the first Ctrl-C; the second one leaves. */
  readonly leaveHint: string
  /** Ctrl-C while nobody reads. */
  readonly onInterrupt: () => void
}

const PASTE_ON = '\u001b[?2004h'
const PASTE_OFF = '\u001b[?2004l'
const BELL = '\u0007'

/** A sequence comes in one piece but over the slowest lines; Esc alone is followed by nothing. */
const SEQUENCE_MS = 100
/** Keys that wait for the next `read`. */
const MAX_WAITING = 10_000

export class LineEditor {
  readonly #options: LineEditorOptions
  readonly #screen: PromptScreen
  readonly #keys = new KeyReader()
  readonly #buffer = new EditBuffer()
  #waiting: Key[] = []
  #settle: ((message: string | undefined) => void) | undefined
  #isOpen = false
  #hasEnded = false
  /** Whether the last key was Ctrl-C. */
  #isLeaving = false
  #escTimer: NodeJS.Timeout | undefined
  /** Where in the history the text is from, and what was being written before. */
  #historyIndex = 0
  #draft = ''
  /** The column that Up and Down keep to. */
  #column: number | undefined

  constructor(options: LineEditorOptions) {
    this.#options = options
    this.#screen = new PromptScreen(options.output)
  }

  open(): void {
    if (this.#isOpen) return
    this.#isOpen = true
    const { input, output } = this.#options
    this.#takeTerminal()
    input.on('data', this.#onData)
    input.on('end', this.#onEnd)
    input.on('close', this.#onEnd)
    output.on('resize', this.#onResize)
    input.resume()
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    const { input, output } = this.#options
    input.off('data', this.#onData)
    input.off('end', this.#onEnd)
    input.off('close', this.#onEnd)
    output.off('resize', this.#onResize)
    clearTimeout(this.#escTimer)
    this.#giveTerminal()
    input.pause()
    this.#finish(undefined)
  }

  /** The next message; undefined if the user leaves. */
  async read(): Promise<string | undefined> {
    if (!this.#isOpen || this.#hasEnded) return undefined
    this.#buffer.set('')
    this.#historyIndex = this.#options.history.length
    this.#isLeaving = false
    return new Promise((resolve) => {
      this.#settle = resolve
      const waiting = this.#waiting
      this.#waiting = []
      this.#draw()
      this.#applyAll(waiting)
    })
  }

  readonly #onData = (chunk: Uint8Array): void => {
    clearTimeout(this.#escTimer)
    this.#applyAll(this.#keys.read(chunk))
    if (this.#keys.isWaiting) {
      this.#escTimer = setTimeout(() => this.#keys.giveUp(), SEQUENCE_MS)
    }
  }

  readonly #onEnd = (): void => {
    this.#hasEnded = true
    if (this.#settle === undefined) this.#options.onInterrupt()
    this.#finish(undefined)
  }

  readonly #onResize = (): void => {
    this.#screen.reflow()
    if (this.#settle !== undefined) this.#draw()
  }

  #applyAll(keys: readonly Key[]): void {
    let isChanged = false
    for (const key of keys) {
      if (this.#settle === undefined) this.#wait(key)
      else {
        this.#apply(key)
        isChanged = true
      }
    }
    // Once for all keys of a chunk: a word that is committed appears at once.
    if (isChanged && this.#settle !== undefined) this.#draw()
  }

  /** Nobody reads: a key waits, but for Ctrl-C, which takes all that waits away. */
  #wait(key: Key): void {
    if (key.kind === 'command' && key.command === 'interrupt') {
      this.#waiting = []
      this.#options.onInterrupt()
    } else if (key.kind === 'command' && key.command === 'suspend') this.#suspend()
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(key)
  }

  #apply(key: Key): void {
    const buffer = this.#buffer
    const isInterrupt = key.kind === 'command' && key.command === 'interrupt'
    if (!isInterrupt) this.#isLeaving = false
    if (key.kind !== 'command') {
      this.#column = undefined
      this.#insert(key.text)
      return
    }
    const { command } = key
    if (command !== 'up' && command !== 'down') this.#column = undefined
    const edit = EDITS[command]
    if (edit !== undefined) edit(buffer)
    else this.#controls[command]?.()
  }

  /** Keys that do more than edit. */
  readonly #controls: Readonly<Partial<Record<EditCommand, () => void>>> = {
    submit: () => this.#submit(),
    interrupt: () => this.#interrupt(),
    'end-of-input': () => this.#endOfInput(),
    up: () => this.#moveRow(-1),
    down: () => this.#moveRow(1),
    older: () => this.#recall(-1),
    newer: () => this.#recall(1),
    complete: () => this.#complete(),
    redraw: () => this.#screen.clear(),
    suspend: () => {
      this.#screen.finish(this.#buffer.text, this.#options.prompt)
      this.#suspend()
    },
  }

  #submit(): void {
    const { text } = this.#buffer
    const { isUnfinished, history, prompt } = this.#options
    if (text.trim() === '') this.#buffer.set('')
    else if (isUnfinished?.(text) === true) this.#insert('\n')
    else {
      this.#screen.finish(text, prompt)
      if (history.at(-1) !== text) history.push(text)
      this.#finish(text)
    }
  }

  /** Ctrl-D: leaves where there is nothing to delete. */
  #endOfInput(): void {
    if (this.#buffer.text !== '') this.#buffer.deleteBy(1)
    else {
      this.#screen.finish('', this.#options.prompt)
      this.#finish(undefined)
    }
  }

  #insert(text: string): void {
    if (!this.#buffer.insert(text)) this.#bell()
  }

  #interrupt(): void {
    const { leaveHint, prompt } = this.#options
    this.#screen.finish(this.#buffer.text, prompt, '^C')
    this.#buffer.set('')
    this.#historyIndex = this.#options.history.length
    if (this.#isLeaving) this.#finish(undefined)
    else {
      this.#isLeaving = true
      this.#screen.say(leaveHint)
    }
  }

  #finish(message: string | undefined): void {
    const settle = this.#settle
    this.#settle = undefined
    settle?.(message)
  }

  /** To the row above or below; from the first and the last one into the history. */
  #moveRow(direction: -1 | 1): void {
    const rows = layOut(this.#buffer.text, this.#screen.columns, this.#options.prompt)
    const place = placeOf(rows, this.#buffer.cursor)
    const row = place.row + direction
    if (row < 0 || row >= rows.length) this.#recall(direction)
    else {
      this.#column ??= place.column
      this.#buffer.moveTo(indexAt(rows, { row, column: this.#column }))
    }
  }

  #recall(direction: -1 | 1): void {
    const { history } = this.#options
    const index = this.#historyIndex + direction
    if (index < 0 || index > history.length) this.#bell()
    else {
      if (this.#historyIndex === history.length) this.#draft = this.#buffer.text
      this.#historyIndex = index
      this.#buffer.set(history[index] ?? this.#draft)
    }
  }

  #complete(): void {
    const { complete } = this.#options
    const { before, text } = this.#buffer
    const { insert, choices } =
      complete === undefined || before !== text
        ? { insert: '', choices: [] }
        : completeText(text, complete(text))
    if (insert !== '') this.#buffer.insert(insert)
    else if (choices.length === 0) this.#bell()
    else {
      this.#screen.finish(text, this.#options.prompt)
      this.#screen.say(choices.join('  '))
    }
  }

  /** Ctrl-Z: in raw mode the terminal does not send the signal. The whole job stops, as it would. */
  #suspend(): void {
    if (process.platform === 'win32') return
    this.#giveTerminal()
    process.once('SIGCONT', () => {
      if (!this.#isOpen) return
      this.#takeTerminal()
      if (this.#settle !== undefined) this.#draw()
    })
    process.kill(0, 'SIGTSTP')
  }

  #takeTerminal(): void {
    this.#options.input.setRawMode?.(true)
    this.#options.output.write(PASTE_ON)
  }

  #giveTerminal(): void {
    this.#options.output.write(PASTE_OFF)
    this.#options.input.setRawMode?.(false)
  }

  #draw(): void {
    this.#screen.draw(this.#buffer.text, this.#buffer.cursor, this.#options.prompt)
  }

  #bell(): void {
    this.#options.output.write(BELL)
  }
}

/** Keys that change the text or move in it, and nothing else. */
const EDITS: Readonly<Partial<Record<EditCommand, (buffer: EditBuffer) => void>>> = {
  left: (buffer) => buffer.moveBy(-1),
  right: (buffer) => buffer.moveBy(1),
  'word-left': (buffer) => buffer.moveByWord(-1),
  'word-right': (buffer) => buffer.moveByWord(1),
  home: (buffer) => buffer.moveToLineStart(),
  end: (buffer) => buffer.moveToLineEnd(),
  backspace: (buffer) => buffer.deleteBy(-1),
  delete: (buffer) => buffer.deleteBy(1),
  'delete-word-left': (buffer) => buffer.deleteByWord(-1),
  'delete-word-right': (buffer) => buffer.deleteByWord(1),
  'delete-to-start': (buffer) => buffer.deleteToLineEdge(-1),
  'delete-to-end': (buffer) => buffer.deleteToLineEdge(1),
  'put-back': (buffer) => buffer.putBack(),
  'new-line': (buffer) => void buffer.insert('\n'),
}
