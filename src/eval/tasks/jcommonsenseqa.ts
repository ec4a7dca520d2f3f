/**
 * JCommonsenseQA of JGLUE (Kurihara et al. 2022) with prompt 0.2.1 of the Japanese community's harness
 * (Stability AI's jp-stable branch): an instruction, the question, the choices as a list, and the
 * choice's text, without a space before it, as the answer.
 */
import { choiceItem, type EvalTask, indexField, textField } from '../task.ts'

const CHOICES = 5

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
    const choices = Array.from({ length: CHOICES }, (_, i) => textField(row, `choice${i}`))
    const list = choices.map((choice) => `- ${choice}`).join('\n')
    const context = `質問：${textField(row, 'question')}\n選択肢：\n${list}\n回答：`
    return choiceItem(context, choices, indexField(row, 'label', CHOICES), '')
  },
}
