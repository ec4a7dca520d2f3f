"""Chat-tunes a packed BitNet b1.58 checkpoint on conversations and text: PyTorch, one process a GPU.

    python3 tune.py MODEL DATA OUT --seconds 560

MODEL: a folder with model.safetensors (packed), config.json and tokenizer.json. DATA: a folder with guide.jsonl and
facts.jsonl (what build.mjs beside this file writes), held.jsonl (asked, never learnt from) and NAME.xz for each text
of TEXTS (documents between <|endoftext|>). OUT gets model.00, model.01, ...: joined, a model.safetensors.

A step is ROWS rows of 1,024 tokens a GPU. The first rows hold conversations, in pieces of 512 tokens that see nothing
of each other and begin as a chat begins, with loss on what the assistant says; the others hold text, with loss on all.
In a piece one conversation follows another, and half of the time without a new beginning: what is asked then changes
the subject. Some beginnings have a system message (systems.json).
Latent weights begin as codes times scale over the share of non-zeros, so that the first step computes the stored
model; both quantisers pass gradients straight through.
"""
import argparse, glob, json, lzma, math, os, random, sys, time
import pickle, subprocess
from multiprocessing import get_context

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

args = argparse.ArgumentParser()
args.add_argument('model')
args.add_argument('data')
args.add_argument('out')
args.add_argument('--seconds', type=float, default=560, help='in all, reading and compiling included')
args.add_argument('--rows', type=int, default=64, help='rows a step and GPU')
args.add_argument('--talk', type=float, default=0.42, help='share of rows with conversations')
args.add_argument('--lr', type=float, default=1e-3)
args.add_argument('--drop', type=float, default=0.1, help='dropout in rows with conversations')
args.add_argument('--workers', type=int, default=6, help='processes that write rows, a GPU')
args.add_argument('--look', type=int, default=16, help='rows of each text that are held out')
args.add_argument('--plain', action='store_true', help='no compiler: for tries on a processor')
args.add_argument('--steps', type=int, default=0, help='this many, whatever the time')
args = args.parse_args()

LENGTH, PIECE = 1024, 512
# Counted without CUDA, which must not run before processes fork.
GPUS = len(glob.glob('/dev/nvidia[0-9]*'))
TALKING = round(args.rows * args.talk)
KINDS = {'guide': 0.58, 'facts': 0.21, 'sums': 0.12, 'refusals': 0.05, 'named': 0.04}
# Of conversations: those that begin anew, and of these those with a system message, mostly in their own language.
ANEW, INSTRUCTED, ABROAD = 0.5, 0.25, 0.2
TEXTS = {'ja': 0.25, 'en': 0.25, 'ja_child': 0.18, 'en_child': 0.15, 'ja_chat': 0.10, 'en_chat': 0.07}
BOS, EOS, EOT, SYSTEM, USER, ASSISTANT = 0, 1, 2, 3, 4, 5
BETAS, WARMUP, FLOOR = (0.9, 0.95), 100, 0.02

config = json.load(open(f'{args.model}/config.json'))
WIDTH, LAYERS = config['hidden_size'], config['num_hidden_layers']
HEADS, KV_HEADS = config['num_attention_heads'], config['num_key_value_heads']
HEAD = WIDTH // HEADS
tokenizer = Tokenizer.from_file(f'{args.model}/tokenizer.json')
began = time.time()


def say(*words):
    print(f'{time.time() - began:6.1f} s', *words, flush=True)


def encode(texts):
    return [np.array(e.ids, np.int32) for e in tokenizer.encode_batch(texts, add_special_tokens=False)]


# ---- data

def conversations(name):
    """By kind: conversations, each (language, system messages, turns (written wordings, made wordings, answers)), as ids."""
    lines = [json.loads(line) for line in open(f'{args.data}/{name}.jsonl', encoding='utf8')]
    texts = {t for c in lines for turn in c['turns'] for t in (*turn['user'], *turn.get('made', ()), *turn['assistant'])}
    texts = list(texts | {t for c in lines for t in c.get('system', ())})
    ids = dict(zip(texts, encode(texts)))
    kinds = {}
    for c in lines:
        turns = [tuple([ids[t] for t in turn.get(key, ())] for key in ('user', 'made', 'assistant')) for turn in c['turns']]
        system = [ids[t] for t in c.get('system', ())]
        kinds.setdefault(c.get('kind', 'guide'), []).append((c.get('lang', 'en'), system, turns))
    return kinds


