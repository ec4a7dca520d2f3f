/**
 * Saved conversations: what is read, what is refused, and that nothing is lost where a save fails.
 */
import { execFileSync } from 'node:child_process'
import {
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { ChatMessage } from '../../../tokenizer/text-tokenizer.ts'
import { ConversationFileError, readConversation, writeConversation } from './conversation-file.ts'

const TALK: ChatMessage[] = [
  { role: 'user', content: 'こんにちは\n"""' },
  { role: 'assistant', content: '\u0000👨‍👩‍👧' },
]

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bitnet-talk-'))
})
afterEach(async () => {
  vi.restoreAllMocks()
  await rm(folder, { recursive: true, force: true })
})

test.each([['two messages', TALK] as const, ['none', []] as const])(
  'a conversation of %s comes back as it was',
  async (_, messages) => {
    const path = join(folder, 'talk.json')
    await writeConversation(path, messages)
    expect(await readConversation(path)).toEqual(messages)
    await writeConversation(path, [...messages, ...TALK])
    expect(await readConversation(path)).toEqual([...messages, ...TALK])
    expect(await readdir(folder)).toEqual(['talk.json'])
  },
)

test('what is said in parts is read as one text', async () => {
  const path = join(folder, 'parts.json')
  const content = ['one ', 'and two'].map((text) => ({ type: 'text', text }))
  await writeFile(path, JSON.stringify([{ role: 'user', content }]))
  expect(await readConversation(path)).toEqual([{ role: 'user', content: 'one and two' }])
})

describe('a save that fails', () => {
  /** Half of what is written reaches the disk before it is full. */
  async function fillDisk(): Promise<void> {
    const handle = await open(join(folder, 'probe'), 'w')
    const prototype = Object.getPrototypeOf(handle)
    await handle.close()
    await rm(join(folder, 'probe'))
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
      code: 'ENOSPC',
      syscall: 'write',
    })
    vi.spyOn(prototype, 'writeFile').mockImplementation(async function (
      this: { write(text: string): Promise<unknown> },
      text: unknown,
    ) {
      await this.write(String(text).slice(0, String(text).length / 2))
      throw full
    })
  }

  test('leaves the old file as it was, and nothing beside it', async () => {
    const path = join(folder, 'talk.json')
    await writeConversation(path, TALK)
    await fillDisk()
    await expect(writeConversation(path, [])).rejects.toThrow('ENOSPC')
    expect(await readConversation(path)).toEqual(TALK)
    expect(await readdir(folder)).toEqual(['talk.json'])
  })

  test('leaves no file where there was none', async () => {
    await fillDisk()
    await expect(writeConversation(join(folder, 'talk.json'), TALK)).rejects.toThrow('ENOSPC')
    expect(await readdir(folder)).toEqual([])
  })
})

test('a link is followed, and stays one', async () => {
  const path = join(folder, 'talk.json')
  await writeConversation(path, TALK)
  const link = join(folder, 'link.json')
  await symlink('talk.json', link)
  await writeConversation(link, [])
  expect(await readConversation(path)).toEqual([])
  expect(await readConversation(link)).toEqual([])
})

test('one that an editor has saved as UTF-16 is read', async () => {
  const path = join(folder, 'talk.json')
  await writeFile(path, Buffer.from(`\ufeff${JSON.stringify(TALK)}`, 'utf16le'))
  expect(await readConversation(path)).toEqual(TALK)
})

describe('what is no conversation', () => {
  async function refusalOf(path: string): Promise<unknown> {
    await expect(writeConversation(path, TALK)).rejects.toMatchObject({ reason: 'taken' })
    return readConversation(path).then(
      () => 'read',
      (error: unknown) => (error instanceof ConversationFileError ? error.reason : error),
    )
  }

  test.each(['', 'notes', '{}', '[1]', '{"messages":[{"role":"robot","content":""}]}'])(
    'such as a file with %j is refused, and not written over',
    async (text) => {
      const path = join(folder, 'notes.txt')
      await writeFile(path, text)
      expect(await refusalOf(path)).toBe('content')
      expect(await readFile(path, 'utf8')).toBe(text)
    },
  )

  test('such as one in Shift_JIS, or with damage, is refused: its texts would be others', async () => {
    const path = join(folder, 'talk.json')
    const around = ['[{"role":"user","content":"', '"}]'].map((text) => Buffer.from(text))
    // こんに in Shift_JIS; the beginning of あ.
    for (const word of [
      [0x82, 0xb1, 0x82, 0xf1, 0x82, 0xc9],
      [0xe3, 0x81],
    ]) {
      await writeFile(path, Buffer.concat([around[0], Buffer.from(word), around[1]]))
      expect(await refusalOf(path)).toBe('content')
    }
  })

  test('such as a folder or a device is refused', async () => {
    await mkdir(join(folder, 'sub'))
    expect(await refusalOf(join(folder, 'sub'))).toBe('kind')
    expect(await refusalOf('/dev/zero')).toBe('kind')
  })

  test('such as a pipe that nobody writes to is refused at once', async () => {
    const path = join(folder, 'pipe')
    execFileSync('mkfifo', [path])
    expect(await refusalOf(path)).toBe('kind')
  })

  test('such as a file of three gigabytes is refused unread', async () => {
    const path = join(folder, 'huge.json')
    await writeFile(path, '')
    await truncate(path, 3 * 2 ** 30)
    expect(await refusalOf(path)).toBe('size')
  })

  test('such as a path with a zero byte is an error like any other', async () => {
    await expect(readConversation('a\u0000b')).rejects.toThrow('null bytes')
    await expect(writeConversation('a\u0000b', TALK)).rejects.toThrow('null bytes')
  })
})
