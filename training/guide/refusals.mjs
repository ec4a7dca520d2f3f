/** Questions that a small model without a connection cannot answer, and what it says instead of inventing something. */
const list = (text) => text.split('|')

const THINGS = {
  en: {
    company: list(
      'Microsoft|Google|Apple|Toyota|Sony|Amazon|Nintendo|IBM|Tesla|Samsung|Intel|Netflix|Honda|Nvidia|Panasonic|that company|Adobe|Canon|Meta|OpenAI',
    ),
    person: list(
      'Elon Musk|Taylor Swift|the president|the prime minister|my neighbour|John Smith|that actor|the mayor of my town|Messi|Tom Hanks|the pope|the king|Ohtani|my teacher|Bill Gates|Beyoncé',
    ),
    place: list(
      'Kyoto|Paris|my town|London|Berlin|New York|Sapporo|Madrid|Tokyo|Cairo|Osaka|Chicago|Seoul|this village|Rome|Nagoya',
    ),
    thing: list(
      'an iPhone|this laptop|a new car|gold|bitcoin|a ticket to London|a PlayStation|the dollar|oil|a house in Tokyo|a graphics card|Nvidia stock',
    ),
    match: list(
      'the World Cup|the Super Bowl|the last Olympics|the baseball game yesterday|the election|the Champions League|the sumo tournament|the race on Sunday|the match last night',
    ),
    work: list(
      'that film|the latest Marvel movie|this song|the new Zelda game|Season 3 of that show|the book I am reading|Bohemian Rhapsody|Breaking Bad|Dragon Quest|that anime',
    ),
    phrase: list(
      'Where is the station?|I would like a cup of coffee and a piece of cake.|The meeting was moved to Thursday.|my grandmother lives in the countryside|Please send me the report by Friday.|I lost my passport',
    ),
    language: list('French|German|Spanish|Chinese|Korean|Italian|Russian|Arabic|Latin|Portuguese'),
    code: list(
      'a sorting algorithm in Rust|a web server in Go|a game in Python|an SQL query for sales|a React component|a neural network in C++|a regex for emails|a chess engine',
    ),
  },
  ja: {
    company: list(
      'マイクロソフト|グーグル|アップル|トヨタ|ソニー|アマゾン|任天堂|楽天|テスラ|サムスン|インテル|ホンダ|エヌビディア|パナソニック|その会社|キヤノン|ソフトバンク|東芝|日立|ユニクロ',
    ),
    person: list(
      'イーロン・マスク|大谷翔平|総理大臣|大統領|隣の人|田中さん|あの俳優|市長|藤井聡太|メッシ|私の先生|社長|あの歌手|ビル・ゲイツ|有名な作家|天皇',
    ),
    place: list(
      '京都|パリ|うちの町|ロンドン|札幌|ニューヨーク|大阪|ソウル|名古屋|この村|横浜|北京|福岡|ベルリン|仙台|神戸',
    ),
    thing: list(
      'iPhone|このパソコン|新しい車|金|ビットコイン|東京行きの切符|ゲーム機|ドル|ガソリン|東京の家|グラフィックボード|卵',
    ),
    match: list(
      'ワールドカップ|昨日の野球|この前のオリンピック|選挙|大相撲|箱根駅伝|昨夜の試合|日曜日のレース|甲子園|サッカーの試合',
    ),
    work: list(
      'あの映画|最新のアニメ|この曲|新しいゲーム|あのドラマの最終回|今読んでいる本|ドラゴンクエスト|鬼滅の刃|ワンピース|あの漫画',
    ),
    phrase: list(
      '駅はどこですか|会議は木曜日に変わりました|金曜日までに報告書を送ってください|祖母は田舎に住んでいます|コーヒーとケーキをください|パスポートをなくしました',
    ),
    language: list(
      'フランス語|ドイツ語|スペイン語|中国語|韓国語|イタリア語|ロシア語|アラビア語|ラテン語|ポルトガル語',
    ),
    code: list(
      'Rustの並べ替え|Goのウェブサーバー|Pythonのゲーム|売上のSQL|Reactの部品|C++のニューラルネット|メール用の正規表現|将棋のプログラム',
    ),
  },
}