def documents(name):
    """A text as one row of ids, each document between its own beginning and end."""
    with open(f'{args.data}/{name}.xz', 'rb') as file:
        parts = lzma.LZMADecompressor().decompress(file.read()).decode('utf8', 'ignore').split('<|endoftext|>')
    parts = [part.strip() for part in parts if part.strip()]
    ids = []
    if name.endswith('chat'):
        chats = []
        for part in parts:
            lines = []
            for line in part.split('\n'):
                at = min([i for i in (line.find(':'), line.find('：')) if i > 0], default=-1)
                if 0 < at <= 12: lines.append([line[:at], line[at + 1:].strip()])
                elif lines: lines[-1][1] += '\n' + line
            if lines: chats.append(lines)
        said = iter(encode([words for lines in chats for _, words in lines]))
        for lines in chats:
            ids.append([BOS])
            for who, _ in lines: ids += [[USER if who == lines[0][0] else ASSISTANT], next(said), [EOT]]
    else:
        for words in encode(parts): ids += [[BOS], words, [EOS]]
    return np.concatenate(ids).astype(np.int32)


def wording(written, made):
    """One of a turn's wordings, now and then with words missing or twice."""
    one = random.choice(made if made and random.random() < 0.5 else written)
    if len(one) > 4 and random.random() < 0.15:
        one = one[np.random.rand(len(one)) > 0.12]
    return one


def render(turns):
    """A conversation's ids behind its beginning, and which of them the assistant says."""
    if len(turns) > 1 and random.random() < 0.45: turns = turns[:1]
    ids, said = [], []
    for written, made, answers in turns:
        user, answer = wording(written, made), answers[random.randrange(len(answers))]
        ids += [USER, *user, EOT, ASSISTANT, *answer, EOT]
        said += [0] * (len(user) + 3) + [1] * (len(answer) + 1)
    return ids, said


def beginning(lang, own, systems):
    """How a chat begins, with a system message of the conversation's own or now and then one that asks for little."""
    if not own and random.random() >= INSTRUCTED: return [BOS]
    abroad = {'en': 'ja', 'ja': 'en'}[lang]
    system = random.choice(own or systems[abroad if random.random() < ABROAD else lang])
    return [BOS, SYSTEM, *system, EOT]


def piece(kinds, systems):
    ids, said = [], []
    while len(ids) <= PIECE:
        kind = random.choices(list(KINDS), list(KINDS.values()))[0]
        lang, own, turns = random.choice(kinds[kind])
        more, spoken = render(turns)
        if not ids or own or random.random() < ANEW:
            first = beginning(lang, own, systems)
            more, spoken = [*first, *more], [0] * len(first) + spoken
        if ids and len(ids) + len(more) > PIECE + 1 and len(more) <= PIECE and random.random() < 0.8: break
        ids += more
        said += spoken
    ids, said = ids[:PIECE + 1], said[:PIECE + 1]
    x = np.full(PIECE, BOS, np.int32)
    y = np.full(PIECE, -1, np.int32)
    x[:len(ids) - 1] = ids[:-1]
    y[:len(ids) - 1] = np.where(np.array(said[1:]) == 1, ids[1:], -1)
    return x, y


