/**
 * The begin token in a tokenizer.json: transformers puts there what its post_processor says, whatever
 * tokenizer_config.json says of it.
 */
import { isObject, type JsonObject } from '../checks.ts'
import { readSurroundings } from '../tokenizer/tokenizer-json.ts'

/** A post_processor that puts the begin token in front of a text. */
export function beginTemplate(token: string, id: number): JsonObject {
  const first = special(token, 0)
  const [a, b] = ['A', 'B'].map((name, i) => ({ Sequence: { id: name, type_id: i } }))
  return {
    type: 'TemplateProcessing',
    single: [first, a],
    pair: [first, a, special(token, 1), b],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  }
}

const special = (token: string, type: number) => ({ SpecialToken: { id: token, type_id: type } })

/**
 * A tokenizer.json whose post_processor puts the begin token in front if it is wanted, and only then; the
 * same object if that is so already.
 */
export function withBeginToken(
  json: JsonObject,
  token: string,
  id: number,
  isWanted: boolean,
): JsonObject {
  const post = json.post_processor
  if (readSurroundings(post).front.includes(id) === isWanted) return json
  return {
    ...json,
    post_processor: isWanted ? withToken(post, token, id) : withoutToken(post, token),
  }
}

function withToken(post: unknown, token: string, id: number): JsonObject {
  const template = beginTemplate(token, id)
  if (!isObject(post)) return template
  if (post.type === 'Sequence' && Array.isArray(post.processors)) {
    const at = post.processors.findIndex(
      (step) => isObject(step) && step.type === 'TemplateProcessing',
    )
    if (at < 0) return { ...post, processors: [...post.processors, template] }
    const processors = post.processors.with(at, withToken(post.processors[at], token, id))
    return { ...post, processors }
  }
  if (
    post.type !== 'TemplateProcessing' ||
    !Array.isArray(post.single) ||
    !Array.isArray(post.pair)
  ) {
    return { type: 'Sequence', processors: [post, template] }
  }
  return {
    ...post,
    single: [special(token, 0), ...post.single],
    pair: [special(token, 0), ...post.pair],
    special_tokens: {
      ...(post.special_tokens as JsonObject),
      ...(template.special_tokens as JsonObject),
    },
  }
}

function withoutToken(post: unknown, token: string): unknown {
  if (!isObject(post)) return post
  if (Array.isArray(post.processors)) {
    return { ...post, processors: post.processors.map((step) => withoutToken(step, token)) }
  }
  const rest = (list: unknown) =>
    Array.isArray(list) ? list.filter((item) => item?.SpecialToken?.id !== token) : list
  return { ...post, single: rest(post.single), pair: rest(post.pair) }
}
