/**
 * What a person sees: a terminal without a window, which is given what a program writes.
 */
import unicode from '@xterm/addon-unicode11'
import xterm from '@xterm/headless'

export class Screen {
  readonly #terminal: xterm.Terminal

  constructor(columns: number, rows = 24) {
    this.#terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true })
    // Widths of emoji; without it they are those of Unicode 6.
    this.#terminal.loadAddon(new unicode.Unicode11Addon())
    this.#terminal.unicode.activeVersion = '11'
  }

  /** Settles when the text is on the screen. */
  write(data: Uint8Array | string): Promise<void> {
    return new Promise((resolve) => this.#terminal.write(data, resolve))
  }

  resize(columns: number, rows: number): void {
    this.#terminal.resize(columns, rows)
  }

  /** All rows, those that have scrolled out included, without spaces at their ends. */
  get rows(): string[] {
    const { active } = this.#terminal.buffer
    const rows = Array.from(
      { length: active.length },
      (_, y) => active.getLine(y)?.translateToString(true).trimEnd() ?? '',
    )
    while (rows.at(-1) === '') rows.pop()
    return rows
  }

  /** The rows as lines: those that the terminal has broken are put together. */
  get text(): string {
    const { active } = this.#terminal.buffer
    return this.rows
      .map((row, y) => (y > 0 && active.getLine(y)?.isWrapped === true ? row : `\n${row}`))
      .join('')
      .slice(1)
  }

  /** The column of the cursor, and the text of its row. */
  get cursor(): { column: number; row: string } {
    const { active } = this.#terminal.buffer
    const row =
      active
        .getLine(active.baseY + active.cursorY)
        ?.translateToString(true)
        .trimEnd() ?? ''
    return { column: active.cursorX, row }
  }

  /** Whether the program has asked for marks around what is pasted. */
  get marksPastes(): boolean {
    return this.#terminal.modes.bracketedPasteMode
  }
}
