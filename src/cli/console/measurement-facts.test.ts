import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openPowerMeter } from '../../node/energy/power-meter.ts'
import { energyFact } from './measurement-facts.ts'

describe('why energy was not measured', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bitnet-energy-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'empty/sys/class/powercap'), { recursive: true })

  test.each(['nothing', 'empty'])('is told in Japanese words, with %s to read', (name) => {
    const counted = openPowerMeter(join(folder, name))
    if (!('reason' in counted)) throw new Error('Expected no counters.')
    const [fact, words] = energyFact(counted, 'ja')
    expect(fact).toBe('エネルギー')
    expect(words).toMatch(/^実測なし: この.*電力量を数える機能がありません$/)
    expect(energyFact(counted)).toEqual(['energy', `not measured: ${counted.reason}`])
  })
})
