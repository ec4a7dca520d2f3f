/** adapter_config.json, as PEFT reads it. */
import type { JsonObject } from '../../checks.ts'
import type { ModelConfig } from '../../model/config/config.ts'
import { writtenName } from '../../model/layers.ts'
import { type LowRank, linearParts } from '../low-rank-plan.ts'

export function adapterConfig(
  { rank, alpha, base }: LowRank & { readonly base: string },
  model: ModelConfig,
): JsonObject {
  const names = linearParts(model).map((part) => writtenName('safetensors', part, model).split('.'))
  return {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: base,
    r: rank,
    lora_alpha: alpha,
    lora_dropout: 0,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    target_modules: [...new Set(names.map((name) => name.at(-2)))],
  }
}
