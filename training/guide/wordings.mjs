/**
 * Other wordings of a question: rules that take what was written apart and say it again. The rules know forms, not
 * meanings: a wording that fits none of them gets other openings, endings and spellings only.
 */

/** A generator of numbers in [0, 1) that a seed repeats (mulberry32). */
export function randomNumbers(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export const isJapanese = (text) => /[\u3040-\u30ff\u4e00-\u9fff]/.test(text)

/** What two wordings have in common that differ in case, punctuation and spaces only. */
export const plain = (text) =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[\s。、．，.,!！?？"“”'’「」『』:：;；~〜…-]/g, '')

/** Each rule: what it takes apart, and how else it can be said. $1, $2 are the parts. */
const JAPANESE = [
  [
    /^(.{1,24}?)(?:とは何ですか|って何ですか|とはなんですか|って何|ってなに|ってなんですか|とは何|とは|って何のこと|って、何|とは何でしょうか|について教えて|について教えてください|を説明して|を説明してください|について知りたい|について知りたいです|ってどういうもの|って何なの)$/,
    '$1とは何ですか？|$1って何ですか|$1って何？|$1ってなに|$1とは？|$1とは|$1とは何か教えて|$1とは何か教えてください|$1について教えて|$1について教えてください|$1について説明して|$1を説明して|$1を説明してください|$1ってどういうもの？|$1ってどんなもの|$1はどういうものですか|$1って何のこと？|$1がわかりません|$1がよくわからない|$1のことを教えて|$1のことが知りたい|$1って何なの？|$1って何なんですか|$1を簡単に説明して|$1を一言で言うと？|$1について知りたい|$1について知りたいです|$1について聞きたい|$1とは何でしょうか|$1、何それ|$1というのは？|$1って聞いたけど何？|$1を知りたい|$1は何？|$1は何ですか|$1をやさしく教えて|$1について簡単に教えてください|$1の説明をお願いします|$1って？|$1の意味は？|$1ってどういう意味？',
  ],
  [
    /^(.{1,30}?(?:方|方法|理由|わけ|訳|コツ|違い|意味|仕組み|しくみ|役割|手順|やり方|ルール|由来|特徴|長所|短所|利点|欠点|作者|種類|目的|効果|関係|例|名前|場所|大きさ|速さ|サイズ|距離|高さ|長さ|数|値段|時間))(?:を教えて|を教えてください|は|は何ですか|は何|が知りたい|が知りたいです|を知りたい|を知りたいです|がわからない|がわかりません|を説明して|を説明してください|って何|とは)$/,
    '$1を教えて|$1を教えてください|$1を教えてほしい|$1は？|$1は|$1は何ですか|$1は何？|$1って何？|$1が知りたい|$1が知りたいです|$1を知りたい|$1を知りたいのですが|$1がわからない|$1がわかりません|$1を教えてくれますか|$1を教えてもらえますか|$1を教えてくれる？|$1を説明して|$1を説明してください|$1って？|$1、教えて|$1についておしえて|$1をおしえて|$1を聞きたい|$1について教えてください',
  ],
  [
    /^(.{1,30}?)(?:のは|の)(?:は)?(?:なぜですか|どうしてですか|なんでですか|なぜ|どうして|なんで|なぜなの|どうしてなの|なぜでしょうか|どうしてでしょうか|何でですか|何で)$/,
    '$1のはなぜですか？|$1のはなぜ？|$1のはどうして？|$1のはどうしてですか|$1のはなんで|$1のはなんで？|$1のはなぜなの？|$1のはどうしてなの|$1のはなぜでしょうか|$1のはどうしてなんですか|$1のはなぜだろう|$1のは何で？|$1のはなんでですか|$1のってなんで？|$1のってなぜですか|$1のはどういうわけ？|$1のが不思議です|なんで$1の？|どうして$1の？|なぜ$1のですか|$1の、なんで？',
  ],
  [
    /^(.{1,30}?)(?:理由は|わけは|理由を教えて|理由を教えてください|理由を知りたい|わけを知りたい|わけを教えて|理由が知りたい|理由は何ですか|理由とは)$/,
    '$1理由は？|$1理由は何ですか|$1理由を教えて|$1理由を教えてください|$1理由が知りたい|$1理由を知りたいです|$1わけは？|$1わけを教えて|$1わけを知りたい|$1理由って何？|$1理由を説明して|$1理由がわかりません|$1理由は何なの',
  ],
  [
    /^(なぜ|どうして|なんで|何で)(.{2,30}?)(のですか|んですか|の|のか|のでしょうか|のだろう|んだろう)$/,
    'なぜ$2のですか？|どうして$2のですか|なんで$2の？|どうして$2の？|なぜ$2の？|なぜ$2んですか|どうして$2んですか？|なんで$2んですか|何で$2の|なぜ$2のでしょうか|どうして$2のでしょう|なんで$2んだろう|$2のはなぜ？|$2のはどうして？|$2のはなんで？|$2理由を教えて|$2理由は？|なぜ$2のか教えて|どうして$2のか知りたい|なぜ$2のか教えてください|なんで$2のか知りたいです|$2のはなぜですか|$2わけは？',
  ],
  [
    /^(.{1,14}?)(は|が|って|を|に|で)(なぜ|どうして|なんで|何で)(.{1,24}?)(のですか|んですか|の|のか|のでしょうか|のだろう|んだろう)$/,
    '$1$2なぜ$4のですか？|$1$2どうして$4のですか|$1$2なんで$4の？|$1$2どうして$4の？|$1$2なぜ$4の|$1$2なぜ$4んですか|$1$2どうして$4んですか？|$1$2なんで$4んですか|$1$2何で$4の？|なぜ$1$2$4のですか|どうして$1$2$4の？|なんで$1$2$4の？|なんで$1$2$4んですか|$1$2なぜ$4のでしょうか|なぜ$1$2$4のか教えて|どうして$1$2$4のか知りたい|$1$2なんで$4んだろう',
  ],
  [
    /^(.{2,30}?[るうくすつぬむぶぐ])(?:には|方法は|方法を教えて|方法を教えてください|にはどうすればいいですか|にはどうしたらいいですか|にはどうすればいい|にはどうしたらいい|にはどうするの|にはどうしますか|のはどうやるの|やり方は|やり方を教えて)$/,
    '$1には？|$1には|$1にはどうすればいいですか？|$1にはどうすればいい？|$1にはどうしたらいいですか|$1にはどうしたらいい？|$1にはどうするの|$1にはどうしますか？|$1方法は？|$1方法を教えて|$1方法を教えてください|$1方法が知りたい|$1方法はありますか|$1やり方は？|$1やり方を教えて|$1やり方がわかりません|$1のはどうやるの？|$1のはどうやりますか|$1手順は？|$1にはどうすればよいでしょうか|$1ためにはどうすればいい？|$1コマンドは？|どうやって$1の？|どうすれば$1ことができますか',
  ],
  [
    /^(.{2,30}?)たい(?:です|のですが|んですが|んだけど|んです|の)?$/,
    '$1たい|$1たいです|$1たいのですが|$1たいんだけど|$1たいんですが|$1たいんです|$1たいのですが、どうすればいいですか|$1たいときは？|$1たい場合は？|$1たいときはどうすればいい？|$1たいけど、どうするの？|$1たいな|$1たいのですが方法はありますか|$1たい場合はどうしますか',
  ],
  [
    /^(.{2,30}?)(?:でき|出来)(?:ますか|る|るの|るんですか|ますでしょうか|るかな|るのですか)$/,
    '$1できますか？|$1できますか|$1できる？|$1できるの？|$1できるんですか|$1できるかな|$1できますでしょうか|$1できたりする？|$1できるのでしょうか|$1ことは可能ですか|$1できないの？|$1できるか教えて|$1できるのか知りたい',
  ],
  [
    /^(.{2,30}?[えけせてねめれべげ])(?:ますか|る|るの|るんですか|るかな|るのですか)$/,
    '$1ますか？|$1る？|$1るの？|$1るんですか|$1るかな|$1るのですか|$1るのでしょうか|$1るか教えて|$1ますかね|$1たりする？',
  ],
  [
    /^(.{2,30}?)(?:あり)(?:ますか)$|^(.{2,30}?)ある(?:の|んですか|かな)?$/,
    '$1$2ありますか？|$1$2ある？|$1$2あるの？|$1$2あるんですか|$1$2あるかな|$1$2あるのですか|$1$2ありますかね|$1$2あるのでしょうか|$1$2ないですか|$1$2あったら教えて',
  ],
  [
    /^(.{1,20}?)(?:を)?(?:作って|書いて|詠んで|聞かせて|話して|お願い|お願いします|ください|作ってください|書いてください|が聞きたい|して|してください|出して|出してください|を一つ|をひとつ)$/,
    '$1をお願いします|$1お願い|$1をお願い|$1をください|$1が聞きたい|$1を聞かせて|$1を聞かせてください|$1をひとつ|$1を一つお願い|$1を頼む|$1をやって|$1、お願いできますか|$1を一つください|$1がほしい|$1を頼みます|何か$1を',
  ],
  [
    /^(.{2,30}?)(?:誰ですか|誰|だれですか|だれ|誰なの|誰なんですか|誰でしょう)$/,
    '$1誰ですか？|$1誰？|$1誰|$1だれ？|$1だれですか|$1誰なの？|$1誰なんですか|$1誰でしょうか|$1誰だっけ|$1誰か教えて|$1誰でしたっけ',
  ],
  [
    /^(.{2,30}?)(?:どこですか|どこ|どこなの|どこにありますか|どこにある)$/,
    '$1どこですか？|$1どこ？|$1どこ|$1どこなの？|$1どこにありますか|$1どこにあるの？|$1どこか教えて|$1どこでしょうか|$1どこだっけ',
  ],
  [
    /^(.{2,30}?)(?:いくつですか|いくつ|何個ですか|何個|どれくらいですか|どれくらい|どのくらいですか|どのくらい)$/,
    '$1どれくらいですか？|$1どれくらい？|$1どのくらい？|$1どのくらいですか|$1どれぐらい|$1どれくらいなの？|$1どれほどですか|$1どれくらいか教えて',
  ],
  [
    /^(.{2,30}?)(?:何をしますか|何をするの|何をするコマンド|何ができますか|何ができるの)$/,
    '$1何をしますか？|$1何をするの？|$1何をするんですか|$1何をするもの？|$1何ができますか|$1何ができるの？|$1何に使うの？|$1何のためにあるの|$1どう使うの',
  ],
  [
    /^(.{1,28}?)(?:の使い方は|の使い方を教えて|の使い方を教えてください|の使い方|の使い方が知りたい|はどう使うの|はどう使いますか)$/,
    '$1の使い方は？|$1の使い方を教えて|$1の使い方を教えてください|$1の使い方がわからない|$1の使い方を知りたい|$1はどう使うの？|$1はどうやって使うの|$1はどう使いますか|$1を使うには？|$1を使いたい|$1ってどう使うの|$1の使い方は何ですか|$1の使い方、教えて',
  ],
  [
    /^(.{2,30}[いだたなるむくすうつぬぶぐ])(?:です|よ|ね|んだ|んです|なあ|な)?$/,
    '$1|$1よ|$1ね|$1なあ|$1んだ|$1んです|$1んだけど|$1んだよね|$1んですよ',
  ],
]

const ENGLISH = [
  [
    /^(?:so |and )?(?:what is|what's|whats|tell me about|tell me what|explain|define|describe|can you explain|could you explain|what are|please explain) ((?:(?! is$| are$| mean$)[\w .,'+\-/()]){2,40})$/i,
    "What is $1?|what's $1|whats $1|What is $1|tell me about $1|Tell me about $1, please|explain $1|Explain $1 please|Can you explain $1?|could you explain $1 to me|can you tell me about $1|What do you know about $1?|I want to know about $1|I'd like to know about $1|define $1|describe $1|$1?|$1|what does $1 mean|What exactly is $1?|so what is $1|$1, what is it|what is $1 in simple words|help me understand $1|any idea what $1 is|please tell me what $1 is|I don't know what $1 is|do you know what $1 is|what's $1 all about|give me a short explanation of $1|$1 explained|never heard of $1|what do you mean by $1|$1 meaning|who or what is $1",
  ],
  [
    /^(?:how do i|how can i|how to|how do you|how would i|how should i|i want to|i'd like to|i need to|is there a way to|tell me how to|show me how to|can you tell me how to|what's the way to|how does one|how could i|is it possible to) (.{3,60})$/i,
    "How do I $1?|how do i $1|How can I $1?|how can i $1|how to $1|How to $1?|what's the best way to $1|What is the way to $1?|I want to $1|i want to $1|I'd like to $1|I need to $1|I would like to $1|Is there a way to $1?|is it possible to $1|Can I $1?|can you tell me how to $1|could you show me how to $1|tell me how to $1|show me how to $1|How would I $1?|how does one $1|how should I $1|please tell me how to $1|I don't know how to $1|explain how to $1|how do people $1|any way to $1|what do I do to $1|help me $1|I'm trying to $1|how is it possible to $1|what must I do to $1|what do I need to $1",
  ],
  [
    /^(?:why do|why don't) ((?!you|i |we )[\w' -]{4,60})$/i,
    'Why do $1?|why do $1|How come $1?|how come $1|tell me why $1|Tell me why $1.|explain why $1|I want to know why $1|Do you know why $1?|can you explain why $1|I wonder why $1|what makes $1|what is the reason $1|could you tell me why $1|why is it that $1|for what reason do $1',
  ],
  [
    /^(?:tell me why|explain why|how come|i want to know why|do you know why|i'd like to know why|i wonder why|can you tell me why|can you explain why) (.{4,70})$/i,
    "How come $1?|how come $1|tell me why $1|Tell me why $1, please.|explain why $1|please explain why $1|I want to know why $1|I'd like to know why $1|Do you know why $1?|can you explain why $1|I wonder why $1|could you tell me why $1|why is it that $1|what's the reason $1|I don't understand why $1|any idea why $1",
  ],
  [
    /^(?:why is|why are|why does|why did) (.{4,60})$/i,
    'Why is it $1|why $1|I wonder: $&|Do you know? $&|$&, do you know|can you tell me: $&|so $&|but $&',
  ],
  [
    /^(?:write|tell me|give me|can you write|can you tell me|i want|i'd like|make|make up|please write|please tell me|i need|could you write) (an? .{3,50})$/i,
    "Write $1|write $1|write $1 please|Tell me $1|tell me $1 please|Give me $1|give me $1|Can you write $1?|could you write $1|Could you tell me $1?|I want $1|I'd like $1|I'd love $1|please write $1|Please give me $1|$1 please|$1|I need $1|let me hear $1|how about $1|make up $1|do you have $1|do you know $1|got $1",
  ],
  [
    /^(?:can you|could you|are you able to|will you|would you) (.{3,60})$/i,
    'Can you $1?|can you $1|could you $1|Could you $1?|are you able to $1|Are you able to $1?|will you $1|would you $1 for me|is it possible for you to $1|can u $1|do you $1|I wonder if you can $1',
  ],
  [
    /^(?:do you|did you ever|do u) (.{3,60})$/i,
    'Do you $1?|do you $1|Do you really $1?|do u $1|I wonder if you $1|tell me, do you $1|so do you $1|Do you, bitnet, $1?|but do you $1',
  ],
  [
    /^(?:are you|are u|r u) (.{2,60})$/i,
    "Are you $1?|are you $1|are u $1|r u $1|Are you really $1?|you are $1, right?|I wonder if you're $1|so are you $1|tell me if you are $1|is it true that you're $1",
  ],
  [
    /^(?:what does|what do|what did) (.{2,50}) (do|mean|show|stand for|say|eat|contain|cost)$/i,
    'What does $1 $2?|what does $1 $2|tell me what $1 $2|can you tell me what $1 $2|I want to know what $1 $2|so what does $1 $2|what exactly does $1 $2|do you know what $1 $2|explain $1',
  ],
  [
    /^(?:does|will|can|is|are|do) (.{4,60})$/i,
    '$&?|$&|I wonder: $&|tell me, $&|so $&|hey, $&|$& or not?|$&, do you know?',
  ],
  [
    /^(?:i am|i'm|im) (.{2,60})$/i,
    "I'm $1|i'm $1|im $1|I am $1|I am $1.|I'm $1!|i am so $1|I'm $1 today|I'm really $1|well, I'm $1|I'm $1 right now|I think I'm $1",
  ],
  [
    /^(?:who is|who's|who was) (.{2,50})$/i,
    "Who is $1?|who's $1|who is $1|tell me who $1 is|Who was $1?|do you know who $1 is|do you know $1|who exactly is $1|tell me about $1",
  ],
  [
    /^(?:where is|where's|where are|where do|where does) (.{3,60})$/i,
    '$&?|$&|tell me, $&|do you know $&|can you tell me $&|so $&|excuse me, $&',
  ],
]

const OPENINGS = {
  ja: 'すみません、|ねえ、|あの、|ちなみに、|質問です。|教えて。|ところで、|えっと、|あのさ、|初心者ですが、|ちょっと聞きたいんだけど、|よければ教えて。|ねえねえ、|じゃあ、|一つ質問。|こんにちは。|突然ですが、|素朴な疑問ですが、|すいません、|実は|ちょっと質問、'.split(
    '|',
  ),
  en: "Hey, |Hi, |Hello! |Quick question: |Sorry, |So, |Tell me: |One question: |Just wondering, |Excuse me, |Um, |By the way, |ok, |I have a question. |well, |Please tell me: |hi! |Listen, |I'm new here. |yo, |Okay, so |hmm, ".split(
    '|',
  ),
}
const ENDINGS = {
  ja: '？|?|。|！|??|、教えて|かな？|…|、教えてください| ？|お願いします'.split('|'),
  en: '?|?|??|.|!| please| please?|...|, please|, thanks| ?| thanks'.split('|'),
}
const SPELLINGS = {
  ja: [
    ['パラメーター', 'パラメータ'],
    ['コンピューター', 'コンピュータ'],
    ['ブラウザー', 'ブラウザ'],
    ['メモリ', 'メモリー'],
    ['分か', 'わか'],
    ['わか', '分か'],
    ['何', 'なに'],
    ['三値', '3値'],
    ['1ビット', '１ビット'],
    ['1.58ビット', '1.58bit'],
    ['BitNet', 'bitnet'],
    ['BitNet', 'ビットネット'],
    ['教えて', 'おしえて'],
    ['下さい', 'ください'],
    ['ください', '下さい'],
    ['良い', 'いい'],
    ['学習', '訓練'],
    ['速い', '早い'],
    ['作って', 'つくって'],
    ['違い', 'ちがい'],
    ['あなた', 'きみ'],
    ['あなた', '君'],
    ['あなた', 'お前'],
    ['ですか', 'でしょうか'],
    ['ますか', 'ますかね'],
    ['んですか', 'のですか'],
    ['とても', 'すごく'],
    ['コマンド', '命令'],
    ['やり方', '方法'],
    ['話', 'おはなし'],
    ['私', 'わたし'],
    ['私', '僕'],
  ],
  en: [
    ['What is', "What's"],
    ['what is', "what's"],
    ['licence', 'license'],
    ['quantis', 'quantiz'],
    ['colour', 'color'],
    ['color', 'colour'],
    ["don't", 'dont'],
    ["can't", 'cant'],
    ["I'm", 'im'],
    ['you are', "you're"],
    ['you', 'u'],
    ['are', 'r'],
    ['please', 'pls'],
    ['want to', 'wanna'],
    ['BitNet', 'bitnet'],
    ['BitNet', 'Bitnet'],
    ['maths', 'math'],
    ['ternary', '1.58-bit'],
    ['large', 'big'],
    ['big', 'large'],
    ['quick', 'fast'],
    ['tell me', 'say'],
    ['do not', "don't"],
    ['the ', ''],
    [' an ', ' '],
    [' a ', ' '],
  ],
}

/** Where a rule fits: the forms it gives. */
function forms(text) {
  const ja = isJapanese(text)
  const bare = text.replace(/[?？!！。.\s]+$/, '').trim()
  const found = []
  for (const [pattern, templates] of ja ? JAPANESE : ENGLISH) {
    const match = pattern.exec(bare)
    if (match === null) continue
    for (const template of templates.split('|')) {
      found.push(
        template.replace(/\$([&\d])/g, (_, i) => (i === '&' ? match[0] : (match[i] ?? ''))),
      )
    }
  }
  return found
}

/** One slip of the kind that fingers make. */
function slip(text, random) {
  const at = 1 + Math.floor(random() * (text.length - 2))
  if (/[^a-zA-Z\u3041-\u3096]/.test(text[at] ?? ' ')) return text
  const [before, c, after] = [text.slice(0, at), text[at], text.slice(at + 1)]
  const kind = random()
  if (kind < 0.4) return before + after
  if (kind < 0.6) return before + c + c + after
  return before + (after[0] ?? '') + c + after.slice(1)
}

/** A wording with another opening, ending or spelling, or with a slip. */
function dress(text, random) {
  const language = isJapanese(text) ? 'ja' : 'en'
  const pick = (list) => list[Math.floor(random() * list.length)]
  let out = text
  if (random() < 0.45) {
    const fitting = SPELLINGS[language].filter(([from]) => out.includes(from))
    if (fitting.length > 0) out = out.replace(...pick(fitting))
  }
  if (random() < 0.3) out = out.replace(/[?？!！。.]+$/, '')
  if (random() < 0.35 && !/[。！!]./.test(out)) {
    const opening = pick(OPENINGS[language])
    const lower = /^[A-Z][a-z]/.test(out) && !/[.!] $/.test(opening)
    out = opening + (lower ? out[0].toLowerCase() + out.slice(1) : out)
  }
  if (random() < 0.35) out = out.replace(/[?？!！。.]+$/, '') + pick(ENDINGS[language])
  if (language === 'en' && random() < 0.25) out = out.toLowerCase()
  if (language === 'en' && random() < 0.03) out = out.toUpperCase()
  if (random() < 0.12 && out.length > 6) out = slip(out, random)
  return out
}

/**
 * At most `count` other wordings of one that was written, none twice.
 * `random` as by `randomNumbers`.
 */
export function otherWordings(text, count, random) {
  const found = new Set()
  const said = forms(text)
  for (let i = said.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[said[i], said[j]] = [said[j], said[i]]
  }
  for (const form of said.slice(0, Math.ceil(count * 0.7)))
    found.add(random() < 0.3 ? dress(form, random) : form)
  for (let tries = 0; found.size < count && tries < count * 3; tries++) {
    const base = said.length > 0 && random() < 0.4 ? said[Math.floor(random() * said.length)] : text
    found.add(dress(base, random))
  }
  found.delete(text)
  return [...found]
}
