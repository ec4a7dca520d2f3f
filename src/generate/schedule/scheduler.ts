/**
 * The one loop that runs a model. Whoever wants something of it hands in jobs; the loop lets them begin as
 * memory and fairness allow, puts the next rows of all that run into a pass, and hands out what it gave.
 * What a job is given does not depend on which others there are: the rows of a pass do not change each other.
 */
import type { CacheStats, DecodeEngine, OpenedSequence } from '../../model/engine.ts'
import { turnOfTheLoop } from '../../turns.ts'
import { Call, type CallOptions, type ClientShare, compareCalls } from './call.ts'
import type { Job } from './job.ts'
import { type PassLimits, type PassPlan, planPass, type Running, resultsOf } from './pass-plan.ts'
import { type SchedulerStats, ScheduleStatistics } from './schedule-statistics.ts'
import { StepCount } from './step-count.ts'

/** A pause of the loop at least this often keeps timers, sockets and abort signals alive. */
const BREATH_MS = 16

/** Bytes of logits in one pass that tokens are scored by. */
const SCORED_BYTES = 64 << 20

/** Readers of so many texts are told while the next pass runs: making texts takes a tenth of a pass. */
const MANY = 8

interface Placed extends Running {
  /** Whether a pass with others failed, so that the next one is its own. */
  isSuspect: boolean
}

export class Scheduler {
  readonly #engine: DecodeEngine
  readonly #limits: Omit<PassLimits, 'maxSteps'>
  readonly #steps = new StepCount()
  readonly #statistics = new ScheduleStatistics()
  /** In the order in which they came. */
  readonly #calls = new Set<Call>()
  #running: Placed[] = []
  /** What waits to have the engine for itself. */
  #between: (() => Promise<boolean>)[] = []
  /** Those whose readers do not know yet what the last pass gave, their ends included. */
  readonly #untold = new Set<Placed>()
  /** The jobs of the pass that runs now. */
  #inPass: ReadonlySet<Placed> = new Set()
  #isLooping = false
  #lastBreath = performance.now()

