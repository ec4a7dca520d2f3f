/**
 * What an inspection looks like, for files whose texts are not what they should be.
 */
import { expect, test } from 'vitest'
import { smallModel } from '../../../../test/support/small-model.ts'
import { formatReport } from '../../console/table.ts'
import { describeInspection } from './inspect-report.ts'
import { inspectModel } from './model-inspection.ts'

const tokenizer = { problem: 'none\u0007' }

test('control characters of a file do not reach the terminal', async () => {
  const file = smallModel()
  const [[, tensor]] = file.tensors
  const tensors = new Map(file.tensors).set('evil', { ...tensor, name: '\u001b[2Jevil\nname' })
  const model = await inspectModel({ ...file, tensors })
  const lines = formatReport(describeInspection({ model, tokenizer, remote: null }))
  expect(lines.join('')).not.toMatch(/\p{Cc}/u)
  expect(lines.find((line) => line.includes('evil'))).toContain('[2Jevil name')
})

test('a model that cannot be run shows why, and no memory', async () => {
  const model = await inspectModel(smallModel({ without: ['model.norm.weight'] }))
  const lines = formatReport(describeInspection({ model, tokenizer, remote: null }))
  expect(lines.find((line) => line.startsWith('cannot run'))).toContain('model.norm.weight')
  expect(lines.some((line) => line.startsWith('memory'))).toBe(false)
})
