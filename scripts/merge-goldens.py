"""Writes the merges that the Rust library's trainer learns from the texts of a fixture into it.

    pip install tokenizers==0.23.2
    node -e "import('./dist/tokenizer/regex/known.js').then((m) => console.log(m.SCRIPTS_SPLIT))" > split.txt
    python scripts/merge-goldens.py split.txt
"""

import json
import sys
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

FIXTURE = Path(__file__).parent.parent / "test/fixtures/tokenizer/trained-merges.json"
VOCABULARY = 256 + 700

fixture = json.loads(FIXTURE.read_text())
split = Regex(Path(sys.argv[1]).read_text().removesuffix("\n"))
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
    [
        pre_tokenizers.Split(split, "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
)
trainer = trainers.BpeTrainer(
    vocab_size=VOCABULARY,
    min_frequency=2,
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    show_progress=False,
)
tokenizer.train_from_iterator(fixture["texts"], trainer)
merges = [" ".join(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
FIXTURE.write_text(json.dumps({"texts": fixture["texts"], "merges": merges}, ensure_ascii=False, indent=1) + "\n")