def batches(queue, seed, kinds, systems, texts):
    random.seed(seed)
    np.random.seed(seed)
    names, shares = list(TEXTS), list(TEXTS.values())
    while True:
        x, y = np.empty((args.rows, LENGTH), np.int32), np.empty((args.rows, LENGTH), np.int32)
        for row in range(args.rows):
            if row < TALKING:
                pieces = [piece(kinds, systems) for _ in range(LENGTH // PIECE)]
                x[row], y[row] = (np.concatenate(side) for side in zip(*pieces))
            else:
                ids = texts[random.choices(names, shares)[0]]
                at = random.randrange(len(ids) - LENGTH - 1)
                x[row], y[row] = ids[at:at + LENGTH], ids[at + 1:at + LENGTH + 1]
        queue.put((x, y))


# ---- model

def straight(value, rounded):
    return value + (rounded - value).detach()


def quantize_input(x):
    scale = 127 / x.abs().amax(-1, keepdim=True).clamp(min=1e-5)
    return straight(x, (x * scale).round().clamp(-128, 127) / scale).to(torch.bfloat16)


def quantize_weight(w):
    scale = 1 / w.abs().mean().clamp(min=1e-5)
    return straight(w, (w * scale).round().clamp(-1, 1) / scale).to(torch.bfloat16)


def norm(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + config['rms_norm_eps']) * weight


def attend(q, k, v, length, cos, sin):
    """Causal attention within pieces of `length` tokens; all of shape [rows, tokens, heads, HEAD]."""
    rows, tokens = q.shape[:2]
    q, k, v = (t.reshape(rows * tokens // length, length, -1, HEAD).transpose(1, 2) for t in (q, k, v))

    def turned(t):
        half = torch.cat([-t[..., HEAD // 2:], t[..., :HEAD // 2]], -1)
        return (t * cos[:length] + half * sin[:length]).to(torch.bfloat16)

    k, v = (t.repeat_interleave(HEADS // KV_HEADS, 1) for t in (turned(k.float()), v))
    out = F.scaled_dot_product_attention(turned(q.float()), k, v, is_causal=True)
    return out.transpose(1, 2).reshape(rows, tokens, WIDTH).float()


def layer(x, cos, sin, talking: int, drop: float, n1, wq, wk, wv, ns, wo, n2, wg, wu, nf, wd):
    rows, tokens = x.shape[:2]

    def dropped(y):
        if drop == 0 or talking == 0: return y
        keep = (torch.rand_like(y[:talking]) >= drop) / (1 - drop)
        return torch.cat([y[:talking] * keep, y[talking:]])

    a = quantize_input(norm(x, n1))
    q, k, v = (F.linear(a, quantize_weight(w)).view(rows, tokens, -1, HEAD) for w in (wq, wk, wv))
    parts = [attend(q[:talking], k[:talking], v[:talking], PIECE, cos, sin)] if talking else []
    if talking < rows: parts.append(attend(q[talking:], k[talking:], v[talking:], tokens, cos, sin))
    y = torch.cat(parts)
    x = x + dropped(F.linear(quantize_input(norm(y, ns)), quantize_weight(wo)).float())
    b = quantize_input(norm(x, n2))
    gate, up = (F.linear(b, quantize_weight(w)).float() for w in (wg, wu))
    y = norm(F.relu(gate).square() * up, nf)
    return x + dropped(F.linear(quantize_input(y), quantize_weight(wd)).float())


PARTS = ['input_layernorm', 'self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.attn_sub_norm',
         'self_attn.o_proj', 'post_attention_layernorm', 'mlp.gate_proj', 'mlp.up_proj', 'mlp.ffn_sub_norm', 'mlp.down_proj']


def load(device):
    """Parameters by their names in the checkpoint."""
    stored = load_file(f'{args.model}/model.safetensors')
    parameters = {}
    for name, value in stored.items():
        if name.endswith('weight_scale') or name == 'lm_head.weight': continue
        if value.dtype == torch.uint8:
            codes = torch.cat([((value >> (2 * i)) & 3).to(torch.int8) - 1 for i in range(4)]).float()
            value = codes * (stored[name + '_scale'].float() / codes.abs().mean())
        parameters[name] = torch.nn.Parameter(value.float().to(device))
    return parameters


def is_matrix(name, parameter):
    return parameter.dim() == 2 and 'embed' not in name


def save(parameters):
    out = {}
    for name, p in parameters.items():
        p = p.detach()
        if not is_matrix(name, p):
            out[name] = p.to(torch.bfloat16).cpu().contiguous()
            continue
        scale = p.abs().mean().clamp(min=1e-5)
        codes = ((p / scale).round().clamp(-1, 1) + 1).to(torch.uint8).view(4, p.shape[0] // 4, p.shape[1])
        packed = torch.zeros_like(codes[0])
        for i in range(4): packed |= codes[i] << (2 * i)
        out[name], out[name + '_scale'] = packed.cpu(), scale.view(1).to(torch.bfloat16).cpu()
    save_file(out, '/tmp/tuned.safetensors', metadata={'format': 'pt'})
    whole = open('/tmp/tuned.safetensors', 'rb').read()
    os.makedirs(args.out, exist_ok=True)
    for i in range(0, len(whole), 14 << 20):
        open(f'{args.out}/model.{i // (14 << 20):02}', 'wb').write(whole[i:i + (14 << 20)])


# ---- training

def train(rank, ranks, kinds, systems, texts, held):
    cuda = GPUS > 0
    device = f'cuda:{rank}' if cuda else 'cpu'
    # Before anything of torch runs, whose threads a forked process would miss.
    fork = get_context('fork')
    queue = fork.Queue(12)
    writers = [fork.Process(target=batches, args=(queue, 1000 * rank + i, kinds, systems, texts), daemon=True) for i in range(args.workers)]
    for writer in writers: writer.start()
    if cuda: torch.cuda.set_device(rank)
    if ranks > 1:
        os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT='29511')
        dist.init_process_group('nccl' if cuda else 'gloo', rank=rank, world_size=ranks)
    torch.manual_seed(rank)
    angles = torch.outer(torch.arange(LENGTH).float(), config['rope_theta'] ** -(torch.arange(0, HEAD, 2).float() / HEAD))
    cos, sin = (torch.cat([t, t], -1).to(device) for t in (angles.cos(), angles.sin()))
    parameters = load(device)
    run_layer = layer if args.plain else torch.compile(layer)

    def loss_of(x, y, talking, drop, run):
        h = parameters['model.embed_tokens.weight'][x]
        for i in range(LAYERS):
            h = run(h, cos, sin, talking, drop, *[parameters[f'model.layers.{i}.{part}.weight'] for part in PARTS])
        wanted = y >= 0
        h, y = norm(h, parameters['model.norm.weight'])[wanted].to(torch.bfloat16), y[wanted]
        head = parameters['model.embed_tokens.weight'].to(torch.bfloat16)
        total = 0
        for i in range(0, len(y), 16384):
            total = total + F.cross_entropy((h[i:i + 16384] @ head.T).float(), y[i:i + 16384], reduction='sum')
        return total / max(1, len(y))

    @torch.no_grad()
    def look():
        """Losses on what is held out: answers to held-out wordings, and the end of each text."""
        losses = {}
        for name, (*sides, talking) in held.items():
            total = count = 0
            for i in range(0, len(sides[0]), 64):
                x, y = (torch.from_numpy(side[i:i + 64]).to(device, torch.long) for side in sides)
                number = (y >= 0).sum().item()
                total += loss_of(x, y, len(x) if talking else 0, 0.0, layer).item() * number
                count += number
            losses[name] = total / count
        return ' '.join(f'{name} {value:.4f}' for name, value in losses.items())

    flat = torch.zeros(sum(p.numel() for p in parameters.values()), device=device)
    at = 0
    for p in parameters.values():
        p.grad = flat[at:at + p.numel()].view_as(p)
        at += p.numel()
    groups = [[p for n, p in parameters.items() if is_matrix(n, p) == matrix] for matrix in (True, False)]
    optimizer = torch.optim.AdamW([{'params': groups[0], 'share': 1.0}, {'params': groups[1], 'share': 0.5}],
                                  lr=args.lr, betas=BETAS, weight_decay=0.0, fused=cuda)
    if rank == 0: say('before:', look())
    step, steps, since = 0, args.steps or 10 ** 9, 0.0
    while step < steps:
        x, y = (torch.from_numpy(t).to(device, torch.long, non_blocking=True) for t in queue.get())
        flat.zero_()
        loss = loss_of(x, y, TALKING, args.drop, run_layer)
        loss.backward()
        if ranks > 1:
            dist.all_reduce(flat)
            flat.div_(ranks)
        flat.mul_(torch.clamp(1 / (flat.norm() + 1e-6), max=1.0))
        rate = min(1, (step + 1) / WARMUP)
        if steps < 10 ** 9: rate *= FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimizer.param_groups: group['lr'] = args.lr * rate * group['share']
        optimizer.step()
        step += 1
        if step in (10, 60) and not args.steps:
            # How many steps the time has room for is measured once, so that all GPUs agree.
            if cuda: torch.cuda.synchronize()
            if step == 10: since = time.time()
            else:
                one = (time.time() - since) / 50
                count = torch.tensor([60 + (args.seconds - 12 - (time.time() - began)) / one], device=device)
                if ranks > 1: dist.broadcast(count, 0)
                steps = int(count.item())
                if rank == 0: say(f'{args.rows * LENGTH * ranks / one:.0f} tokens/s, {steps} steps')
        if rank == 0 and (step <= 2 or step % 200 == 0): say(step, f'loss {loss.item():.4f}')
        if rank == 0 and step % 1500 == 0: say(step, look())
    if rank == 0:
        say('after:', look(), f'{step * args.rows * LENGTH * ranks / 1e6:.1f} M tokens')
        save(parameters)
        say('saved')
    for writer in writers: writer.kill()
    if ranks > 1: dist.destroy_process_group()
    queue.cancel_join_thread()


def main():
    """Reads the data once, then runs a process a GPU."""
    kinds = {}
    for name in ('guide', 'facts'): kinds.update(conversations(name))
    with open(f'{args.data}/systems.json', encoding='utf8') as file: systems = json.load(file)
    systems = {lang: encode(messages) for lang, messages in systems.items()}
    texts = {name: documents(name) for name in TEXTS}
    held = {}
    for kind, asked in conversations('held').items():
        asked = [turns for _, system, turns in asked if not system]
        x = np.full((len(asked), PIECE), BOS, np.int32)
        y = np.full((len(asked), PIECE), -1, np.int32)
        for i, [(written, _, answers)] in enumerate(asked):
            ids = [BOS, USER, *written[0], EOT, ASSISTANT, *answers[0], EOT][:PIECE + 1]
            x[i, :len(ids) - 1] = ids[:-1]
            first = len(written[0]) + 3
            y[i, first:len(ids) - 1] = ids[first + 1:]
        rows = len(asked) * PIECE // LENGTH
        if rows == 0: continue
        held[kind] = tuple(side[:rows * LENGTH // PIECE].reshape(rows, LENGTH) for side in (x, y)) + (rows,)
    for name, ids in texts.items():
        count = args.look * LENGTH
        kept = np.concatenate([ids[-count:], ids[:1]])
        held[name] = tuple(kept[i:i + count].reshape(-1, LENGTH) for i in (0, 1)) + (0,)
        texts[name] = ids[:-count]
    say({kind: len(c) for kind, c in kinds.items()}, {name: len(ids) for name, ids in texts.items()})
    ranks = GPUS or int(os.environ.get('RANKS', 1))
    with open(f'{args.data}/ready.pickle', 'wb') as file: pickle.dump((kinds, systems, texts, held), file)
    processes = [subprocess.Popen([sys.executable, *sys.argv], env={**os.environ, 'RANK': f'{rank}/{ranks}'}) for rank in range(ranks)]
    sys.exit(max(abs(process.wait()) for process in processes))


if 'RANK' in os.environ:
    began = float(os.environ['BEGAN'])
    with open(f'{args.data}/ready.pickle', 'rb') as file: ready = pickle.load(file)
    train(*map(int, os.environ['RANK'].split('/')), *ready)
else:
    os.environ['BEGAN'] = str(began)
    main()