  constructor(engine: DecodeEngine) {
    this.#engine = engine
    const rowBytes = engine.config.vocabSize * 4
    this.#limits = {
      maxRows: engine.maxRows,
      maxScored: Math.max(1, Math.floor(SCORED_BYTES / rowBytes)),
    }
  }

  get stats(): SchedulerStats & { readonly cache: CacheStats } {
    const waiting = [...this.#calls].reduce((sum, call) => sum + call.waiting, 0)
    const paused = this.#running.filter(({ job }) => !job.isReady).length
    const now = this.#statistics.report({ waiting, running: this.#running.length, paused })
    return { ...now, cache: this.#engine.cache.stats }
  }

  /**
   * Runs jobs to their end. When the signal aborts, those that have not finished are left as the last pass
   * left them.
   *
   * @throws what a pass of theirs, a job or `onDone` throws; the others of the call are left then
   */
  async run<J extends Job>(jobs: readonly J[], options: CallOptions<J>): Promise<void> {
    if (options.signal.aborted || jobs.length === 0) return
    const call = new Call(jobs, options as CallOptions, this.#shareOf(options.client))
    this.#calls.add(call)
    const end = () => this.#end(call)
    options.signal.addEventListener('abort', end, { once: true })
    try {
      this.wake()
      await call.settled
    } finally {
      options.signal.removeEventListener('abort', end)
    }
  }

  /** Whoever comes new has had no less than the others, or they would wait for it to catch up. */
  #shareOf(client: string | undefined): ClientShare {
    const calls = [...this.#calls]
    const known = calls.find((call) => client !== undefined && call.client === client)
    if (known !== undefined) return known.share
    return { served: calls.length === 0 ? 0 : Math.min(...calls.map(({ share }) => share.served)) }
  }

  /**
   * Does what needs the engine for itself, between two passes.
   *
   * @param work gives undefined while it finds no room in the cache: it is called again when there may be some
   * @throws what it throws; Error if there is no room though nothing runs
   */
  between<T>(work: () => Promise<T | undefined>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#between.push(async () => {
        try {
          const result = await work()
          if (result === undefined && this.#running.length > 0) return false
          if (result === undefined) throw new Error('There is no room in a cache that nobody uses.')
          resolve(result)
        } catch (error) {
          reject(error)
        }
        return true
      })
      this.wake()
    })
  }

  /** Looks whether there is something to do: a job that was not ready is. */
  wake(): void {
    if (this.#isLooping) return
    this.#isLooping = true
    // In a moment, so that all that is handed in now shares the first pass.
    queueMicrotask(() => void this.#loop())
  }

  async #loop(): Promise<void> {
    try {
      for (;;) {
        await this.#breathe()
        if (this.#between.length > 0) this.#tellAll()
        await this.#workBetween()
        this.#admit()
        const suspect = this.#running.find(({ isSuspect, job }) => isSuspect && job.isReady)
        const limits = { ...this.#limits, maxSteps: this.#maxSteps }
        const plan = planPass(suspect === undefined ? this.#running : [suspect], limits)
        // Planning asks for guesses: who waits for one makes room for the job that computes it.
        if (plan !== undefined) {
          await this.#pass(plan)
          continue
        }
        this.#tellAll()
        if (!this.#admit() && !(this.#between.length > 0 && this.#idle)) break
      }
    } catch (error) {
      for (const call of [...this.#calls]) this.#end(call, { error })
    } finally {
      this.#isLooping = false
    }
  }

  /** Those who wait for something else than a pass make room for what has the engine now. */
  async #workBetween(): Promise<void> {
    for (const work of [...this.#between]) {
      let isDone = await work()
      for (let idle = this.#idle; !isDone && idle !== undefined; idle = this.#idle) {
        this.#putBack(idle)
        this.#statistics.preempted()
        isDone = await work()
      }
      if (isDone) this.#between.splice(this.#between.indexOf(work), 1)
    }
  }

  get #idle(): Placed | undefined {
    return this.#running.find(({ job }) => !job.isReady)
  }

  /** Tokens to draw before anybody looks: one while somebody waits for a beginning. */
  get #maxSteps(): number {
    const { maxSteps = 1 } = this.#engine
    const isAwaited = [...this.#calls].some(({ next }) => next !== undefined)
    if (isAwaited || this.#between.length > 0) return 1
    return this.#steps.next(maxSteps)
  }

  async #pass(plan: PassPlan<Placed>): Promise<void> {
    const { steps = 1 } = plan.wants.draws
    this.#inPass = new Set(plan.shares.map(({ running }) => running))
    const began = performance.now()
    try {
      const stepping = this.#engine.step(plan.rows, plan.wants)
      if (this.#untold.size > 0) {
        // A failure is told behind this.
        stepping.catch(() => undefined)
        await this.#turn()
        this.#tellAll()
      }
      const results = await stepping
      const ms = (performance.now() - began) / steps
      const rows = plan.rows.tokens.length
      if (rows === plan.shares.length) this.#steps.took(ms)
      for (let i = 0; i < steps; i++) this.#statistics.passed(rows, ms)
      this.#handOut(plan, results)
    } catch (error) {
      this.#blame(plan, error)
    } finally {
      this.#inPass = new Set()
    }
    for (const { running } of plan.shares) {
      if (running.job.finished || running.call.isEnding) this.#leave(running)
      else if (running.job.mustBeginAgain) this.#putBack(running)
    }
    for (const call of new Set(plan.shares.map(({ running }) => running.call))) call.onPass?.()
  }

  #handOut(plan: PassPlan<Placed>, results: Awaited<ReturnType<DecodeEngine['step']>>): void {
    for (const [{ running, fed, rows }, given] of resultsOf(plan, results, this.#engine.config)) {
      const { job, call } = running
      running.lastPass = this.#statistics.passes
      running.isSuspect = false
      job.fed = fed
      call.share.served += rows * given.steps
      try {
        job.accept(given)
        if (plan.shares.length >= MANY) this.#untold.add(running)
        else job.tell?.()
      } catch (error) {
        this.#end(call, { error })
      }
    }
  }

  #tellAll(): void {
    for (const running of this.#untold) {
      this.#untold.delete(running)
      const { job, call } = running
      try {
        job.tell?.()
      } catch (error) {
        this.#end(call, { error })
      }
      if (!this.#running.includes(running)) this.#tellEnd(running)
    }
  }

  /** A pass failed: whose fault it is shows when each of its jobs has one of its own. */
  #blame({ shares }: PassPlan<Placed>, error: unknown): void {
    if (shares.length === 1) this.#end(shares[0].running.call, { error })
    else for (const { running } of shares) running.isSuspect = true
  }

  /** Lets waiting jobs begin while there is room. @returns whether one began */
  #admit(): boolean {
    let hasBegun = false
    // Who waits for something else takes no row: what it waits for may be a job that begins now.
    while (this.#running.filter(({ job }) => job.isReady).length < this.#limits.maxRows) {
      const call = [...this.#calls].filter(({ next }) => next !== undefined).sort(compareCalls)[0]
      const job = call?.next
      if (call === undefined || job === undefined) return hasBegun
      if (job.finished) {
        call.take(job)
        this.#tell(call, job)
        continue
      }
      let opened: OpenedSequence | undefined
      try {
        opened = this.#open(job)
      } catch (error) {
        this.#end(call, { error })
        continue
      }
      if (opened === undefined) {
        if (this.#makeRoomFor(call)) continue
        return hasBegun
      }
      call.take(job)
      call.running++
      job.begin(opened.cached)
      this.#statistics.began(call, job)
      this.#running.push({ job, call, slot: opened.slot, lastPass: 0, isSuspect: false })
      hasBegun = true
    }
    return hasBegun
  }

  /** @throws ContextOverflowError if there never is room for it */
  #open({ leader, tokens, fixed, positions }: Job): OpenedSequence | undefined {
    const { cache } = this.#engine
    const running = this.#running.find(({ job }) => job === leader)
    const cached = leader?.computedBeginning
    if (running === undefined || cached === undefined) {
      return cache.open(tokens.slice(0, fixed), positions)
    }
    const slot = cache.fork(running.slot, cached, positions)
    return slot === undefined ? undefined : { slot, cached }
  }

  /**
   * Takes its memory from a job of less priority, or from one that waits for something else than a pass: it
   * begins again later, and what it had computed and lost by then is computed again.
   */
  #makeRoomFor(call: Call): boolean {
    const victim = this.#running
      .filter((one) => one.call.priority < call.priority || (!one.job.isReady && one.call !== call))
      .sort(
        (a, b) =>
          a.call.priority - b.call.priority || Number(a.job.isReady) - Number(b.job.isReady),
      )
      .at(0)
    if (victim === undefined) return false
    this.#putBack(victim)
    this.#statistics.preempted()
    return true
  }

  /** Takes a job's memory; it begins again later. */
  #putBack(running: Placed): void {
    this.#release(running)
    running.job.fed = 0
    running.call.putBack(running.job)
  }

  /** Takes a job out that has finished, or whose call ends. */
  #leave(running: Placed): void {
    if (!this.#running.includes(running)) return
    this.#release(running)
    if (!this.#untold.has(running)) this.#tellEnd(running)
  }

  #tellEnd({ call, job }: Placed): void {
    if (job.finished && !call.isEnding) this.#tell(call, job)
    else this.#settle(call)
  }

  #tell(call: Call, job: Job): void {
    void call.tell(job, () => {
      this.#settle(call)
      this.wake()
    })
  }

  #release(running: Placed): void {
    const { slot, job, call } = running
    this.#running = this.#running.filter((one) => one !== running)
    this.#engine.cache.close(slot, job.tokens.slice(0, job.fed))
    call.running--
  }

  /** Drops what a call has in queue and, but for a pass that runs, in memory. */
  #end(call: Call, failure?: { readonly error: unknown }): void {
    call.end(failure)
    for (const running of this.#running.filter((one) => one.call === call)) {
      if (!this.#inPass.has(running)) this.#leave(running)
    }
    this.#settle(call)
  }

  #settle(call: Call): void {
    if (call.settleIfDone()) this.#calls.delete(call)
  }

  /**
   * Lets the event loop turn, from time to time. An engine that computes on this thread settles its promises
   * without ever doing so, and then no timer could abort a generation.
   */
  async #breathe(): Promise<void> {
    if (performance.now() - this.#lastBreath >= BREATH_MS) await this.#turn()
  }

  async #turn(): Promise<void> {
    await turnOfTheLoop()
    this.#lastBreath = performance.now()
  }
}