/** What is asked of which things, and what is answered. */
const REFUSALS = {
  en: [
    [
      'company',
      'Who is the CEO of X?|who runs X|Who is the president of X?|who is the boss of X|Who founded X?|when was X founded|How many people work at X?|where is the headquarters of X|how much does X earn|What is the stock price of X?|X stock|is X a good company|tell me about X|who owns X|revenue of X',
      "I don't know enough about companies to say. Please look it up.|I'm sorry, I don't know. I'm a small model and know very little about companies.",
    ],
    [
      'person',
      'How old is X?|where does X live|When was X born?|what is X doing now|Is X married?|how tall is X|how rich is X|who is the wife of X|what did X say yesterday|is X still alive|X age|tell me the birthday of X|what does X think',
      "I don't know facts about people like that. Please look it up.|I'm sorry, I know hardly anything about people.",
    ],
    [
      'place',
      'What is the population of X?|how many people live in X|Who is the mayor of X?|What time is it in X?|best restaurant in X|hotels in X|how do I get to X|how far is X from here|What is on in X tonight?|is X expensive|how big is X|where can I eat in X|trains to X',
      "I don't know that. I have no maps and no timetables, only what I learned in training.|I'm sorry, I can't say. I know very little about places, and nothing about what happens now.",
    ],
    [
      'thing',
      'How much is X?|how much does X cost|What is the price of X?|price of X|where can I buy X|is X cheap now|should I buy X|will X get cheaper|cheapest X|how much is X today|will X go up',
      "I don't know prices, since I have no connection to the internet.|I can't say: prices change, and I can't look them up.",
    ],
    [
      'match',
      'Who won X?|who won X this year|What was the result of X?|score of X|when is X|who will win X|X result|who is playing in X|what happened in X|did my team win X',
      "I don't know: I can't follow the news or results.|I'm sorry, I get no news, so I can't tell.",
    ],
    [
      'work',
      'What happens in X?|who plays in X|When does X come out?|is X good|explain the ending of X|who made X|review of X|lyrics of X|what is X about|give me the plot of X|who sings in X',
      "I don't know it well enough to say, and I would only invent something.|I'm sorry, I don't know that one.",
    ],
    [
      'phrase',
      'Translate "X" into Japanese.|translate: X|How do you say "X" in Japanese?|X in Japanese please|please translate X|what is "X" in Japanese|Japanese for: X',
      "I can't translate whole sentences reliably. Single words work better; a larger model can do this.|That is too long for me to translate well. Please use a larger model.",
    ],
    [
      'language',
      'Do you speak X?|can you speak X|say something in X|teach me X|how do you say hello in X|translate this into X|write in X|are you able to understand X',
      "I only know English and Japanese.|I'm sorry, I speak English and Japanese only.",
    ],
    [
      'code',
      'Write X|write me X|can you code X|program X for me|show me X|implement X|help me with X|give me the code for X',
      "I can't write programs like that; I'm far too small. A larger model such as bitnet-2b does better.|That is beyond me. For code please use a larger model.",
    ],
  ],
  ja: [
    [
      'company',
      'Xの社長は誰？|Xの社長は誰ですか|Xの創業者は？|Xはいつできたの？|Xの社員は何人ですか|Xの本社はどこ？|Xの株価は？|Xの株価を教えて|Xの売上は？|Xってどんな会社？|Xについて教えて|XのCEOは誰ですか|Xの代表は|Xは儲かっていますか',
      '会社のことはよくわかりません。ほかで調べてください。|すみません、わかりません。私は小さなモデルで、会社についての知識がほとんどありません。',
    ],
    [
      'person',
      'Xは何歳ですか？|Xの年齢は？|Xはどこに住んでいるの？|Xの誕生日は？|Xは結婚していますか|Xの身長は？|Xは今何をしていますか|Xの奥さんは誰？|Xは昨日何と言った？|Xはまだ生きてる？|Xについて教えて|Xの年収は|Xって誰',
      '人物についてはほとんど知りません。ほかで確かめてください。|すみません、人のことはよくわかりません。',
    ],
    [
      'place',
      'Xの人口は？|Xには何人住んでいますか|Xの市長は誰？|Xは今何時？|Xのおいしい店は？|Xのホテルを教えて|Xへはどう行けばいい？|Xまでどのくらいかかりますか|Xのおすすめは？|Xのイベントは？|Xの面積は？|Xの観光地を教えて|X行きの電車は何時',
      'わかりません。地図も時刻表も持っていないので、ほかで調べてください。|すみません、場所のことはほとんど知らず、今の様子もわかりません。',
    ],
    [
      'thing',
      'Xはいくらですか？|Xの値段は？|Xの価格を教えて|Xはどこで買えますか|Xは今安い？|Xは買ったほうがいい？|Xは値上がりしますか|Xの相場は？|Xはいくら|いちばん安いXは？|Xは今いくら',
      '値段はわかりません。インターネットにつながっていないので、調べられないのです。|すみません、価格は変わりますし、私には調べられません。',
    ],
    [
      'match',
      'Xはどっちが勝った？|Xの結果は？|Xの優勝は？|Xの優勝者は誰|Xはいつですか|Xは誰が勝つと思う？|Xのスコアは？|Xはどうなった？|Xの結果を教えて|Xに出るのは誰',
      'ニュースや結果は受け取れないので、わかりません。|すみません、新しい出来事は知ることができません。',
    ],
    [
      'work',
      'Xのあらすじは？|Xの主人公は誰？|Xはいつ公開ですか|Xは面白い？|Xの結末を教えて|Xを作ったのは誰ですか|Xの感想は？|Xの歌詞を教えて|Xはどんな話？|Xの声優は誰|Xについて教えて|Xの内容は',
      'よく知らないので、作り話になってしまいます。ほかで確かめてください。|すみません、それは知りません。',
    ],
    [
      'phrase',
      '「X」を英語にして|Xを英訳してください|「X」は英語で何と言いますか|次の文を英語に訳して。X|Xを英語で言うと？|英訳して：X|「X」を英語に翻訳して',
      '長い文はうまく訳せません。単語ならいくらかわかりますが、文は大きなモデルに頼んでください。|すみません、文の翻訳は苦手です。大きなモデルをお使いください。',
    ],
    [
      'language',
      'Xは話せますか？|Xで話して|Xを教えて|Xでこんにちはは？|Xに訳して|Xはわかる？|Xで書いて|Xの勉強がしたい',
      'わかるのは日本語と英語だけです。|すみません、日本語と英語しか話せません。',
    ],
    [
      'code',
      'Xを書いて|Xのコードを書いてください|Xを作って|Xを作れますか|Xのプログラムを見せて|Xを実装して|Xの書き方を教えて',
      '私は小さすぎて、そのようなプログラムは書けません。bitnet-2bのような大きなモデルに頼んでください。|すみません、私にはできません。プログラムは大きなモデルのほうが得意です。',
    ],
  ],
}

/** Conversations of one turn. `taken` are plain wordings that others answer. */
export function* refusals(plain, taken) {
  for (const [lang, rows] of Object.entries(REFUSALS)) {
    for (const [kind, questions, answers] of rows) {
      for (const thing of THINGS[lang][kind]) {
        const user = list(questions)
          .map((one) => one.replace('X', () => thing))
          .filter((one) => !taken.has(plain(one)))
        if (user.length > 2)
          yield { lang, topic: 'refusal', turns: [{ user, assistant: list(answers) }] }
      }
    }
  }
}
