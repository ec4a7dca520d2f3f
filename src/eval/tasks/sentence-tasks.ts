/**
 * Tasks that go on with a text: HellaSwag, WinoGrande and LAMBADA.
 */
import { FormatError } from '../../errors.ts'
import { capitalized, strip } from '../../jinja/text.ts'
import {
  choiceItem,
  type DatasetRow,
  type EvalTask,
  indexField,
  type TaskItem,
  textField,
  textsField,
} from '../task.ts'

/**
 * HellaSwag. From the hub: activity, first part and second part of the context, cleaned of WikiHow's
 * marks. As plain text ({ context, endings, label }, already cleaned) the beginning of the second part
 * is lower case in a third of the items, where the harness has a capital.
 */
export const hellaSwag: EvalTask = {
  name: 'hellaswag',
  kind: 'choice',
  hub: {
    repo: 'Rowan/hellaswag',
    config: 'default',
    split: 'validation',
    exampleSplit: 'train',
  },
  files: ['hellaswag'],
  plainText: { endings: ['.txt.bz2', '.txt', '.raw'], rows: hellaswagRows },
  source: 'Zellers et al. 2019',
  parse(row) {
    const endings = textsField(row, 'endings')
    const gold = indexField(row, 'label', endings.length)
    if ('context' in row) return choiceItem(textField(row, 'context'), endings, gold)
    const second = capitalized(textField(row, 'ctx_b'))
    const context = `${textField(row, 'activity_label')}: ${textField(row, 'ctx_a')} ${second}`
    return choiceItem(withoutMarks(context), endings.map(withoutMarks), gold)
  },
}

const ENDINGS = 4

/**
 * HellaSwag as text: context, the right ending's place, four endings, each on a line.
 *
 * @throws FormatError if the lines are not a whole number of items
 */
function hellaswagRows(text: string, path: string): DatasetRow[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  const size = 2 + ENDINGS
  if (lines.length % size !== 0) {
    throw new FormatError(
      `Expected ${size} lines an item in ${path}, got ${lines.length} lines, which is no multiple.`,
      { field: 'lines', path },
    )
  }
  return Array.from({ length: lines.length / size }, (_, item) => {
    const [context, label, ...endings] = lines.slice(item * size, (item + 1) * size)
    return { context, label, endings }
  })
}

function withoutMarks(text: string): string {
  const lines = strip(text).replaceAll(' [title]', '. ').split('\n')
  return lines.map(withoutBrackets).join('\n').replaceAll('  ', ' ')
}

/** In one pass: an expression would look for the end of each bracket anew, in a line of brackets for hours. */
function withoutBrackets(line: string): string {
  let out = ''
  let done = 0
  for (;;) {
    const start = line.indexOf('[', done)
    const end = start < 0 ? -1 : line.indexOf(']', start)
    if (end < 0) return out + line.slice(done)
    out += line.slice(done, start)
    done = end + 1
  }
}

/**
 * WinoGrande by partial evaluation (Trinh and Le 2018): the sentence up to the gap is the context, with
 * either name in the gap; what comes after it is scored for both.
 */
export const winoGrande: EvalTask = {
  name: 'winogrande',
  kind: 'choice',
  hub: {
    repo: 'allenai/winogrande',
    config: 'winogrande_xl',
    split: 'validation',
    exampleSplit: 'train',
  },
  files: ['winogrande'],
  source: 'Sakaguchi et al. 2020',
  parse(row) {
    if ('context_options' in row) {
      const contexts = textsField(row, 'context_options')
      const gold = indexField(row, 'gold', contexts.length)
      return gapItem(contexts, textField(row, 'continuation'), gold)
    }
    const sentence = textField(row, 'sentence')
    const gap = sentence.indexOf('_')
    if (gap < 0) {
      throw new FormatError('Expected "_" in the sentence of a WinoGrande row, found none.', {
        field: 'sentence',
      })
    }
    const options = [textField(row, 'option1'), textField(row, 'option2')]
    const contexts = options.map((option) => sentence.slice(0, gap) + option)
    return gapItem(contexts, strip(sentence.slice(gap + 1)), indexField(row, 'answer', 2, 1))
  },
}

function gapItem(contexts: readonly string[], rest: string, gold: number): TaskItem {
  const requests = contexts.map((context) => ({ context, continuation: ` ${rest}` }))
  return { requests, gold, choices: contexts.map(() => rest) }
}

/** LAMBADA in OpenAI's form: the last word after all others, split at spaces only. */
export const lambadaOpenAi: EvalTask = {
  name: 'lambada_openai',
  kind: 'cloze',
  hub: { repo: 'EleutherAI/lambada_openai', config: 'default', split: 'test' },
  files: ['lambada_openai', 'lambada'],
  source: 'Paperno et al. 2016',
  parse(row) {
    if ('continuation' in row) {
      return choiceItem(textField(row, 'context'), [textField(row, 'continuation')], 0)
    }
    const text = textField(row, 'text')
    const at = text.lastIndexOf(' ')
    if (at < 0) {
      throw new FormatError('Expected at least two words in a LAMBADA row.', { field: 'text' })
    }
    return choiceItem(text.slice(0, at), [text.slice(at + 1)], 0)
  },
}
