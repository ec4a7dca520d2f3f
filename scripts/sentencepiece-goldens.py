"""Makes test/fixtures/tokenizer/sentencepiece: small models with each setting of the normaliser, and what
SentencePiece makes of random texts with them. Needs `pip install sentencepiece` (0.2.2).

    python3 scripts/sentencepiece-goldens.py
"""

import base64
import json
import os
import random
import tempfile

import sentencepiece

FOLDER = os.path.join(os.path.dirname(__file__), "../test/fixtures/tokenizer/sentencepiece")
TEXTS = 300
WORDS = "hello world the sea 東京 日本 は です カメラ ガム naïve école 12".split()
# Capitals, half-width kana with and without a voice mark, circled digits, ligatures, spaces, nothing at all.
RULES = """\
41\t61
48\t68
C9\t E9
FF76\t30AB
FF76 FF9E\t30AC
2460\t31
FB01\t66 69
65 301\tE9
3000\t20
A0\t20
9\t20 20
AD\t
200B\t
600\t23
1F642\t3A 29
""".replace("\t ", "\t")
SETTINGS = {
    "plain": dict(normalization_rule_name="identity", remove_extra_whitespaces=False),
    "spaces": dict(normalization_rule_name="identity"),
    "rules": dict(),
    "rules-bare": dict(add_dummy_prefix=False, remove_extra_whitespaces=False),
}
POOL = WORDS + [" ", "  ", "   ", "\t", "\n", "\u00a0", "\u3000", "\u2581", "ｶ", "ｶﾞ", "ﾞ", "①", "ﬁ", "É"]
POOL += ["e\u0301", "\u0301", "🙂", "👩\u200d💻", "\u200b", "\u00ad", "\u0600", "A", "H", "a", ".", "", "한국"]


def main():
    random.seed(7)
    goldens = {"texts": [], "ids": {}, "back": {}}
    with tempfile.TemporaryDirectory() as folder:
        corpus, rules = os.path.join(folder, "corpus"), os.path.join(folder, "rules.tsv")
        with open(corpus, "w") as file:
            for _ in range(2000):
                file.write(" ".join(random.choices(WORDS, k=random.randint(1, 9))) + "\n")
        with open(rules, "w") as file:
            file.write(RULES)
        for _ in range(TEXTS):
            goldens["texts"].append("".join(random.choices(POOL, k=random.randint(0, 10))))
        for name, setting in SETTINGS.items():
            path = os.path.join(FOLDER, name)
            if name.startswith("rules"):
                setting = dict(setting, normalization_rule_tsv=rules)
            sentencepiece.SentencePieceTrainer.train(
                input=corpus, model_prefix=path, vocab_size=330, model_type="bpe", byte_fallback=True,
                minloglevel=2, **setting,
            )
            os.remove(path + ".vocab")
            model = sentencepiece.SentencePieceProcessor(model_file=path + ".model")
            goldens["ids"][name] = [model.encode(text) for text in goldens["texts"]]
            goldens["back"][name] = [model.decode(ids) for ids in goldens["ids"][name]]
    with open(os.path.join(FOLDER, "rules.model"), "rb") as file:
        data = file.read()
    # The table begins with the length of its trie, and is the only field of such a size behind its name.
    at = data.index(b"user_defined") + len(b"user_defined")
    assert data[at] == 0x12
    length, shift, at = 0, 0, at + 1
    while True:
        length |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 128:
            break
    goldens["charsmap"] = base64.b64encode(data[at : at + length]).decode()
    with open(os.path.join(FOLDER, "goldens.json"), "w") as file:
        json.dump(goldens, file, ensure_ascii=True, separators=(",", ":"))
        file.write("\n")


main()
