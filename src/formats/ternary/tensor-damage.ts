/** What may be wrong with the numbers of a tensor, in words. */
import { FormatError } from '../../errors.ts'
import type { TensorInfo } from '../model-file.ts'

export function tensorError(tensor: TensorInfo, message: string): FormatError {
  return new FormatError(message, { field: tensor.name, path: tensor.source.name })
}

/** @param expected what the tensor's type should be, for people */
export function illegalCode(tensor: TensorInfo, expected: string = tensor.type): FormatError {
  return tensorError(
    tensor,
    `Expected the codes 0, 1 and 2 in tensor "${tensor.name}", got 3: the data of ` +
      `${tensor.source.name} is damaged, or not ${expected}.`,
  )
}

/** Infinity or NaN among the weights. */
export function notFinite(tensor: TensorInfo): FormatError {
  return tensorError(
    tensor,
    `Expected finite weights in tensor "${tensor.name}" of ${tensor.source.name}, got infinity ` +
      'or NaN. The file is damaged; fetch it again.',
  )
}
