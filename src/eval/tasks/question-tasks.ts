/**
 * Tasks with a question and its answers: ARC, OpenBookQA, BoolQ, PIQA, JCommonsenseQA. Rows are read as the hub has
 * them, and in the form { query, choices, gold } in which such sets are passed around as JSONL.
 */
import { isObject } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import {
  choiceItem,
  type DatasetRow,
  type EvalTask,
  indexField,
  type TaskItem,
  textField,
  textsField,
} from '../task.ts'

function arc(level: 'easy' | 'challenge', config: string): EvalTask {
  return {
    name: `arc_${level}`,
    kind: 'choice',
    hub: { repo: 'allenai/ai2_arc', config, split: 'test', exampleSplit: 'train' },
    files: [`arc_${level}`],
    source: 'Clark et al. 2018',
    parse(row) {
      if ('query' in row) return queryItem(row, '', '\nAnswer:')
      const { texts, gold } = lettered(row)
      return choiceItem(`Question: ${textField(row, 'question')}\nAnswer:`, texts, gold)
    },
  }
}

export const arcEasy = arc('easy', 'ARC-Easy')
export const arcChallenge = arc('challenge', 'ARC-Challenge')

/** The question's stem alone is the context: no fact, no "Answer:". */
export const openBookQa: EvalTask = {
  name: 'openbookqa',
  kind: 'choice',
  hub: { repo: 'allenai/openbookqa', config: 'main', split: 'test', exampleSplit: 'train' },
  files: ['openbookqa', 'openbook_qa'],
  source: 'Mihaylov et al. 2018',
  parse(row) {
    if ('query' in row) return queryItem(row, '', '')
    const { texts, gold } = lettered(row)
    return choiceItem(textField(row, 'question_stem'), texts, gold)
  },
}

export const boolQ: EvalTask = {
  name: 'boolq',
  kind: 'choice',
  hub: { repo: 'aps/super_glue', config: 'boolq', split: 'validation', exampleSplit: 'train' },
  files: ['boolq'],
  source: 'Clark et al. 2019',
  parse(row) {
    if ('query' in row) return queryItem(row, 'Passage: ', '\nAnswer:')
    const context = `${textField(row, 'passage')}\nQuestion: ${textField(row, 'question')}?\nAnswer:`
    // SuperGLUE has a label, the original a truth value.
    const gold = indexField(row, 'label' in row ? 'label' : 'answer', 2)
    return choiceItem(context, ['no', 'yes'], gold)
  },
}

export const piqa: EvalTask = {
  name: 'piqa',
  kind: 'choice',
  hub: { repo: 'baber/piqa', config: 'default', split: 'validation', exampleSplit: 'train' },
  files: ['piqa'],
  separateField: { field: 'label', file: 'piqa-labels.lst' },
  source: 'Bisk et al. 2020',
  parse(row) {
    const solutions = [textField(row, 'sol1'), textField(row, 'sol2')]
    const context = `Question: ${textField(row, 'goal')}\nAnswer:`
    return choiceItem(context, solutions, indexField(row, 'label', 2))
  },
}

/**
 * JCommonsenseQA of JGLUE (Kurihara et al. 2022) with prompt 0.2.1 of the Japanese community's harness
 * (Stability AI's jp-stable branch): an instruction, the question, the choices as a list, and the
 * choice's text, without a space before it, as the answer.
 */
export const jCommonsenseQa: EvalTask = {
  name: 'jcommonsenseqa',
  kind: 'choice',
  hub: {
    repo: 'sbintuitions/JCommonsenseQA',
    config: 'default',
    split: 'validation',
    exampleSplit: 'train',
  },
  files: ['jcommonsenseqa'],
  source: 'Kurihara et al. 2022',
  instruction: '与えられた選択肢の中から、最適な答えを選んでください。 \n\n',
  parse(row) {
    const choices = [0, 1, 2, 3, 4].map((i) => textField(row, `choice${i}`))
    const list = choices.map((choice) => `- ${choice}`).join('\n')
    const context = `質問：${textField(row, 'question')}\n選択肢：\n${list}\n回答：`
    return choiceItem(context, choices, indexField(row, 'label', choices.length), '')
  },
}

/** A row { query, choices, gold } with `prefix` taken off the query and `suffix` put behind it. */
function queryItem(row: DatasetRow, prefix: string, suffix: string): TaskItem {
  const query = textField(row, 'query')
  const choices = textsField(row, 'choices')
  const context = query.startsWith(prefix) ? query.slice(prefix.length) : query
  return choiceItem(context + suffix, choices, indexField(row, 'gold', choices.length))
}

/** Choices as { text, label } lists, with the letter or digit of the right one in `answerKey`. */
function lettered(row: DatasetRow): { texts: readonly string[]; gold: number } {
  const choices = row['choices']
  const lists: DatasetRow = isObject(choices) ? choices : {}
  const texts = textsField(lists, 'text')
  const key = textField(row, 'answerKey')
  const gold = textsField(lists, 'label').indexOf(key)
  if (gold < 0 || gold >= texts.length) {
    throw new FormatError(`Expected answerKey to be one of the choices' labels, got "${key}".`, {
      field: 'answerKey',
    })
  }
  return { texts, gold }
}
